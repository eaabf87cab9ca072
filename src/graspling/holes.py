"""Holes in depth images, filled by a masked pyramid: fast, and made of means only.

Inpainting as in public grasp code takes 7 ms and more for a frame and can leave the range of the
depth around the hole; this takes about a tenth of a millisecond at the size of a network's input.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.errors import InputError
from graspling.frames import ALL_MISSING, unmasked, valid_depth

Depth = NDArray[np.float32]

_STRIP = 1 << 16  # pixels that are worked on at a time


def fill_holes(depth: ArrayLike) -> Depth:
    """Fill missing depth (0, negative, NaN, infinite) smoothly from what surrounds it.

    A masked pyramid: each level halves the image by the mean of the valid pixels until no hole is
    left, then holes are filled from the next coarser level on the way up. Valid pixels stay
    exactly as they are.

    Args:
        depth: (H, W), metres.

    Returns:
        (H, W) float32, metres, every pixel > 0.

    Raises:
        InputError: no pixel is valid.
    """
    metres = np.asarray(unmasked(depth), dtype=np.float32)
    return fill_known(metres, valid_depth(metres))


def fill_known(depth: Depth, valid: NDArray[np.uint8]) -> Depth:
    """Like :func:`fill_holes`, when it is known what is valid (255, else 0)."""
    if not cv2.countNonZero(valid):
        raise InputError(f"depth: {ALL_MISSING}")
    return _fill(depth, valid)


def _fill(depth: Depth, valid: NDArray[np.uint8]) -> Depth:
    if cv2.countNonZero(valid) == valid.size:
        return depth
    height, width = depth.shape
    odd = (0, height % 2, 0, width % 2)  # one missing row or column more makes the sizes even
    if any(odd):
        depth = np.asarray(cv2.copyMakeBorder(depth, *odd, cv2.BORDER_CONSTANT), dtype=np.float32)
        valid = np.asarray(cv2.copyMakeBorder(valid, *odd, cv2.BORDER_CONSTANT), dtype=np.uint8)
    coarse = _fill(*masked_mean(depth, valid, 2))
    even = (depth.shape[1], depth.shape[0])
    filled = cv2.resize(coarse, even, interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.copyTo(depth, valid, filled)[:height, :width], dtype=np.float32)


def masked_mean(
    depth: Depth, valid: NDArray[np.uint8], factor: int
) -> tuple[Depth, NDArray[np.uint8]]:
    """Mean of the valid pixels in blocks of factor x factor, and where there were any (255 or 0).

    In strips, whose temporary arrays stay in the cache: in one piece, fresh pages from the
    operating system cost more than the work itself.
    """
    if factor == 1:
        return depth, valid
    height, width = depth.shape[0] // factor, depth.shape[1] // factor
    mean = np.empty((height, width), dtype=np.float32)
    some = np.empty((height, width), dtype=np.uint8)
    step = max(1, _STRIP // (width * factor**2))
    for top in range(0, height, step):
        rows = slice(top, min(top + step, height))
        source = slice(rows.start * factor, rows.stop * factor)
        size = (width, rows.stop - rows.start)
        known = cv2.copyTo(depth[source], valid[source])
        total = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
        share = cv2.resize(valid[source].astype(np.float32), size, interpolation=cv2.INTER_AREA)
        # valid is 255 or 0; where share is 0 the quotient is not finite, and not used
        mean[rows] = cv2.divide(total, share, scale=255.0)
        # 256: a mean of 255 may be rounded up
        some[rows] = cv2.inRange(share, (1e-9,), (256.0,))
    return mean, some
