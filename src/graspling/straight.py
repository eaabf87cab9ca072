"""All that a bent lens saw, without distortion.

:meth:`Intrinsics.rectify` gives an image of the same size and loses what a lens that bends inwards
(the barrel of most wide lenses) saw near the borders. Here the image is as large as that takes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.intrinsics import Floats, Intrinsics


@lru_cache(maxsize=4)
def straight_view(camera: Intrinsics) -> Intrinsics:
    """A camera without distortion, of the same focal length, whose image holds that of this one.

    It reaches at most one width or height beyond the image on each side: the rim of a fish-eye that
    sees more than 150 degrees from corner to corner is left out.
    """
    outline = camera.rectify_pixels(_border(camera))
    size = np.array([camera.width, camera.height])
    first, last = -size, 2 * size
    outline = outline[np.isfinite(outline).all(axis=1)]  # strong lenses say nothing of corners
    if len(outline):
        first = np.maximum(first, np.floor(outline.min(axis=0)))
        last = np.minimum(last, np.ceil(outline.max(axis=0)))
    low, high = np.minimum(first, 0).astype(int), np.maximum(last, 0).astype(int)
    return camera.rectified.crop(*low.tolist(), *(high - low + 1).tolist())


def straightened(image: NDArray[Any], camera: Intrinsics) -> NDArray[Any]:
    """The image (H, W) as :func:`straight_view` shows it: the nearest pixel, 0 where the lens saw
    nothing."""
    where = _raw_pixels(camera)
    return np.asarray(cv2.remap(image, where[..., 0], where[..., 1], cv2.INTER_NEAREST))


def to_view(camera: Intrinsics, pixels: Floats) -> Floats:
    """Pixels (..., 2) of this camera as (u, v) to where its straight view shows them."""
    view = straight_view(camera)
    return camera.rectify_pixels(pixels) + [view.cx - camera.cx, view.cy - camera.cy]


@lru_cache(maxsize=4)
def _raw_pixels(camera: Intrinsics) -> NDArray[np.float32]:
    """(H, W, 2) where each pixel of the straight view lies in the image; -2 outside of it."""
    view = straight_view(camera)
    v, u = np.mgrid[: view.height, : view.width].astype(np.float64)
    where = camera.project(view.deproject(u, v, 1.0))
    # Beyond its field of view a lens's formula may lead back into the image: mirrored first, so
    # what it shows is what hangs together with the middle and is not mirrored.
    (down_u, right_u), (down_v, right_v) = (np.gradient(where[..., axis]) for axis in (0, 1))
    last = [camera.width - 0.5, camera.height - 0.5]
    within = ((where > -0.5) & (where < last)).all(axis=-1)
    shown = np.asarray(within & (right_u * down_v > right_v * down_u))
    _, part = cv2.connectedComponents(shown.astype(np.uint8), connectivity=4)
    middle = to_view(camera, np.array([camera.width - 1, camera.height - 1]) / 2)
    if np.isfinite(middle).all():
        column, row = np.rint(middle).astype(int)
        shown &= part == part[row, column]
    where[~shown] = -2
    return where.astype(np.float32)


def _border(camera: Intrinsics) -> Floats:
    """(N, 2) the outermost pixels as (u, v), once around."""
    right, bottom = camera.width - 1, camera.height - 1
    u, v = np.arange(camera.width), np.arange(camera.height)
    sides = [(u, 0 * u), (0 * v + right, v), (u[::-1], 0 * u + bottom), (0 * v, v[::-1])]
    return np.concatenate([np.stack(side, axis=1) for side in sides]).astype(np.float64)
