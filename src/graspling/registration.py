"""Depth of one camera as another one sees it.

Conventions as in :mod:`graspling.intrinsics`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.errors import InputError
from graspling.frames import unmasked
from graspling.intrinsics import Intrinsics

Floats = NDArray[np.float64]
Depth = NDArray[np.float32]

# a depth pixel that would cover more than this many colour pixels across lies on the lens
_LARGEST_FOOTPRINT = 32
# borders of footprints this close to a pixel centre count as on it, whatever the rounding
_SNAP = 1e-6


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
    if depth_intrinsics.distortion or colour_intrinsics.distortion:
        straight = register_depth(
            depth_intrinsics.rectify(depth),
            depth_intrinsics.rectified,
            colour_intrinsics.rectified,
            transform,
        )
        return np.asarray(colour_intrinsics.unrectify(straight), np.float32)
    v, u = np.nonzero(np.isfinite(depth) & (depth > 0))
    z = depth[v, u].astype(np.float64)

    # homogeneous colour pixels are linear in the depth pixel: z (to_colour (u, v, 1)) + shift
    k = colour_intrinsics.matrix
    to_colour = k @ transform[:3, :3] @ np.linalg.inv(depth_intrinsics.matrix)
    shift = k @ transform[:3, 3]
    x, y, w = (z * (a * u + b * v + c) + s for (a, b, c), s in zip(to_colour, shift, strict=True))
    along_u, along_v = (z * to_colour[:, [axis]] / 2 for axis in (0, 1))

    good = w - abs(along_u[2]) - abs(along_v[2]) > 0  # all of it before the colour camera
    x, y, w, along_u, along_v = x[good], y[good], w[good], along_u[:, good], along_v[:, good]
    low, high = np.full((2, w.size), np.inf), np.full((2, w.size), -np.inf)
    for step in (along_u + along_v, along_u - along_v, along_v - along_u, -along_u - along_v):
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


def splat(
    first: NDArray[np.int_], count: NDArray[np.int_], z: NDArray[Any], height: int, width: int
) -> Depth:
    """(height, width) float32: ``count`` (2, N) pixels from ``first`` (2, N) on, as (u, v), filled
    with z (N,); the least wins, and 0 is left where there is none."""
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
