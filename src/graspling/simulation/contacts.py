"""Where the pads of a closing gripper arrive, what they press against, and the friction it takes.

A bundle of lines runs from pad to pad (9 along the jaw x 5 along the approach). A jaw stops at the
first place where any of its lines meets a part, so the contact distance is from the least entry to
the greatest exit of the whole bundle. The patch of a jaw is what lies within ``PATCH`` of that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graspling.gripper import Gripper
from graspling.simulation.lines import Floats
from graspling.simulation.shapes import Ints, Shapes

PATCH = 0.001  # metres: how far a pad gives way, and a part with it
THINNEST = 0.0008  # metres by which the pads are kept from closing: less is nothing
_CHUNK = 4096  # bundles cut at once: their temporaries stay in the cache


@dataclass(frozen=True, eq=False)
class Contacts:
    """G closings. Distances in metres along the opening, from the TCP.

    Attributes:
        touch: (G,) both jaws meet something within the opening.
        left, right: (G,) where the jaws stop (0 where nothing is touched).
        owner: (G, 2) object that the left and the right jaw meet, -1 none.
        normals: (G, 2, 3) mean outward unit normals of the left and the right patch in the
            gripper's frame: (-1, 0, 0) and (1, 0, 0) when both faces lie flat on the pads.
        patch: (G, 2, 2) centre of each patch on its pad: along the jaw, along the approach.
        share: (G, 2) share of the bundle that each patch holds.
        friction: (G,) least friction coefficient with which both normals hold a force along the
            opening: tan of the larger angle between the two; infinite where nothing is touched.
    """

    touch: NDArray[np.bool_]
    left: Floats
    right: Floats
    owner: Ints
    normals: Floats
    patch: Floats
    share: Floats
    friction: Floats

    @property
    def distance(self) -> Floats:
        """(G,) between the jaws when both press, metres."""
        return self.right - self.left


def thinnest(gripper: Gripper) -> float:
    """Least distance of contacts that the gripper closes on, metres; less is nothing between its
    pads. Pads that meet close on anything."""
    return gripper.min_opening + THINNEST if gripper.min_opening else 0.0


def jaw_axes(angle: Floats) -> Floats:
    """(G, 3, 3) rows x (opening), y (jaw), z (approach: the optical axis) in the camera frame."""
    cos, sin = np.cos(angle), np.sin(angle)
    zero, one = np.zeros_like(cos), np.ones_like(cos)
    rows = [np.stack([cos, sin, zero], 1), np.stack([-sin, cos, zero], 1)]
    return np.stack([*rows, np.stack([zero, zero, one], 1)], axis=1).astype(np.float32)


def close(
    shapes: Shapes,
    place: Floats,
    angle: Floats,
    width: Floats,
    pad: tuple[float, float],
    lines: tuple[int, int] = (9, 5),
) -> Contacts:
    """Close grippers that stand ``width`` open.

    Args:
        place: (G, 3) TCP in the camera frame; angle: (G,) radians; width: (G,) metres.
        pad: length (along the jaw) and width (along the approach) of a pad, metres.
        lines: how many along each.
    """
    count = len(place)
    steps = tuple(
        np.linspace(-size / 2, size / 2, n, dtype=np.float32)
        for size, n in zip(pad, lines, strict=True)
    )
    axes = jaw_axes(angle)
    grasp, part = _near(shapes, place, axes, width, pad)
    bundle = len(steps[0]) * len(steps[1])
    enter = np.empty((len(grasp), bundle), np.float32)
    leave = np.empty_like(enter)
    for start in range(0, len(grasp), _CHUNK):
        rows = slice(start, start + _CHUNK)
        x, y, z = axes[grasp[rows]].transpose(1, 0, 2)
        enter[rows], leave[rows] = shapes.cut(
            part[rows], place[grasp[rows]], x, (y, z), (steps[0], steps[1])
        )
    half = (width / 2)[grasp, None]
    free = (enter >= half) | (leave <= -half)
    np.maximum(enter, -half, out=enter)
    np.minimum(leave, half, out=leave)
    enter[free], leave[free] = np.inf, -np.inf
    left = _reduce(np.minimum, enter.min(axis=1, initial=np.inf), grasp, count, np.inf)
    right = _reduce(np.maximum, leave.max(axis=1, initial=-np.inf), grasp, count, -np.inf)
    touch = np.isfinite(left)
    met = touch[grasp, None]
    jaws = []
    for stop, where in (
        (left, met & (enter <= left[grasp, None] + PATCH)),
        (right, met & (leave >= right[grasp, None] - PATCH)),
    ):
        jaws.append(_patch(shapes, (grasp, part), where, stop, place, axes, (steps[0], steps[1])))
    owner, normals, patch, share = (np.stack(column, 1) for column in zip(*jaws, strict=True))
    facing = np.stack([-normals[:, 0, 0], normals[:, 1, 0]], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        slant = np.sqrt(np.maximum(1 - facing**2, 0)) / facing
    slant = np.where(facing > 0, slant, np.inf).max(axis=1)
    return Contacts(
        touch,
        np.where(touch, left, 0).astype(np.float32),
        np.where(touch, right, 0).astype(np.float32),
        owner,
        normals,
        patch,
        share,
        np.where(touch, slant, np.inf).astype(np.float32),
    )


def _near(
    shapes: Shapes, place: Floats, axes: Floats, width: Floats, pad: tuple[float, float]
) -> tuple[Ints, Ints]:
    """Pairs (grasp, part) whose part may reach into the closing region; sorted by grasp."""
    offset = shapes.centre[None] - place[:, None]
    local = np.abs(offset @ axes.transpose(0, 2, 1))
    half = np.stack([width, np.full_like(width, pad[0]), np.full_like(width, pad[1])], 1) / 2
    near = (local < half[:, None] + shapes.radius[None, :, None]).all(axis=2)
    grasp, part = np.nonzero(near)
    return grasp, part


def _reduce(method: np.ufunc, values: Floats, group: Ints, count: int, empty: float) -> Floats:
    """Over the rows of each group (sorted), ``empty`` for groups without rows."""
    result = np.full(count, empty, values.dtype)
    if len(group):
        start = np.flatnonzero(np.diff(group, prepend=-1))
        result[group[start]] = method.reduceat(values, start)
    return result


def _patch(
    shapes: Shapes,
    pairs: tuple[Ints, Ints],
    where: NDArray[np.bool_],
    stop: Floats,
    place: Floats,
    axes: Floats,
    steps: tuple[Floats, Floats],
) -> tuple[Ints, Floats, Floats, Floats]:
    """Owner (G,), mean normal (G, 3), centre (G, 2) and share (G,) of one jaw's patch."""
    row, line = np.nonzero(where)
    grasp, part = pairs[0][row], pairs[1][row]
    count = len(place)
    y, z = steps[0][line % len(steps[0])], steps[1][line // len(steps[0])]
    offset = np.stack([stop[grasp], y, z], axis=1)
    points = place[grasp] + np.einsum("ka,kab->kb", offset, axes[grasp])
    normal = np.einsum("kab,kb->ka", axes[grasp], shapes.normals(part, points))
    number = np.bincount(grasp, minlength=count).astype(np.float32)
    least = np.maximum(number, 1)
    sums = [np.bincount(grasp, normal[:, a], count) for a in range(3)]
    mean = np.stack(sums, axis=1).astype(np.float32)
    mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9)
    centre = [np.bincount(grasp, value, count) / least for value in (y, z)]
    owner = np.full(count, -1, np.intp)
    owner[grasp] = shapes.owner[part]
    share = number / (len(steps[0]) * len(steps[1]))
    return owner, mean, np.stack(centre, axis=1).astype(np.float32), share
