"""What a stereo or pattern depth camera makes of a clean depth image: SimKinect, extended.

In the order in which it happens in the sensor, everything in pixels of disparity d = f b / z:

1. *Pixel shift*: a match is found for a pixel beside the right one, which makes outlines wavy
   (Barron and Malik 2013; Handa et al. 2014, "SimKinect"; there from pixel to pixel, but real
   outlines waver over several pixels, so here over ``shift_length``).
2. *Smear*: a match is made between windows, so steps of depth become short slopes.
   *Noise*: white, plus a smooth field, because neighbouring pixels share their window.
3. *Quantisation* to ``step``. A depth error grows with z squared of itself, as it must.
4. *Shadow*: what the second camera or the projector, ``baseline`` beside, does not see is missing.
5. *Edges*: beside a jump of depth a share of the matches fails, in pieces as long as the shift's.
6. *Windows*: whole patches are missing (gloss, dark, dirt), and single pixels.

The defaults are those of a PrimeSense or Kinect at 0.5 to 1 m; ``fit`` reads them from a real
frame. NumPy and OpenCV only: it is applied while training, about 3 ms for 640x480.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.camera import Intrinsics
from graspling.errors import InputError
from graspling.simulation.random_fields import crop, scratch, smooth_field

Depth = NDArray[np.float32]
Generator = np.random.Generator


_WIDTH = 640  # pixels, of the images that a sensor's lengths are stated for


@dataclass(frozen=True)
class DepthNoise:
    """Of one sensor; lengths in pixels are those of images 640 pixels wide, see ``for_width``.

    Attributes:
        baseline: between the two cameras, or camera and projector, metres; > 0 means that the
            second one is to the right (a shadow is then to the left of an object).
        shift: standard deviation of the pixel shift, pixels.
        shift_length: over which the shift is correlated, pixels.
        smear: standard deviation of the blur of disparity, pixels; 0 none.
        step: quantum of disparity, pixels; 0 none.
        white: standard deviation of the noise from pixel to pixel, pixels of disparity.
        smooth: standard deviation of the correlated noise, pixels of disparity.
        length: over which that is correlated, pixels.
        jump: relative change of depth between neighbours that is an edge.
        edge_loss: share of pixels missing beside an edge.
        windows: mean number of missing patches in 640x480 pixels.
        window_radius: mean radius of these, pixels.
        loss: share of single pixels missing.
        nearest, farthest: beyond these depths nothing is measured, metres.

    Raises:
        InputError: a value is negative or a share above 1.
    """

    baseline: float = 0.075
    shift: float = 0.8
    shift_length: float = 4.0
    smear: float = 1.0
    step: float = 0.125
    white: float = 0.02
    smooth: float = 0.05
    length: float = 6.0
    jump: float = 0.015
    edge_loss: float = 0.15
    windows: float = 3.0
    window_radius: float = 5.0
    loss: float = 0.0002
    nearest: float = 0.2
    farthest: float = 8.0

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            share = entry.name in ("edge_loss", "loss")
            free = entry.name == "baseline"
            if not np.isfinite(value) or (value < 0 and not free) or (share and value > 1):
                expected = "0 to 1" if share else "a number, 0 or more"
                raise InputError(f"depth noise: {entry.name} is {value!r}, expected {expected}")
        if self.baseline == 0:
            raise InputError("depth noise: baseline is 0, expected metres")

    def scaled(self, factor: float) -> DepthNoise:
        """The same sensor, better or worse: all errors and shares times ``factor`` >= 0."""
        names = ("shift", "smear", "step", "white", "smooth", "edge_loss", "windows", "loss")
        values = {name: getattr(self, name) * factor for name in names}
        values["edge_loss"] = min(values["edge_loss"], 1.0)
        values["loss"] = min(values["loss"], 1.0)
        return replace(self, **values)

    def resized(self, factor: float) -> DepthNoise:
        """The same sensor on images ``factor`` > 0 times as wide as those that it was stated for:
        every length in pixels follows, the number of missing patches a frame stays."""
        names = ("shift", "shift_length", "smear", "step", "white", "smooth", "length")
        values = {name: getattr(self, name) * factor for name in names}
        radius = self.window_radius * factor
        return replace(self, **values, window_radius=radius, windows=self.windows / factor**2)

    def for_width(self, width: int) -> DepthNoise:
        """The same sensor on images so many pixels wide."""
        return self.resized(width / _WIDTH)

    def apply(self, depth: Depth, intrinsics: Intrinsics, rng: Generator) -> Depth:
        """(H, W) float32 metres as the sensor would give them, 0 = missing.

        Args:
            depth: (H, W) metres along z, 0 = missing; it is not changed.
            intrinsics: of this image.
            rng: the same state gives the same image.
        """
        height, width = depth.shape
        clean = np.array(depth, np.float32, order="C")
        if self.shift:
            clean = _shifted(clean, self.shift, self.shift_length, rng)
        gone = (clean < np.float32(self.nearest)) | (clean > np.float32(self.farthest))
        # pixels without depth must not divide by 0 nor throw shadows
        np.copyto(clean, self.farthest, where=gone)
        focal = np.float32(intrinsics.fx * abs(self.baseline))
        disparity = np.divide(focal, clean, out=scratch("disparity", clean.shape))
        gone |= _shadow(disparity, self.baseline > 0)
        if self.edge_loss:
            level = NormalDist().inv_cdf(min(self.edge_loss, 0.999))
            lost = smooth_field(rng, height, width, self.shift_length) < np.float32(level)
            gone |= _edges(clean, self.jump) & lost
        if self.smear:
            cv2.GaussianBlur(disparity, (5, 5), self.smear, dst=disparity)
        if self.white:
            field = scratch("field1", clean.shape)
            disparity += np.multiply(crop("normal", rng, height, width), self.white, out=field)
        if self.smooth:
            field = smooth_field(rng, height, width, self.length)
            field *= self.smooth
            disparity += field
        if self.step:
            step = np.float32(self.step)
            disparity *= 1 / step
            np.rint(disparity, out=disparity)
            disparity *= step
        np.maximum(disparity, np.float32(1e-3), out=disparity)
        measured: Depth = np.divide(focal, disparity, out=clean)
        _dig(gone, self.windows, self.window_radius, rng)
        if self.loss:
            gone |= crop("uniform", rng, height, width) < self.loss
        np.copyto(measured, 0, where=gone)
        return measured


def add_noise(
    depth: Depth,
    intrinsics: Intrinsics,
    rng: Generator,
    strength: float = 1.0,
    noise: DepthNoise | None = None,
) -> Depth:
    """A clean depth image as a sensor would give it, see :class:`DepthNoise`.

    Args:
        strength: of the errors; 0 changes nothing but what the sensor cannot see.
        noise: the sensor, by default a PrimeSense.
    """
    return (noise or DepthNoise()).scaled(strength).apply(depth, intrinsics, rng)


# ---- steps --------------------------------------------------------------------------------------


def _shifted(depth: Depth, sigma: float, length: float, rng: Generator) -> Depth:
    height, width = depth.shape
    places = smooth_field(rng, height, width, length, 2)
    places *= sigma
    places += _grid(height, width)
    # whole pixels: between two surfaces there is none
    none: Any = None
    whole = scratch("places", (height, width, 2), np.int16)
    cv2.convertMaps(places, none, cv2.CV_16SC2, dstmap1=whole, nninterpolation=True)
    border = cv2.BORDER_REPLICATE
    moved = cv2.remap(depth, whole, none, cv2.INTER_NEAREST, borderMode=border)
    return np.asarray(moved, np.float32)


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> Depth:
    """(H, W, 2) column and row of each pixel."""
    v, u = np.indices((height, width), np.float32)
    return np.stack([u, v], axis=2)


def _shadow(disparity: Depth, right: bool) -> NDArray[np.bool_]:
    """(H, W) what the second camera does not see, because something nearer is in front of it.

    It sees a pixel at column u - d (or u + d when it is to the left); what a pixel further on
    already covers is hidden.
    """
    # columns as rows: running along the first axis goes many at a time
    across = scratch("across", disparity.shape[::-1])
    cv2.transpose(disparity, dst=across)
    columns = np.arange(len(across), dtype=np.float32)[:, None]
    if right:
        np.subtract(across, columns, out=across)
        across = across[::-1]
    else:
        across += columns
    furthest = scratch("furthest", across.shape)
    np.maximum.accumulate(across, axis=0, out=furthest)
    furthest -= across
    hidden = (furthest > 0.5)[:: -1 if right else 1]
    return np.asarray(cv2.transpose(np.ascontiguousarray(hidden).view(np.uint8))).view(np.bool_)


def _edges(depth: Depth, jump: float) -> NDArray[np.bool_]:
    """(H, W) within two pixels of a jump of depth."""
    window = np.ones((5, 5), np.uint8)
    range_ = cv2.morphologyEx(depth, cv2.MORPH_GRADIENT, window)
    return np.asarray(range_ > depth * np.float32(jump))


def _dig(gone: NDArray[np.bool_], count: float, radius: float, rng: Generator) -> None:
    """Mark ragged patches, ``count`` of them on average in 640x480 pixels."""
    height, width = gone.shape
    for _ in range(int(rng.poisson(count * height * width / 307_200))):
        r = 1 + rng.exponential(radius)
        a, b = int(r * rng.uniform(0.6, 1.6)) + 1, int(r * rng.uniform(0.6, 1.6)) + 1
        v, u = int(rng.integers(height)), int(rng.integers(width))
        top, left = max(v - a, 0), max(u - b, 0)
        patch = gone[top : v + a + 1, left : u + b + 1]
        dv = (np.arange(top, top + patch.shape[0]) - v)[:, None] / a
        du = (np.arange(left, left + patch.shape[1]) - u)[None] / b
        patch |= du**2 + dv**2 < rng.uniform(0.5, 1.2, patch.shape)
