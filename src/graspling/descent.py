"""How deep a gripper goes down to an object, and how far it opens for that.

As far as its fingers and its palm fit into what the depth image shows, a few millimetres above the
table and no further below the widest part of what is round: pads that close under the middle of a
ball squeeze it out upwards. A width read off an image is a few millimetres wrong, and fingers that
stand on the shoulder of a ball close above its middle: so it opens a little wider where they get
deeper then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.clearance import CELL, Heights
from graspling.frames import valid_depth
from graspling.gripper import Gripper
from graspling.intrinsics import Intrinsics
from graspling.plane import Plane
from graspling.relief import relief

Floats = NDArray[np.float64]
Depth = NDArray[np.float32]

TIP_CLEARANCE = 0.003  # metres, as labels keep: fingertips to what is under them
PALM_CLEARANCE = 0.003
ENGAGE = 0.003  # the pads reach at least so far below the top
_KNOWN_FINGER = 0.35  # least share of known depth under each finger; stereo sensors see less there
_ON_TABLE = 0.01  # metres: ground that is not deeper than this below the table's plane is guarded
# metres: a raster of heights that serves all grasps has at most so many square metres; where they
# lie further apart, those of each square with this side have their own
_LARGEST_RASTER, _TILE = 1.5, 0.5
_ROUND = 0.005  # metres: a top that bends down less than this towards the contacts is flat
_WIDER = np.arange(0.004, 0.021, 0.004)  # metres that the gripper may open wider than was asked
_DEEP_ENOUGH = 0.001  # metres that are not worth opening wider for
_BENDS = (0.6, 0.7, 0.8)  # where the bend is measured, as shares of the way to the contacts


@dataclass(frozen=True, eq=False)
class Reached:
    """Grasps in the view frame (+z the approach), metres: where their axes meet the surface."""

    place: Floats  # (N, 3)
    angle: Floats  # (N,) of the opening about +z
    width: Floats  # (N,)


@dataclass(frozen=True, eq=False)
class Table:
    """A table's plane, if there is one, as an approach in the view frame meets it.

    Attributes:
        turn: (3, 3) camera frame to view frame.
        sure: it was given, not estimated.
    """

    gripper: Gripper
    plane: Plane | None
    turn: Floats
    sure: bool

    def limit(self, rows: Reached, width: NDArray[np.floating[Any]]) -> Floats:
        """(N,) largest z at which no corner of a fingertip lies below the plane, opened by
        ``width`` (N,) metres."""
        limit = np.full(len(rows.angle), np.inf)
        if self.plane is None:
            return limit
        nx, ny, nz = self.turn @ np.array(self.plane.normal)
        cos, sin = np.cos(rows.angle), np.sin(rows.angle)
        for box in self.gripper.fingers:
            for side in (-1, 1):
                for x in (box.low[0], box.high[0]):
                    for y in (box.low[1], box.high[1]):
                        along = side * (width / 2 + x)
                        px = rows.place[:, 0] + cos * along - sin * y
                        py = rows.place[:, 1] + sin * along + cos * y
                        z = (self.plane.offset - nx * px - ny * py) / nz
                        limit = np.minimum(limit, z - box.high[2])
        return limit


def descend(
    rows: Reached,
    depth: Depth,
    intrinsics: Intrinsics,
    gripper: Gripper,
    plane: Plane | None,
    turn: Floats,
    *,
    sure: bool,
) -> tuple[Floats, Floats, NDArray[np.object_]]:
    """(N,) z of the tool centre point in the view frame, (N,) opening, metres, and why the pads
    cannot get down to the object or nobody knows ("" where they can). What it says holds for the
    gripper half a turn further, too.

    Args:
        depth: (H, W) metres, 0 = missing.
        plane: of the table, if it is known; ``sure``: it was given, not estimated.
        turn: (3, 3) camera frame to view frame.
    """
    gripper = gripper.either_way()
    z, width = rows.place[:, 2].copy(), rows.width.copy()
    reason = np.full(len(rows.angle), "no depth under the grasp", object)
    for some in _groups(rows, gripper):
        part = Reached(rows.place[some], rows.angle[some], rows.width[some])
        ground = _ground(part, depth, intrinsics, gripper, plane, turn)
        if ground is None:
            continue
        table = Table(gripper, plane, turn, sure)
        z[some], width[some], why = _lowest(part, ground, gripper, table)
        part = replace(part, width=width[some])
        known = _known_under_fingers(part, ground, gripper, depth, intrinsics, turn)
        why[known < _KNOWN_FINGER] = "no depth where a finger goes down"
        reason[some] = why
    return z, width, reason


def _groups(rows: Reached, gripper: Gripper) -> list[NDArray[np.int_]]:
    """Row numbers of the grasps that share a raster of heights."""
    flat = rows.place[:, :2]
    size = flat.max(axis=0) - flat.min(axis=0) + 2 * _reach(gripper)
    if size.prod() <= _LARGEST_RASTER:
        return [np.arange(len(flat))]
    _, tile = np.unique(np.floor(flat / _TILE), axis=0, return_inverse=True)
    return [np.flatnonzero(tile.ravel() == number) for number in range(int(tile.max()) + 1)]


def _ground(
    rows: Reached,
    depth: Depth,
    intrinsics: Intrinsics,
    gripper: Gripper,
    plane: Plane | None,
    turn: Floats,
) -> Heights | None:
    """Heights of the ground that the gripper of any of the rows can reach."""
    reach = _reach(gripper)
    margin = np.array([reach, reach, 0.0])
    low, high = rows.place.min(axis=0) - margin, rows.place.max(axis=0) + margin
    # whole cells from the axis, so that a pose does not depend on which other rows there are
    low[:2], high[:2] = np.floor(low[:2] / CELL) * CELL, np.ceil(high[:2] / CELL) * CELL
    low[2] += gripper.palm.low[2]
    high[2] += 0.15
    return relief(depth, intrinsics, plane, turn, low, high)


def _reach(gripper: Gripper) -> float:
    """How far from the approach axis heights are looked at, metres."""
    boxes = (gripper.palm, *gripper.finger_boxes(gripper.opening))
    corners = [np.maximum(np.abs(box.low), np.abs(box.high))[:2] for box in boxes]
    return max(float(np.linalg.norm(corner)) for corner in corners) + 0.01


def _known_under_fingers(
    rows: Reached,
    ground: Heights,
    gripper: Gripper,
    depth: Depth,
    intrinsics: Intrinsics,
    turn: Floats,
) -> Floats:
    """(N,) share of known depth under the finger that knows less."""
    known = valid_depth(depth) > 0
    share = np.ones(len(rows.angle))
    tip = gripper.fingers[int(np.argmax([box.high[2] for box in gripper.fingers]))]
    x, y = np.meshgrid(*(np.linspace(tip.low[axis], tip.high[axis], 7) for axis in (0, 1)))
    cos, sin = np.cos(rows.angle)[:, None], np.sin(rows.angle)[:, None]
    for side in (-1, 1):
        along = side * (rows.width[:, None] / 2 + x.ravel())
        px = rows.place[:, :1] + cos * along - sin * y.ravel()
        py = rows.place[:, 1:2] + sin * along + cos * y.ravel()
        points = np.stack([px, py, ground.at(px, py)], axis=-1) @ turn
        pixels = np.nan_to_num(np.rint(intrinsics.project(points)), nan=-1).astype(int)
        u, v = pixels[..., 0], pixels[..., 1]
        within = (u >= 0) & (u < intrinsics.width) & (v >= 0) & (v < intrinsics.height)
        there = within & known[np.where(within, v, 0), np.where(within, u, 0)]
        share = np.minimum(share, there.mean(axis=1))
    return share


def _lowest(
    rows: Reached, heights: Heights, gripper: Gripper, table: Table
) -> tuple[Floats, Floats, NDArray[np.object_]]:
    """(N,) z of the tool centre point, opening, and why the pads cannot get down to the object."""
    flat = rows.place[:, :2].astype(np.float32)
    angle, width = rows.angle.astype(np.float32), rows.width.astype(np.float32)
    distance = np.maximum(width - 2 * gripper.clearance, width / 4).astype(np.float32)
    top = heights.top(flat, angle, distance, gripper.pad_length).astype(np.float64)
    widest = _widest(flat, angle, distance, heights, gripper.pad_length) + gripper.pad_width / 4
    palm = heights.palm_limit(gripper, flat, angle).astype(np.float64) - PALM_CLEARANCE
    least = top + ENGAGE - gripper.pad_width / 2

    def reached(width: NDArray[np.float32]) -> tuple[Floats, Floats]:
        tips = heights.finger_limit(gripper, flat, angle, width).astype(np.float64) - TIP_CLEARANCE
        limit = table.limit(rows, width) - TIP_CLEARANCE
        if not table.sure:  # ground well below the plane: it is not what the object stands on
            limit = np.where(tips > limit + _ON_TABLE, np.inf, limit)
        return np.minimum(tips, limit), limit

    z, limit = reached(width)
    wanted = np.minimum(np.minimum(palm, widest), limit) - _DEEP_ENOUGH
    for more in _WIDER:
        wider = np.minimum(rows.width + more, gripper.opening).astype(np.float32)
        z_wider, limit_wider = reached(wider)
        better = (z < wanted) & (z_wider > z + _DEEP_ENOUGH)
        z, limit = np.where(better, z_wider, z), np.where(better, limit_wider, limit)
        width = np.where(better, wider, width)
    fingers, z = z, np.minimum(z, palm)
    reason = np.full(len(z), "", dtype=object)
    for refused, text in (
        ((z < least) & (limit <= z + 0.002), "too flat: a finger would touch the table"),
        ((z < least) & (palm <= fingers), "the palm would hit what stands beside it"),
        (z < least, "a finger would hit what stands beside it"),
    ):
        reason[refused & (reason == "")] = text
    # rows that opened no wider keep their width to the last digit
    opening = np.where(width > rows.width.astype(np.float32), width, rows.width)
    # float32 ends a digit above some openings
    opening = np.minimum(opening.astype(np.float64), gripper.opening)
    return np.minimum(z, np.maximum(widest, least)), opening, reason


def _widest(
    flat: NDArray[np.float32],
    angle: NDArray[np.float32],
    distance: NDArray[np.float32],
    heights: Heights,
    length: float,
) -> Floats:
    """(N,) z at which something round is widest, infinite for a top that is flat or hollow.

    The camera sees a round thing down to its widest part, but badly there. So the vertical half
    axis of an ellipse is taken from how far the top bends down before: by b (1 - sqrt(1 - s^2)) at
    the share s of the way from its middle to the contacts.
    """
    aside = np.linspace(-length / 2, length / 2, 5, dtype=np.float32)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]

    def mean(share: float) -> Floats:
        x = share * distance[:, None] / 2
        u = flat[:, :1] + cos * x - sin * aside
        v = flat[:, 1:] + sin * x + cos * aside
        middle_of: Floats = np.asarray(heights.at(u, v), np.float64).mean(axis=1)
        return middle_of

    middle = (mean(-0.1) + mean(0.0) + mean(0.1)) / 3
    bends = np.stack(
        [((mean(-s) + mean(s)) / 2 - middle) / (1 - np.sqrt(1 - s**2)) for s in _BENDS]
    )
    bend = np.median(bends, axis=0)
    return np.asarray(np.where(bend > _ROUND, middle + bend, np.inf))
