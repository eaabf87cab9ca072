"""Resampling a frame: the affine of a crop and an anti-aliased warp, for depth with holes, too.

Pixels follow the project's convention: integer coordinates are pixel centres, so resizing by s maps
u to (u + 0.5) s - 0.5. Everything goes through one 2x3 affine in float.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.errors import InputError
from graspling.frames import valid_depth
from graspling.holes import Depth, fill_known, masked_mean

Affine = NDArray[np.float64]
Roi = Sequence[float]
Crop = Literal["centre", "letterbox"]


def crop_affine(
    height: int, width: int, size: int, crop: Crop = "centre", roi: Roi | None = None
) -> Affine:
    """The 2x3 affine from frame pixels (u, v, 1) to pixels of a ``size`` x ``size`` input.

    The square is that of :func:`crop_box`, which says what the arguments mean and what is raised.
    """
    left, top, right, _ = crop_box(height, width, crop, roi)
    scale = size / (right - left)
    return np.array(
        [
            [scale, 0.0, (0.5 - left) * scale - 0.5],
            [0.0, scale, (0.5 - top) * scale - 0.5],
        ]
    )


def crop_box(
    height: int, width: int, crop: Crop = "centre", roi: Roi | None = None
) -> tuple[float, float, float, float]:
    """The square (u0, v0, u1, v1) of a frame that becomes the input, u1 and v1 excluded; a part of
    it may lie outside of the frame.

    Args:
        crop: "centre" takes the largest centred square, "letterbox" the whole frame with its
            border repeated above and below (or left and right).
        roi: (u0, v0, u1, v1), u1 and v1 excluded. Takes the square around this region, as long as
            its longer side and shifted into the frame where it fits; overrides ``crop``.

    Raises:
        InputError: ``crop`` is unknown or ``roi`` is empty or outside the frame.
    """
    if roi is not None:
        u0, v0, u1, v1 = clip_roi(roi, height, width)
        side = float(max(u1 - u0, v1 - v0))
        left = _shift_inside((u0 + u1 - side) / 2, side, width)
        top = _shift_inside((v0 + v1 - side) / 2, side, height)
    elif crop == "centre":
        side = min(height, width)
        left, top = (width - side) // 2, (height - side) // 2
    elif crop == "letterbox":
        side = max(height, width)
        left, top = (width - side) / 2, (height - side) / 2
    else:
        raise InputError(f"crop {crop!r} is unknown; choose one of {', '.join(get_args(Crop))}")
    return left, top, left + side, top + side


def _shift_inside(start: float, length: float, limit: int) -> float:
    return min(max(start, 0.0), limit - length) if length <= limit else (limit - length) / 2


def clip_roi(roi: Roi, height: int, width: int) -> tuple[int, int, int, int]:
    """The part (u0, v0, u1, v1) of a region that lies in the frame, in whole pixels."""
    try:
        numbers = np.asarray(roi, dtype=float)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.shape != (4,) or not np.isfinite(numbers).all():
        raise InputError(f"roi {roi!r}: expected four numbers u0, v0, u1, v1")
    u0, v0, u1, v1 = (round(float(value)) for value in numbers)
    clipped = max(u0, 0), max(v0, 0), min(u1, width), min(v1, height)
    if clipped[0] >= clipped[2] or clipped[1] >= clipped[3]:
        raise InputError(
            f"roi {u0},{v0},{u1},{v1} holds no pixel of the {width}x{height} frame; "
            "expected u0,v0,u1,v1 with u0 < u1 and v0 < v1, in pixels of the frame"
        )
    return clipped


def compose(outer: ArrayLike, inner: ArrayLike) -> Affine:
    """The affine that applies ``inner`` first and ``outer`` then; all are 2x3."""
    bottom = [[0.0, 0.0, 1.0]]
    product = np.vstack([np.asarray(outer, float), bottom]) @ np.vstack([inner, bottom])
    return np.asarray(product[:2], dtype=np.float64)


@dataclass(frozen=True)
class Window:
    """The part of a frame that an affine looks at, and the rest of the way from there."""

    rows: slice
    columns: slice
    pad: tuple[int, int]  # rows and columns to repeat so that `factor` divides the part
    factor: int  # whole number by which the part is shrunk before the affine
    affine: Affine  # from the shrunk part to the input

    @classmethod
    def of(cls, height: int, width: int, affine: Affine, size: int) -> Window:
        """The window of a (height, width) frame for an affine to a (size, size) input."""
        shrink = 1 / math.sqrt(abs(float(np.linalg.det(affine[:, :2]))))
        factor = max(1, math.floor(shrink + 1e-6))
        inverse = cv2.invertAffineTransform(affine)
        u0, u1 = _seen(inverse[0], size, factor, width)
        v0, v1 = _seen(inverse[1], size, factor, height)
        u1, v1 = u0 + _multiple(u1 - u0, factor), v0 + _multiple(v1 - v0, factor)
        offset = (factor - 1) / 2  # the centre of the first block of pixels
        grow = np.array([[factor, 0.0, u0 + offset], [0.0, factor, v0 + offset]])
        return cls(
            slice(v0, min(v1, height)),
            slice(u0, min(u1, width)),
            (max(v1 - height, 0), max(u1 - width, 0)),
            factor,
            compose(affine, grow),
        )

    def cut(self, image: NDArray[Any]) -> NDArray[Any]:
        """The part of the frame, a view unless its border must be repeated."""
        part = image[self.rows, self.columns]
        if any(self.pad):
            part = cv2.copyMakeBorder(part, 0, self.pad[0], 0, self.pad[1], cv2.BORDER_REPLICATE)
        return part

    def shrunk(self, part: NDArray[Any]) -> tuple[int, int]:
        """(width, height) of a part after :meth:`shrink`."""
        return part.shape[1] // self.factor, part.shape[0] // self.factor

    def shrink(self, part: NDArray[Any]) -> NDArray[Any]:
        """Average whole blocks of pixels."""
        if self.factor == 1:
            return part
        return cv2.resize(part, self.shrunk(part), interpolation=cv2.INTER_AREA)

    def finish(self, part: NDArray[Any], size: int) -> NDArray[Any]:
        """Resample the shrunk part into the input (see :func:`warp_padded`)."""
        if part.ndim == 3 and part.shape[2] == 3 and part.dtype == np.uint8:
            part = cv2.cvtColor(part, cv2.COLOR_RGB2RGBA)
        return cv2.warpAffine(
            part, self.affine, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )


def _seen(row: Affine, size: int, margin: int, limit: int) -> tuple[int, int]:
    """First and last (excluded) column that a (size, size) input sees, for the first row of the
    inverse affine; likewise rows, for its second row. The margin of one shrunk pixel lets the
    interpolation at the rim see its true neighbours."""
    a, b, start = (float(x) for x in row)
    corners = [start + a * x + b * y for x in (-0.5, size - 0.5) for y in (-0.5, size - 0.5)]
    first = min(max(math.floor(min(corners)) - margin, 0), limit - 1)
    return first, min(max(math.ceil(max(corners)) + margin + 1, first + 1), limit)


def _multiple(length: int, factor: int) -> int:
    return -(-length // factor) * factor


def warp(image: NDArray[Any], affine: ArrayLike, size: int) -> NDArray[Any]:
    """Resample an image (H, W) or (H, W, C) into (size, size[, C]) by a 2x3 affine old -> new.

    Bilinear, borders repeated. Where it shrinks by 2 or more, whole blocks are averaged first, so
    that thin things do not fall between the samples. Depth goes through :func:`warp_depth`.
    """
    warped = warp_padded(image, np.asarray(affine, dtype=np.float64), size)
    if image.ndim == 2:
        return warped
    # OpenCV drops the axis of a single channel
    return warped.reshape(size, size, -1)[..., : image.shape[2]]


def warp_padded(image: NDArray[Any], affine: Affine, size: int) -> NDArray[Any]:
    """Like :func:`warp`, but an image of three bytes a pixel comes back with a meaningless fourth:
    OpenCV warps four channels more than twice as fast as three, and a copy would undo that."""
    window = Window.of(image.shape[0], image.shape[1], affine, size)
    return window.finish(window.shrink(window.cut(image)), size)


def warp_depth(depth: Depth, affine: Affine, size: int) -> Depth:
    """Like :func:`warp` for depth (H, W), metres: missing pixels take part in no average and are
    filled before the interpolation. Only the part in view is touched.

    Raises:
        InputError: every pixel in view is missing.
    """
    window = Window.of(depth.shape[0], depth.shape[1], affine, size)
    part = window.cut(depth)
    part, valid = masked_mean(part, valid_depth(part), window.factor)
    return np.asarray(window.finish(fill_known(part, valid), size), dtype=np.float32)
