"""From a depth frame to the heights under a gripper.

A depth pixel is a small square at its depth. Looked at along the approach, which is not the ray
through each pixel, near things leave shadows in which nothing is seen. There the surface behind
them is taken to go on, parallel to the table: what a finger meets beside a box is the table.
Missing depth is filled in the same way, by the lower of its two sides, for the heights alone:
poses that rest on it are refused (see :mod:`graspling.poses`).
"""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class Relief:
    """Heights along an approach, in the view frame: the camera frame turned so that +z is the
    approach.

    Attributes:
        heights: along +z.
        seen: (J, I) cells in which a depth pixel lies; the others are filled.
    """

    heights: Heights
    seen: Bools


def relief(
    depth: Depth,
    intrinsics: Intrinsics,
    plane: Plane | None,
    turn: Floats,
    low: Floats,
    high: Floats,
) -> Relief | None:
    """The heights over a part of the view frame, or None when no depth is known there.

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
    v, u = np.mgrid[: part.shape[0], : part.shape[1]]
    ground = np.zeros(part.shape) if plane is None else plane.depth(camera, u, v)
    # below 0: nearer to the camera than the table
    below = np.where(known, part - ground, 0.0)
    noise = 0.0 if plane is None else plane.noise
    below = _lower_side(below, known)
    if noise > _SMOOTH:
        below = cv2.medianBlur(below.astype(np.float32), 5).astype(np.float64)
    below = np.where(np.abs(below) < min(_SNAP_SIGMAS * noise, _SNAP_LARGEST), 0.0, below)
    points = camera.deproject(u, v, np.maximum(ground + below, 1e-3)) @ turn.T

    size = np.ceil((high - low)[:2] / CELL).astype(int) + 1
    half = _half_pixels(points[..., 2], camera, turn)
    depths = _draw(points[known], half[known], low, size)
    seen = depths > 0
    if not known.all():
        depths = _nearer(depths, _draw(points[~known], half[~known], low, size))
    # heights over the table's plane along the approach, in which a shadow's ground is level
    grid = _plane_grid(plane, turn, low, size)
    normal = turn @ np.array((0, 0, -1) if plane is None else plane.normal)
    behind = _draw(*_shadows(points, half, below, -normal[:2] / normal[2]), low, size)
    depths = np.where(depths > 0, depths, behind)
    if not (depths > 0).all():
        rise = _nearest_known(depths - grid, depths > 0)
        depths = np.where(depths > 0, depths, rise + grid)
    depths = np.ascontiguousarray(depths, np.float32)
    place = (float(low[0]), float(low[1]))
    return Relief(Heights(depths, place, CELL, *Heights.eroded(depths)), seen)


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


def _lower_side(below: Floats, known: Bools) -> Floats:
    """Missing pixels from the nearest known ones to the left and right of them, the lower one;
    in rows without any, from above and under them."""
    out, have = below, known
    for _ in range(2):
        columns = np.arange(out.shape[1])
        left = np.maximum.accumulate(np.where(have, columns, -1), axis=1)
        right = np.minimum.accumulate(np.where(have, columns, len(columns))[:, ::-1], axis=1)
        right = right[:, ::-1]
        rows = np.arange(len(out))[:, None]
        a = np.where(left >= 0, out[rows, np.maximum(left, 0)], -np.inf)
        b = np.where(right < len(columns), out[rows, np.minimum(right, len(columns) - 1)], -np.inf)
        best = np.maximum(a, b)
        out = np.where(have | ~np.isfinite(best), out, best).T
        have = (have | np.isfinite(best)).T
    return np.ascontiguousarray(out)


def _half_pixels(z: Floats, camera: Intrinsics, turn: Floats) -> Floats:
    """(H, W, 2) half the extent of the pixels' squares along x and y of the view frame, metres."""
    along_u, along_v = np.abs(turn[:2, 0]) / camera.fx, np.abs(turn[:2, 1]) / camera.fy
    return np.asarray(z[..., None] * (along_u + along_v) / 2)


def _draw(points: Floats, half: Floats, low: Floats, size: NDArray[np.int_]) -> Depth:
    """(J, I) the nearest z (N,) over each cell that a point with its half extent (N, 2) covers."""
    inside = points[:, 2] > 0
    firsts, lasts = [], []
    for axis in (0, 1):  # a column at a time: NumPy is slow along an axis of length 2
        place = (points[:, axis] - low[axis]) / CELL - 1e-6
        reach = half[:, axis] / CELL
        first, last = np.ceil(place - reach), np.ceil(place + reach)
        inside &= (last > 0) & (first < size[axis]) & (last > first)
        firsts.append(first)
        lasts.append(last)
    first, last = (np.stack([ends[inside] for ends in found]) for found in (firsts, lasts))
    counts = (last - first).astype(int)
    return splat(first.astype(int), counts, points[inside, 2], int(size[1]), int(size[0]))


def _nearer(one: Depth, other: Depth) -> Depth:
    """The nearer of two depths in each cell, where 0 is none."""
    return np.where((one > 0) & ((one <= other) | (other == 0)), one, other)


def _shadows(points: Floats, half: Floats, below: Floats, slope: Floats) -> tuple[Floats, Floats]:
    """Points, and their half extents, that carry the lower of two neighbouring pixels on to the
    higher one where these lie apart, along ``slope``, the table's z by x and y."""
    found, extents = [], []
    flat, reach, low = points.reshape(-1, 3), half.reshape(-1, 2), below.ravel()
    width = points.shape[1]
    x, y = (np.ascontiguousarray(points[..., axis]) for axis in (0, 1))
    wide = 2.2 * np.maximum(half[..., 0], half[..., 1])
    for axis in (0, 1):
        apart = np.hypot(np.diff(x, axis=axis), np.diff(y, axis=axis))
        gap = (apart > (wide[1:] if axis == 0 else wide[:, 1:])) & (apart < _LONGEST_SHADOW)
        if not gap.any():
            continue
        i, j = np.nonzero(gap)
        first = i * width + j
        second = first + (width if axis == 0 else 1)
        a_lower = low[first] > low[second]
        lower = flat[np.where(a_lower, first, second)]
        higher = flat[np.where(a_lower, second, first)]
        steps = np.ceil(apart[gap] / CELL).astype(int)
        rows = np.repeat(np.arange(len(steps)), steps)
        share = (np.arange(steps.sum()) - np.repeat(np.cumsum(steps) - steps, steps)) / steps[rows]
        along = np.zeros((len(rows), 3))
        along[:, :2] = (higher - lower)[rows, :2] * share[:, None]
        along[:, 2] = along[:, :2] @ slope
        found.append(lower[rows] + along)
        extents.append(reach[second[rows]])
    if not found:
        return np.zeros((0, 3)), np.zeros((0, 2))
    return np.concatenate(found), np.concatenate(extents)


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
