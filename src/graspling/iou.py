"""Exact intersection over union (IoU) of rotated rectangles, in float, for many pairs at once.

The pair is looked at in the frame in which the first rectangle is the square [-1, 1] x [-1, 1]. The
area that the second one shares with it is the line integral of y dx along the second one's border,
with x and y clamped to the square: four edges, each a straight line cut at most twice, so every
pair takes the same few array operations, without a loop over pairs and without a case to tell
apart. The value depends continuously on the corners, so shared edges, touching corners and
identical rectangles need no tolerance. Only differences of centres are used, so the result is the
same far from the origin.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.errors import InputError
from graspling.grasps import Grasps

Floats = NDArray[np.float64]

# pairs handled at once; the working arrays (about 50 numbers a pair) then stay in the cache
_BLOCK = 4096
# keeps 0 / 0 at 0 where an edge has no slope or an interval no length; any other number absorbs it
_TINY = 1e-200


def rotated_iou(a: Grasps, b: Grasps) -> Floats:
    """IoU of row i of ``a`` with row i of ``b``, shape (N,), each in [0, 1].

    Raises:
        InputError: the tables have different lengths.
    """
    return _pairwise(_from_grasps(a), _from_grasps(b))


def rotated_iou_matrix(a: Grasps, b: Grasps) -> Floats:
    """IoU of every row of ``a`` with every row of ``b``, shape (len(a), len(b)), in [0, 1]."""
    first, second = _from_grasps(a)[:, :, None], _from_grasps(b)[:, None, :]
    rows, columns = len(a), len(b)
    result = np.empty((rows, columns))
    wide = min(columns, _BLOCK) or 1
    high = _BLOCK // wide
    for top in range(0, rows, high):
        for left in range(0, columns, wide):
            down, across = slice(top, top + high), slice(left, left + wide)
            result[down, across] = _iou(first[:, down], second[:, :, across])
    return result


def rectangle_iou(a: ArrayLike, b: ArrayLike) -> Floats:
    """IoU of rectangles given by corners, pairwise.

    Args:
        a: (N, 4, 2) corners in order round the rectangle; either direction, any first corner.
        b: (N, 4, 2), likewise.

    Returns:
        (N,) float64 in [0, 1]. Exact for parallelograms too; a quadrilateral whose opposite edges
        differ counts as the parallelogram of their means.

    Raises:
        InputError: another shape, different lengths, or a row whose corners are not finite or
            enclose no area; the message names the row.
    """
    return _pairwise(_from_corners(a, "first"), _from_corners(b, "second"))


# A rectangle is a column of six numbers: its centre, half of its opening edge, half of its plate.


def _from_grasps(grasps: Grasps) -> Floats:
    """(6, N)"""
    cos, sin = np.cos(grasps.angle), np.sin(grasps.angle)
    half, plate = grasps.width / 2, grasps.jaw / 2
    return np.stack([grasps.u, grasps.v, half * cos, half * sin, -plate * sin, plate * cos])


def _from_corners(corners: ArrayLike, which: str) -> Floats:
    """(6, N)"""
    points = np.asarray(corners, dtype=np.float64)
    if points.ndim != 3 or points.shape[1:] != (4, 2):
        raise InputError(f"{which} rectangles: got shape {points.shape}, expected (N, 4, 2)")
    p0, p1, p2, p3 = np.moveaxis(points, 1, 0)
    with np.errstate(invalid="ignore"):
        centre = p0 + (p1 - p0 + p2 - p0 + p3 - p0) / 4
        opening, plate = (p1 - p0 + p2 - p3) / 4, (p2 - p1 + p3 - p0) / 4
        area = opening[:, 0] * plate[:, 1] - opening[:, 1] * plate[:, 0]
    bad = np.flatnonzero(~(np.isfinite(area) & (area != 0)))
    if bad.size:
        raise InputError(
            f"{which} rectangles: row {bad[0]} has corners {points[bad[0]].tolist()}, "
            "expected finite numbers, in order round a rectangle with an area"
        )
    return np.concatenate([centre, opening, plate], axis=1).T


def _pairwise(a: Floats, b: Floats) -> Floats:
    """(6, N), (6, N) -> (N,)"""
    count = a.shape[1]
    if count != b.shape[1]:
        raise InputError(
            f"IoU of pairs: {count} and {b.shape[1]} rectangles, expected as many of each; "
            "for all against all use rotated_iou_matrix"
        )
    result = np.empty(count)
    for start in range(0, count, _BLOCK):
        part = slice(start, start + _BLOCK)
        result[part] = _iou(a[:, part], b[:, part])
    return result


def _iou(a: Floats, b: Floats) -> Floats:
    """IoU of parallelograms (6, ...) and (6, ...), which broadcast against each other."""
    quarter_a = a[2] * a[5] - a[3] * a[4]
    quarter_b = b[2] * b[5] - b[3] * b[4]

    # b in the frame in which a is the square: centre and half edges
    to_x, to_y = np.stack([a[5], -a[4]]) / quarter_a, np.stack([-a[3], a[2]]) / quarter_a
    du, dv = b[0] - a[0], b[1] - a[1]
    x, y = to_x[0] * du + to_x[1] * dv, to_y[0] * du + to_y[1] * dv
    ex, ey = to_x[0] * b[2] + to_x[1] * b[3], to_y[0] * b[2] + to_y[1] * b[3]
    fx, fy = to_x[0] * b[4] + to_x[1] * b[5], to_y[0] * b[4] + to_y[1] * b[5]

    # its corners, the first one again at the end, and the slopes of the edges between them
    corner_x, corner_y = _round_trip(x, ex, fx), _round_trip(y, ey, fy)
    slope = np.empty((4, *x.shape))
    slope[0] = slope[2] = ey / (ex + _TINY)
    slope[1] = slope[3] = fy / (fx + _TINY)

    # clamp each edge to |x| <= 1, then integrate the clamped y over what is left: twice its mean
    # is the sum of the clamped ends and, for the part outside, what the clamping took off
    clamped_x = np.clip(corner_x, -1, 1)
    cut = clamped_x - corner_x
    start = corner_y[:-1] + cut[:-1] * slope
    end = corner_y[1:] + cut[1:] * slope
    low, high = np.clip(start, -1, 1), np.clip(end, -1, 1)
    inside = (high - low) / (end - start + _TINY)
    ends = low + high
    twice_mean = ends + inside * (start + end - ends)
    shared = np.abs(np.sum((clamped_x[1:] - clamped_x[:-1]) * twice_mean, axis=0)) / 2

    shared *= np.abs(quarter_a)
    union = 4 * (np.abs(quarter_a) + np.abs(quarter_b)) - shared
    return np.asarray(np.clip(shared / union, 0, 1))


def _round_trip(centre: Floats, e: Floats, f: Floats) -> Floats:
    """One coordinate of the corners -e-f, e-f, e+f, f-e, -e-f about the centre, shape (5, ...)."""
    corners = np.empty((5, *centre.shape))
    total, difference = e + f, e - f
    np.subtract(centre, total, out=corners[0])
    np.add(centre, difference, out=corners[1])
    np.add(centre, total, out=corners[2])
    np.subtract(centre, difference, out=corners[3])
    corners[4] = corners[0]
    return corners
