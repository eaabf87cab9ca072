"""Depth of one camera as another one sees it.

Conventions as in :mod:`graspling.intrinsics`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.errors import InputError
from graspling.frames import unmasked
from graspling.intrinsics import Intrinsics
from graspling.opencv import one_thread
from graspling.straight import straight_view, to_view

Floats = NDArray[np.float64]
Depth = NDArray[np.float32]

# a depth pixel that would cover more than this many colour pixels across lies on the lens
_LARGEST_FOOTPRINT = 32
# pixels: footprints up to this side are drawn pixel by pixel, which is quicker for them
_FEW = 3
# borders of footprints this close to a pixel centre count as on it, whatever the rounding
_SNAP = 1e-6
# of a pixel, as (u, v) from its centre
_CORNERS = np.array([(-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5)])[..., None]


@one_thread()
def register_depth(
    depth: NDArray[np.floating[Any]],
    depth_intrinsics: Intrinsics,
    colour_intrinsics: Intrinsics,
    colour_from_depth: ArrayLike,
) -> Depth:
    """Depth as the colour camera would see it.

    Each depth pixel is a small square at its depth, facing the depth camera; it covers the colour
    pixels whose centres it contains, and of several the nearest counts. So a surface stays closed
    when the colour image is the finer one, and what the depth camera did not see (missing depth,
    the shadow beside a near object) stays missing.

    Where lenses distort, nothing is lost at the borders, but what a straight view of the colour
    camera leaves out (:func:`graspling.straight.straight_view`).

    Args:
        depth: (H, W) metres along z of the depth camera; 0, negative, NaN, infinite = missing.
        colour_from_depth: (4, 4) rigid transform, points in the depth camera's frame to the colour
            camera's, metres.

    Returns:
        (height, width) of the colour camera, float32 metres along its z, 0 = missing.

    Raises:
        InputError: the depth has another size than its intrinsics say, or the transform is not a
            rigid one.
    """
    depth = np.asarray(unmasked(depth))
    expected = (depth_intrinsics.height, depth_intrinsics.width)
    if depth.shape != expected:
        raise InputError(
            f"depth: got shape {depth.shape}, expected {expected} as its intrinsics say; "
            "crop or resize both alike"
        )
    transform = rigid(colour_from_depth)
    if colour_intrinsics.distortion:
        view, where = straight_view(colour_intrinsics), _in_view(colour_intrinsics)
        straight = register_depth(depth, depth_intrinsics, view, transform)
        distorted = cv2.remap(straight, where[..., 0], where[..., 1], cv2.INTER_NEAREST)
        return np.asarray(distorted, np.float32)
    v, u = np.nonzero(np.isfinite(depth) & (depth > 0))
    z = depth[v, u].astype(np.float64)
    (u, v), corners = _squares(depth_intrinsics, u, v)

    # homogeneous colour pixels are linear in straight depth pixels: z (to_colour (u, v, 1)) + shift
    k = colour_intrinsics.matrix
    to_colour = k @ transform[:3, :3] @ np.linalg.inv(depth_intrinsics.matrix)
    shift = k @ transform[:3, 3]
    x, y, w = (z * (a * u + b * v + c) + s for (a, b, c), s in zip(to_colour, shift, strict=True))
    steps = [z * (to_colour[:, :2] @ corner) for corner in corners]

    # all of it before the colour camera
    good = w + np.minimum.reduce([step[2] for step in steps]) > 0
    x, y, w, steps = x[good], y[good], w[good], [step[:, good] for step in steps]
    low, high = np.full((2, w.size), np.inf), np.full((2, w.size), -np.inf)
    for step in steps:
        corner = np.stack([x + step[0], y + step[1]]) / (w + step[2])
        np.minimum(low, corner, out=low)
        np.maximum(high, corner, out=high)

    first, last = np.ceil(low - _SNAP), np.ceil(high - _SNAP)
    count = last - first
    size = np.array([[colour_intrinsics.width], [colour_intrinsics.height]])
    seen = (last > 0) & (first < size) & (count > 0) & (count <= _LARGEST_FOOTPRINT)
    seen = seen[0] & seen[1]
    first, count = first[:, seen].astype(int), count[:, seen].astype(int)
    return splat(first, count, w[seen], colour_intrinsics.height, colour_intrinsics.width)


@lru_cache(maxsize=4)
def _in_view(camera: Intrinsics) -> NDArray[np.float32]:
    """(H, W, 2) where the straight view of a camera shows each of its pixels, as (u, v)."""
    v, u = np.mgrid[: camera.height, : camera.width].astype(np.float64)
    return to_view(camera, np.stack([u, v], axis=-1)).astype(np.float32)


def _squares(
    camera: Intrinsics, u: NDArray[np.intp], v: NDArray[np.intp]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Where pixels (N,) would lie without distortion, (2, N); and their four corners from there,
    (4, 2, N), or (4, 2, 1) where there is none. Neighbours share their corners: no cracks."""
    if not camera.distortion:
        return np.stack([u, v]), _CORNERS
    grid, row = _corner_grid(camera), camera.width + 1
    first = v * row + u
    corners = np.stack([grid[:, first + step] for step in (0, 1, row, row + 1)])
    middle = corners.mean(axis=0)
    return middle, corners - middle


@lru_cache(maxsize=4)
def _corner_grid(camera: Intrinsics) -> Floats:
    """(2, (H + 1) (W + 1)) where the corners of all pixels would lie without distortion."""
    v, u = np.mgrid[: camera.height + 1, : camera.width + 1] - 0.5
    corners = np.stack([u.ravel(), v.ravel()], axis=-1)
    return np.ascontiguousarray(camera.rectify_pixels(corners).T)


def splat(
    first: NDArray[np.int_], count: NDArray[np.int_], z: NDArray[Any], height: int, width: int
) -> Depth:
    """(height, width) float32: ``count`` (2, N) pixels from ``first`` (2, N) on, as (u, v), filled
    with z (N,); the least wins, and 0 is left where there is none."""
    if count.max(initial=0) > _FEW:
        nearest = _splat_large(first, count, z, height, width)
    else:
        nearest = np.full(height * width, np.inf, z.dtype)
        across, down = count.max(axis=1, initial=0)
        for du in range(across):
            for dv in range(down):
                u, v = first[0] + du, first[1] + dv
                covered = (count[0] > du) & (count[1] > dv)
                covered &= (u >= 0) & (u < width) & (v >= 0) & (v < height)
                np.minimum.at(nearest, v[covered] * width + u[covered], z[covered])
    nearest[np.isinf(nearest)] = 0
    return nearest.reshape(height, width).astype(np.float32)


def _splat_large(
    first: NDArray[np.int_], count: NDArray[np.int_], z: NDArray[Any], height: int, width: int
) -> NDArray[Any]:
    """(height * width,) as :func:`splat`, infinite where there is none.

    A side of n pixels is covered by two of 2^k, the largest power up to n. Rectangles with such
    sides are drawn at their first pixel, all of one size into one image, and the images halved
    down to single pixels: the work hardly grows with the size of the footprints.
    """
    low = np.maximum(first, 0)
    count = np.minimum(first + count, [[width], [height]]) - low
    inside = (count[0] > 0) & (count[1] > 0)
    low, count, z = low[:, inside], count[:, inside], z[inside]
    table = np.array([0, *(side.bit_length() - 1 for side in range(1, count.max(initial=0) + 1))])
    power = table[count]
    drawn: dict[tuple[int, int], NDArray[Any]] = {}
    kinds = np.bincount(power[0] * len(table) + power[1])
    for a, d in (divmod(int(kind), len(table)) for kind in np.flatnonzero(kinds)):
        rows = np.flatnonzero((power[0] == a) & (power[1] == d))
        place = low[1, rows] * width + low[0, rows]
        du, dv = count[0, rows] - (1 << a), (count[1, rows] - (1 << d)) * width
        image = drawn[a, d] = np.full(height * width, np.inf, z.dtype)
        for shift in (np.zeros(1, int), du, dv, du + dv):
            np.minimum.at(image, place + shift, z[rows])
    for axis, step in ((0, 1), (1, width)):
        while large := [powers for powers in drawn if powers[axis]]:
            powers = max(large, key=lambda powers: powers[axis])
            image, apart = drawn.pop(powers), step << powers[axis] - 1
            half = (powers[0] - (axis == 0), powers[1] - (axis == 1))
            into = drawn.setdefault(half, image)
            if into is not image:
                np.minimum(into, image, out=into)
                np.minimum(into[apart:], image[:-apart], out=into[apart:])
            else:
                into[apart:] = np.minimum(image[apart:], image[:-apart])
    return drawn.get((0, 0), np.full(height * width, np.inf, z.dtype))


def rigid(matrix: ArrayLike) -> Floats:
    """A rigid transform (4, 4) as float64; raises InputError when it is none."""
    transform = np.asarray(matrix, dtype=np.float64)
    if transform.shape != (4, 4) or not np.isfinite(transform).all():
        raise InputError(
            f"transform: got shape {transform.shape}, expected finite numbers (4, 4) in metres"
        )
    rotation = transform[:3, :3]
    turned = np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3)
    if not turned or np.linalg.det(rotation) < 0 or not np.allclose(transform[3], [0, 0, 0, 1]):
        raise InputError("transform: expected a rotation and a shift with the last row 0 0 0 1")
    return transform
