"""Antipodal grasp candidates: two surface points whose normals face each other along an opening.

As in Dex-Net (Mahler et al. 2017, section IV): draw a point on the surface, draw a direction in its
friction cone, follow it through the object, keep the pair when the far normal's cone holds the
direction too. Here the direction lies across the camera's axis, along which the gripper comes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graspling.simulation.lines import Floats
from graspling.simulation.shapes import Ints, Shapes
from graspling.simulation.surfaces import areas, surface

Generator = np.random.Generator
_ALIGNED = 0.03  # radians


@dataclass(frozen=True, eq=False)
class Candidates:
    """N lines through objects, camera frame, metres and radians.

    Attributes:
        point: (N, 3) half way between the two surface points.
        angle: (N,) of the opening about the optical axis, in [-pi, pi).
        distance: (N,) between the two surface points.
        owner: (N,) object.
    """

    point: Floats
    angle: Floats
    distance: Floats
    owner: Ints

    def __len__(self) -> int:
        return len(self.owner)


def sample(
    shapes: Shapes,
    rng: Generator,
    count: int,
    *,
    friction: float,
    farthest: float,
    aligned: float = 0.0,
    rounds: int = 3,
) -> Candidates:
    """About ``count`` antipodal candidates, as many from each object, fewer where there are few.

    Args:
        friction: half angle of the cones is its arc tangent.
        farthest: largest distance between the two points, metres.
        aligned: share of directions along the inward normal (within some 2 degrees), not uniform
            over the cone.
        rounds: how often to draw again for objects that have too few.
    """
    objects = np.unique(shapes.owner)
    if not len(objects):
        none = np.zeros(0, np.float32)
        return Candidates(np.zeros((0, 3), np.float32), none, none, np.zeros(0, np.intp))
    each = -(-count // len(objects))
    found: list[Candidates] = []
    have = np.zeros(int(objects.max()) + 1, np.intp)
    for _ in range(rounds):
        need = np.where(np.isin(np.arange(len(have)), objects), each - have, 0)
        need = np.maximum(need, 0)
        if not need.any():
            break
        batch = _draw(shapes, rng, need * 4, friction, farthest, aligned)
        # of each object no more than it needs
        order = np.argsort(batch.owner, kind="stable")
        rank = np.empty(len(order), np.intp)
        owners = batch.owner[order]
        start = np.searchsorted(owners, owners)
        rank[order] = np.arange(len(order)) - start
        keep = rank < need[batch.owner]
        found.append(_rows(batch, keep))
        have += np.bincount(found[-1].owner, minlength=len(have))
    columns = ((f.point, f.angle, f.distance, f.owner) for f in found)
    return Candidates(*(np.concatenate(parts) for parts in zip(*columns, strict=True)))


def _rows(table: Candidates, rows: NDArray[np.bool_] | Ints) -> Candidates:
    return Candidates(table.point[rows], table.angle[rows], table.distance[rows], table.owner[rows])


def _draw(
    shapes: Shapes,
    rng: Generator,
    tries: Ints,
    friction: float,
    farthest: float,
    aligned: float,
) -> Candidates:
    """Those of ``tries`` (objects,) surface points an object that start an antipodal pair."""
    area = areas(shapes)
    parts = []
    for owner in np.flatnonzero(tries):
        own = np.flatnonzero(shapes.owner == owner)
        share = np.cumsum(area[own])
        draw = rng.random(int(tries[owner])) * share[-1]
        parts.append(own[np.minimum(np.searchsorted(share, draw), len(own) - 1)])
    part = np.concatenate(parts)
    point, normal = surface(shapes, part, rng)
    cone = np.float32(np.cos(np.arctan(friction)))
    # the direction lies across the optical axis: only walls can hold it
    flat = np.hypot(normal[:, 0], normal[:, 1])
    turn = rng.uniform(-1, 1, len(part)) * np.arctan(friction)
    straight = rng.random(len(part)) < aligned
    turn = np.where(straight, rng.normal(0, _ALIGNED, len(part)), turn).astype(np.float32)
    good = flat * np.cos(turn) >= cone
    part, point, normal, turn = part[good], point[good], normal[good], turn[good]
    angle = np.arctan2(-normal[:, 1], -normal[:, 0]) + turn
    x = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=1).astype(np.float32)
    owner = shapes.owner[part]
    # all parts of the same object: where the line enters and leaves them
    row, other = np.nonzero(owner[:, None] == shapes.owner[None])
    enter, leave = shapes.cut(other, point[row], x[row])
    enter, leave = enter[:, 0], leave[:, 0]
    own = other == part[row]
    # a point inside another part is no surface
    hidden = np.zeros(len(part), bool)
    hidden[row[~own & (enter < -1e-4) & (leave > 1e-4)]] = True
    far, back = _exits(rng, row, other, enter, leave, own, len(part), farthest)
    facing = np.einsum("ka,ka->k", shapes.normals(back, point + x * far[:, None]), x)
    keep = ~hidden & (far > 1e-3) & (far <= farthest) & (facing >= cone)
    point, far = point[keep] + x[keep] * (far[keep, None] / 2), far[keep]
    angle = (angle[keep] + np.pi) % (2 * np.pi) - np.pi
    return Candidates(point, angle.astype(np.float32), far, owner[keep])


def _exits(
    rng: Generator,
    row: Ints,
    other: Ints,
    enter: Floats,
    leave: Floats,
    own: NDArray[np.bool_],
    count: int,
    farthest: float,
) -> tuple[Floats, Ints]:
    """The exit of each line, (N,) t and part: with equal chance the first one (through a wall) or
    the last one within reach (across the object), merging parts that overlap."""
    far, back = np.zeros(count, np.float32), np.zeros(count, np.intp)
    far[row[own]], back[row[own]] = leave[own], other[own]
    last = (rng.random(count) < 0.5)[row] & (enter < leave) & (leave <= farthest)
    order = np.argsort(leave, kind="stable")
    chosen = order[(last & (leave > far[row]))[order]]
    far[row[chosen]], back[row[chosen]] = leave[chosen], other[chosen]
    for _ in range(4):
        longer = (enter <= far[row] + 1e-4) & (leave > far[row] + 1e-6)
        if not longer.any():
            break
        chosen = order[longer[order]]
        far[row[chosen]], back[row[chosen]] = leave[chosen], other[chosen]
    return far, back
