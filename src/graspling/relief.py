"""From a depth frame to the heights under a gripper.

A depth pixel is a small square at its depth. Looked at along the approach, which is not the ray
through each pixel, near things leave shadows in which nothing is seen. There the surface behind
them is taken to go on, parallel to the table: what a finger meets beside a box is the table.
Missing depth is filled in the same way, by the lower of its two sides, for the heights alone:
poses that rest on it are refused (see :mod:`graspling.poses`).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.clearance import CELL, Heights
from graspling.frames import valid_depth
from graspling.intrinsics import Intrinsics
from graspling.plane import Plane
from graspling.registration import splat

Floats = NDArray[np.float64]
Depth = NDArray[np.float32]
Bools = NDArray[np.bool_]

_SNAP_SIGMAS = 4.0  # depth within so many standard deviations of the table's plane is the table
_SNAP_LARGEST = 0.006  # metres, so that noise does not swallow flat objects
_SMOOTH = 0.0004  # metres of noise from which single pixels are not believed
_LONGEST_SHADOW = 0.25  # metres
_MOST_SHADOW = 2_000_000  # points of them along each axis; real frames have a tenth of it
# cells: a square whose edge falls on a cell's middle covers it on one side only, and the squares
# of neighbours leave nothing between them, whatever float32 makes of their edges
_TIE = 1e-3


def relief(
    depth: Depth,
    intrinsics: Intrinsics,
    plane: Plane | None,
    turn: Floats,
    low: Floats,
    high: Floats,
) -> Heights | None:
    """The heights along +z over a part of the view frame (the camera frame turned so that +z is the
    approach), or None when no depth is known there.

    Args:
        depth: (H, W) metres, 0 = missing.
        plane: of the table; what is not seen is filled parallel to it.
        turn: (3, 3) camera frame to view frame.
        low, high: (3,) corners of a box of the view frame, metres; heights of its x and y.
    """
    u0, v0, u1, v1 = _part(intrinsics, turn, low, high)
    if u1 - u0 < 2 or v1 - v0 < 2:
        return None
    part, camera = depth[v0:v1, u0:u1], intrinsics.crop(u0, v0, u1 - u0, v1 - v0)
    known = valid_depth(part) > 0
    if not known.any():
        return None
    v, u = np.arange(part.shape[0])[:, None], np.arange(part.shape[1])[None, :]
    ground = np.zeros(part.shape, np.float32)
    if plane is not None:
        ground = plane.depth(camera, u, v).astype(np.float32)
    # below 0: nearer to the camera than the table
    below = _lower_side(np.where(known, part - ground, np.float32(0)), known)
    noise = 0.0 if plane is None else plane.noise
    if noise > _SMOOTH:
        below = np.asarray(cv2.medianBlur(below, 5), np.float32)
    below[np.abs(below) < min(_SNAP_SIGMAS * noise, _SNAP_LARGEST)] = 0
    z = np.maximum(ground + below, np.float32(1e-3))
    z[~np.isfinite(z)] = np.nan  # over the plane's horizon
    points = _points(z, camera, turn).reshape(3, -1)

    size = np.ceil((high - low)[:2] / CELL).astype(int) + 1
    half = _half_pixel(camera, turn)
    there, missing = (points.take(np.flatnonzero(rows), axis=1) for rows in (known, ~known))
    depths = _draw(there, there[2], half, low, size)
    if missing.size:
        depths = _nearer(depths, _draw(missing, missing[2], half, low, size))
    # heights over the table's plane along the approach, in which a shadow's ground is level
    grid = _plane_grid(plane, turn, low, size)
    normal = turn @ np.array((0, 0, -1) if plane is None else plane.normal)
    behind = _draw(*_shadows(points, half, below, -normal[:2] / normal[2]), half, low, size)
    depths = np.where(depths > 0, depths, behind)
    if not (depths > 0).all():
        rise = _nearest_known(depths - grid, depths > 0)
        depths = np.where(depths > 0, depths, rise + grid)
    depths = np.ascontiguousarray(depths, np.float32)
    place = (float(low[0]), float(low[1]))
    return Heights(depths, place, CELL, *Heights.eroded(depths))


def _part(
    intrinsics: Intrinsics, turn: Floats, low: Floats, high: Floats
) -> tuple[int, int, int, int]:
    """The pixels u0, v0, u1, v1 that a box of the view frame is seen in."""
    corners = np.array(np.meshgrid(*np.stack([low, high], axis=1))).reshape(3, -1).T
    corners[:, 2] = np.maximum(corners[:, 2], 0.05)
    pixels = intrinsics.project(corners @ turn)
    size = (intrinsics.width, intrinsics.height)
    if not np.isfinite(pixels).all():
        return 0, 0, *size
    first = np.clip(np.floor(pixels.min(axis=0)) - 1, 0, size).astype(int)
    last = np.clip(np.ceil(pixels.max(axis=0)) + 2, 0, size).astype(int)
    return int(first[0]), int(first[1]), int(last[0]), int(last[1])


def _lower_side(below: Depth, known: Bools) -> Depth:
    """Missing pixels from the nearest known ones to the left and right of them, the lower one;
    in rows without any, from above and under them."""
    out = below.copy()
    if not known.all():
        rows = known.any(axis=1)
        _fill_rows(out, known)
        if not rows.all():
            _fill_rows(out.T, np.broadcast_to(rows, out.T.shape))
    return out


def _fill_rows(values: Depth, known: Bools) -> None:
    """In place: the missing ones of each row that knows any."""
    width = values.shape[1]
    columns = np.arange(width, dtype=np.int32)
    left = np.maximum.accumulate(np.where(known, columns, np.int32(-1)), axis=1)
    right = np.where(known, columns, np.int32(width))[:, ::-1]
    right = np.minimum.accumulate(right, axis=1)[:, ::-1]
    missing = np.nonzero(~known & (left[:, -1:] >= 0))
    before, after = left[missing], right[missing]
    a, b = values[missing[0], before], values[missing[0], np.minimum(after, width - 1)]
    a[before < 0], b[after == width] = -np.inf, -np.inf
    values[missing] = np.maximum(a, b)


def _points(z: Depth, camera: Intrinsics, turn: Floats) -> Depth:
    """(3, H, W) the pixels at depth z (H, W) in the view frame, metres; coordinate by coordinate,
    since NumPy is slow along an axis of length 3."""
    height, width = z.shape
    points = np.empty((3, height, width), np.float32)
    points[0] = z * ((np.arange(width) - camera.cx) / camera.fx).astype(np.float32)
    points[1] = z * ((np.arange(height) - camera.cy) / camera.fy).astype(np.float32)[:, None]
    points[2] = z
    if np.array_equal(turn, np.eye(3)):
        return points
    return np.asarray(np.tensordot(turn.astype(np.float32), points, 1))


def _half_pixel(camera: Intrinsics, turn: Floats) -> Floats:
    """(2,) half the extent along x and y of the view frame of a pixel's square at depth 1."""
    along_u, along_v = np.abs(turn[:2, 0]) / camera.fx, np.abs(turn[:2, 1]) / camera.fy
    return np.asarray((along_u + along_v) / 2)


def _draw(points: Depth, reach: Depth, half: Floats, low: Floats, size: NDArray[np.int_]) -> Depth:
    """(J, I) the nearest z over each cell that one of the points (3, N) covers, squares with half
    the extent ``reach`` (N,) times ``half`` (2,)."""
    inside = points[2] > 0
    firsts, counts = [], []
    for axis in (0, 1):
        place = (points[axis] - np.float32(low[axis])) * np.float32(1 / CELL) - np.float32(_TIE)
        around = reach * np.float32(half[axis] / CELL) + np.float32(_TIE / 10)
        first, last = np.ceil(place - around), np.ceil(place + around)
        inside &= (last > 0) & (first < size[axis]) & (last > first)
        firsts.append(first)
        counts.append(last - first)
    kept, columns, rows = np.flatnonzero(inside), int(size[0]), int(size[1])
    first, count = (
        np.stack([ends.take(kept).astype(int) for ends in found]) for found in (firsts, counts)
    )
    return splat(first, count, points[2].take(kept), rows, columns)


def _nearer(one: Depth, other: Depth) -> Depth:
    """The nearer of two depths in each cell, where 0 is none."""
    return np.where((one > 0) & ((one <= other) | (other == 0)), one, other)


def _shadows(
    points: Depth, half: Floats, below: Depth, slope: Floats
) -> tuple[Depth, NDArray[np.float32]]:
    """Points (3, N), and what their extents follow, that carry the lower of two neighbouring
    pixels on to the higher one where these lie apart, along ``slope``, the table's z by x and y.
    ``points`` (3, H W) are those of ``below`` (H, W)."""
    found, reach = [], []
    width, low = below.shape[1], below.ravel()
    x, y, z = points.reshape(3, *below.shape)
    wide = (z * np.float32(2.2 * half.max())) ** 2
    for axis in (0, 1):
        apart = np.diff(x, axis=axis) ** 2 + np.diff(y, axis=axis) ** 2
        gap = (apart > (wide[1:] if axis == 0 else wide[:, 1:])) & (apart < _LONGEST_SHADOW**2)
        if not gap.any():
            continue
        i, j = np.nonzero(gap)
        first = i * width + j
        second = first + (width if axis == 0 else 1)
        a_lower = low[first] > low[second]
        lower = points[:, np.where(a_lower, first, second)]
        higher = points[:2, np.where(a_lower, second, first)]
        steps = np.ceil(np.sqrt(apart[gap]) / CELL).astype(int)
        # frames of noise alone have shadows everywhere: coarser ones, in bounded time and memory
        steps = np.maximum(steps * min(_MOST_SHADOW / steps.sum(), 1.0), 1).astype(int)
        rows = np.repeat(np.arange(len(steps)), steps)
        share = (np.arange(steps.sum()) - np.repeat(np.cumsum(steps) - steps, steps)) / steps[rows]
        along = (higher - lower[:2])[:, rows] * share.astype(np.float32)
        along = np.concatenate([along, slope.astype(np.float32)[None] @ along])
        found.append(lower[:, rows] + along)
        reach.append(points[2, second][rows])
    if not found:
        return np.zeros((3, 0), np.float32), np.zeros(0, np.float32)
    return np.concatenate(found, axis=1), np.concatenate(reach)


def _plane_grid(plane: Plane | None, turn: Floats, low: Floats, size: NDArray[np.int_]) -> Floats:
    """(J, I) z of the plane in the view frame over the cells; 0 without a plane."""
    if plane is None:
        return np.zeros((int(size[1]), int(size[0])))
    nx, ny, nz = turn @ np.array(plane.normal)
    x, y = (low[axis] + CELL * np.arange(size[axis]) for axis in (0, 1))
    return np.asarray((plane.offset - nx * x[None, :] - ny * y[:, None]) / nz)


def _nearest_known(values: Floats, known: Bools) -> Floats:
    """Each unknown cell gets the value of the nearest known one."""
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros(int(labels.max()) + 1)
    table[labels[known]] = values[known]
    return np.asarray(table[labels])
