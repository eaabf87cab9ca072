"""The depth that a grasp's rectangle lies on, and how much of it is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from graspling.frames import valid_depth
from graspling.gripper import Gripper
from graspling.intrinsics import Intrinsics

if TYPE_CHECKING:
    from graspling.grasps import Grasps

Floats = NDArray[np.float64]
Depth = NDArray[np.float32]
Bools = NDArray[np.bool_]

# of the depths between the pads, which is the surface: the nearest but for outliers
_NEAREST = 0.05
# The square about the centre: its side in metres, or so many pixels where that is more. Lone
# missing pixels leave most of it known, a hole does not, however much is known around it.
_CENTRE, _CENTRE_PIXELS = 0.006, 4


def surface_of(
    grasps: Grasps, depth: Depth, intrinsics: Intrinsics, gripper: Gripper
) -> tuple[Floats, Floats, Floats]:
    """(N,) nearest depth between the pads, 0 = none, and the shares of depth that is known: there,
    over the opening less the clearances, as long as the pads, and about the centre."""
    known = valid_depth(depth) > 0
    along = np.stack([np.cos(grasps.angle), np.sin(grasps.angle)], axis=1)
    aside = np.stack([-along[:, 1], along[:, 0]], axis=1)
    z, share = np.zeros(len(grasps)), np.zeros(len(grasps))
    inner, jaw = grasps.width * 0.7, np.minimum(grasps.jaw, grasps.width)
    x, y = (
        axis.ravel() for axis in np.meshgrid(np.linspace(-0.5, 0.5, 33), np.linspace(-0.5, 0.5, 9))
    )

    def known_at(u: Floats, v: Floats) -> tuple[Bools, NDArray[np.int_], NDArray[np.int_]]:
        """Where depth is known at pixels, their rows and columns."""
        i, j = np.rint(v).astype(int), np.rint(u).astype(int)
        within = (i >= 0) & (i < depth.shape[0]) & (j >= 0) & (j < depth.shape[1])
        i, j = np.where(within, i, 0), np.where(within, j, 0)
        return within & known[i, j], i, j

    for _ in range(3):
        u = grasps.u[:, None] + np.outer(inner * along[:, 0], x) + np.outer(jaw * aside[:, 0], y)
        v = grasps.v[:, None] + np.outer(inner * along[:, 1], x) + np.outer(jaw * aside[:, 1], y)
        there, i, j = known_at(u, v)
        share = there.mean(axis=1)
        values = np.sort(np.where(there, depth[i, j], np.inf), axis=1)
        rank = np.maximum(np.floor(_NEAREST * there.sum(axis=1)).astype(int), 0)
        z = np.where(there.any(axis=1), values[np.arange(len(z)), rank], 0.0)
        scale = intrinsics.focal / np.where(z > 0, z, 1.0).astype(np.float64)
        jaw = gripper.pad_length * scale
        inner = np.maximum(grasps.width - 2 * gripper.clearance * scale, grasps.width / 4)
    half = np.maximum(_CENTRE / 2 * scale, _CENTRE_PIXELS / 2)
    x, y = (axis.ravel() for axis in np.meshgrid(*[np.linspace(-1, 1, 5)] * 2))
    there, _, _ = known_at(
        grasps.u[:, None] + np.outer(half, x), grasps.v[:, None] + np.outer(half, y)
    )
    return z.astype(np.float64), share, there.mean(axis=1)
