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
    first, last = _limits(camera)
    if np.isfinite(outline).all():
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
    where = camera.project(view.deproject(u, v, 1.0)).astype(np.float32)
    outline = camera.rectify_pixels(_border(camera))
    first, last = _limits(camera)
    if ((outline >= first) & (outline <= last)).all():
        # beyond its field of view a lens's formula may lead back into the image
        seen = np.zeros((view.height, view.width), np.uint8)
        shown = outline + [view.cx - camera.cx, view.cy - camera.cy]
        cv2.fillPoly(seen, [np.rint(shown).astype(np.int32)], 1)
        where[seen == 0] = -2
    return where


def _limits(camera: Intrinsics) -> tuple[Floats, Floats]:
    """First and last pixel that a straight view may have, as (u, v) of the rectified image."""
    size = np.array([camera.width, camera.height], dtype=np.float64)
    return -size, 2 * size


def _border(camera: Intrinsics) -> Floats:
    """(N, 2) the outermost pixels as (u, v), once around."""
    right, bottom = camera.width - 1, camera.height - 1
    u, v = np.arange(camera.width), np.arange(camera.height)
    sides = [(u, 0 * u), (0 * v + right, v), (u[::-1], 0 * u + bottom), (0 * v, v[::-1])]
    return np.concatenate([np.stack(side, axis=1) for side in sides]).astype(np.float64)
