"""How a rigid object lies on a table: tip it over until its centre of mass is above its support.

Dropping objects to find that out was half of the time of generating a frame; this takes well below
a millisecond, after which the engine has hardly anything left to settle.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.simulation.rotation import towards

Floats = NDArray[np.float64]
_MOST_TIPS = 200


def resting(surface: ArrayLike, down: ArrayLike) -> Floats:
    """Rotation (3, 3) from the object's frame to a world with z up in which the object rests.

    The object starts on the table with ``down`` downwards and tips, always over the corner or edge
    of its support that is nearest to the foot of its centre of mass, until that foot lies within.

    Args:
        surface: (V, 3) points that span the object, relative to its centre of mass (of an
            object with mesh parts something near it, see ``objects.centred``; the engine settles
            the rest).
        down: (3,) direction in the object's frame.
    """
    points = np.asarray(surface, dtype=np.float64)
    axis = np.asarray(down, dtype=np.float64) / np.linalg.norm(down)
    near = 1e-5 * float(np.abs(points).max())
    for _ in range(_MOST_TIPS):
        heights = points @ axis
        support = points[heights > heights.max() - near]
        foot = _nearest(support, axis, near)
        if foot is None:
            break
        aside = -foot / np.sqrt(foot @ foot)
        corner = support[np.argmax(support @ aside)]
        # point p reaches the table after a turn of atan2((corner - p) axis, (p - corner) aside);
        # those of the support that lift off, and the edge itself, do not count
        ahead = points @ aside - corner @ aside
        rising = ahead > near
        if not rising.any():
            break
        above = np.maximum(corner @ axis - heights[rising], 0.0)
        angle = np.arctan((above / ahead[rising]).min())
        axis = np.cos(angle) * axis + np.sin(angle) * aside
        axis /= np.sqrt(axis @ axis)
    return towards((0, 0, -1), axis)


def _nearest(support: Floats, axis: Floats, near: float) -> Floats | None:
    """The point (3,) nearest to the origin of the convex hull of points (S, 3) projected along an
    axis (3,), None when the origin is within."""
    first = np.eye(3)[np.abs(axis).argmin()]
    first = first - axis * (axis @ first)
    first /= np.sqrt(first @ first)
    x, y, z = axis
    second = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ first
    basis = np.stack([first, second])
    flat = support @ basis.T
    best = flat[np.argmin((flat**2).sum(axis=1))]
    if len(flat) > 1:
        angles = np.arctan2(flat[:, 1], flat[:, 0])
        angles.sort()
        gap = max((angles[1:] - angles[:-1]).max(), angles[0] + 2 * np.pi - angles[-1])
        if gap < np.pi - 1e-6:
            return None
        start, end = (flat[index] for index in _pairs(len(flat)))
        along = end - start
        length = np.maximum((along**2).sum(axis=1), 1e-18)
        share = np.clip(-(start * along).sum(axis=1) / length, 0, 1)
        on_edges = start + share[:, None] * along
        nearest = on_edges[np.argmin((on_edges**2).sum(axis=1))]
        best = min(best, nearest, key=lambda point: float(point @ point))
    return best @ basis if best @ best > near**2 else None


@lru_cache(maxsize=128)
def _pairs(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.triu_indices(count, 1)
