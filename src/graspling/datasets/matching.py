"""Frames without labels made to look like the labelled ones, where the two came different ways.

A student that sees sharp, whole frames without labels and soft, black-rimmed ones with them can
tell the two apart, and learns that instead of grasps. Used by the recovered copy of Cornell.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

# Resampling of the labelled images. By area down and cubic up gives their sharpness: the standard
# deviation above sigma 0.6, 0.6 to 1, 1 to 1.6 px is 0.77, 0.90, 1.49 against 0.78, 0.88, 1.46
# (raw frames: 1.10, 1.10, 1.63).
_SCALE = 0.7
# What is no brighter than this and touches the border was seen by no view (JPEG adds some noise).
_BLACK = 8


def softened(image: Image) -> Image:
    """(H, W, 3) resampled to 0.7 of its size and back."""
    height, width = image.shape[:2]
    small = cv2.resize(image, None, fx=_SCALE, fy=_SCALE, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def black_border(image: Image) -> NDArray[np.bool_]:
    """(H, W): black and connected with the border of the image."""
    dark = (image.max(axis=2) <= _BLACK).astype(np.uint8)
    _, parts = cv2.connectedComponents(dark, connectivity=4)
    rim = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    touching = np.setdiff1d(rim, [0])
    return np.asarray(np.isin(parts, touching))


def matched(image: Image, like: Image) -> Image:
    """As soft as the labelled images, with the black border of one of them; sizes must agree."""
    result = softened(image)
    result[black_border(like)] = 0
    return result
