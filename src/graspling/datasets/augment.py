"""Augmentation that moves image, depth and labels together, in float.

Geometry is one 2x3 affine that :class:`graspling.image.Preparation` joins to its own crop and
resize, so an augmented image is resampled once. A mirror or a turn reaches the angle through
:meth:`graspling.grasps.Grasps.transform`, never by flipping maps. Everything random is drawn from
(seed, epoch, sample id): the order of the samples and the number of workers do not matter.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.datasets.sample import Sample
from graspling.errors import InputError
from graspling.grasps import Grasps
from graspling.simulation.noise import DepthNoise

Affine = NDArray[np.float64]

# The largest values of what is no share or probability (and no more than a metre).
_MOST = {"rotation_deg": 360.0, "sensor_noise": 100.0}


def generator(seed: int, epoch: int, sample_id: str) -> np.random.Generator:
    """The source of all randomness of one presentation of one sample."""
    return np.random.default_rng([seed, epoch, zlib.crc32(sample_id.encode())])


@dataclass(frozen=True)
class Augmentation:
    """Ranges to draw from; the defaults change nothing.

    Attributes:
        rotation_deg: turn about the frame's centre, uniform in plus or minus this.
        quarter_turns: turn by 0, 90, 180 or 270 degrees as well, each as likely.
        zoom: (least, most) magnification, log-uniform. Depth is divided by it: the camera of a
            magnified picture is nearer.
        shift: largest move of the frame's centre, as share of its shorter side.
        flip: probability of a mirror left to right.
        brightness: largest change of the light, as share: pixels times 1 +- brightness.
        contrast: largest change of the distance to mid-grey, as share.
        colour: largest change of each colour channel by itself, as share.
        gamma: largest change of the exponent, as share.
        grey: probability that the colours are taken away.
        invert: probability that dark and light are exchanged.
        blur: probability of a Gaussian blur with a sigma up to 1.5 pixels.
        noise: largest standard deviation of the pixel noise, as share of full scale.
        depth_noise_m: largest standard deviation of the depth noise, metres.
        sensor_noise: largest strength of a depth sensor's noise (holes, shadows, disparity; see
            graspling.simulation.noise), 1 is that of a PrimeSense; for clean depth only. Frames
            need intrinsics.
        window: probability that the frame ends in black before the picture does, at a turned
            square, as pictures do that were turned or rectified. Depth is missing there, and labels
            with their centre there are gone.
    """

    rotation_deg: float = 0.0
    quarter_turns: bool = False
    zoom: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0
    flip: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    colour: float = 0.0
    gamma: float = 0.0
    grey: float = 0.0
    invert: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    depth_noise_m: float = 0.0
    sensor_noise: float = 0.0
    window: float = 0.0

    def __post_init__(self) -> None:
        least, most = self.zoom
        if not 0 < least <= most < math.inf:
            raise InputError(
                f"augmentation: zoom is {list(self.zoom)}, expected (least, most) above 0"
            )
        for field in fields(self):
            value, most = getattr(self, field.name), _MOST.get(field.name, 1.0)
            if field.name != "zoom" and not 0 <= value <= most:
                raise InputError(f"augmentation: {field.name} is {value}, expected 0 to {most:g}")

    def __call__(self, sample: Sample, rng: np.random.Generator) -> tuple[Sample, Affine]:
        """A jittered copy of the sample, still in its own frame, and the affine frame -> frame
        (2, 3) to hand to the preparation. Labels are left in the old frame on purpose: the
        preparation's total affine carries them to the input in one step."""
        height, width = sample.size
        affine, zoom = self.geometry(rng, height, width)
        rgb, depth = sample.rgb, sample.depth
        if rgb is not None:
            rgb = self.jitter_colour(rgb, rng)
        if depth is not None:
            if self.sensor_noise > 0:
                depth = self.sensed(sample, depth, rng)
            depth = depth / np.float32(zoom)
            if self.depth_noise_m > 0:
                sigma = rng.uniform(0, self.depth_noise_m)
                noise = rng.standard_normal(depth.shape, dtype=np.float32) * np.float32(sigma)
                depth = np.where(depth > 0, np.maximum(depth + noise, np.float32(1e-3)), depth)
        # a point at depth z is now at z / zoom and still on its pixel: the focal length shrank, and
        # the affine, which magnifies, brings it back
        camera = sample.intrinsics
        if camera is not None:
            camera = replace(camera, fx=camera.fx / zoom, fy=camera.fy / zoom)
        sample = replace(sample, rgb=rgb, depth=depth, intrinsics=camera)
        if self.window > 0 and rng.random() < self.window:
            sample = ended(sample, affine, rng)
        return sample, affine

    def sensed(
        self, sample: Sample, depth: NDArray[np.float32], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Clean depth (H, W) in metres as a sensor would give it, of random strength."""
        if sample.intrinsics is None:
            raise InputError(
                f"sample {sample.id!r}: sensor_noise needs intrinsics, which its data set does not "
                "know; set augmentation.sensor_noise to 0"
            )
        noise = DepthNoise().scaled(float(rng.uniform(0, self.sensor_noise)))
        return noise.for_width(depth.shape[1]).apply(depth, sample.intrinsics, rng)

    def geometry(self, rng: np.random.Generator, height: int, width: int) -> tuple[Affine, float]:
        """A random affine (2, 3) about the frame's centre, and its magnification."""
        turn = np.deg2rad(rng.uniform(-self.rotation_deg, self.rotation_deg))
        if self.quarter_turns:
            turn += np.pi / 2 * rng.integers(4)
        zoom = float(np.exp(rng.uniform(*np.log(self.zoom))))
        mirror = -1.0 if rng.random() < self.flip else 1.0
        move = rng.uniform(-self.shift, self.shift, size=2) * min(height, width)
        cos, sin = np.cos(turn) * zoom, np.sin(turn) * zoom
        linear = np.array([[cos * mirror, -sin], [sin * mirror, cos]])
        centre = np.array([(width - 1) / 2, (height - 1) / 2])
        return np.column_stack([linear, centre - linear @ centre + move]), zoom

    def jitter_colour(self, rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Light, contrast, exponent and tint by one table of 256 values a channel."""

        def around(spread: float, size: int | None = None) -> NDArray[np.float64]:
            return np.asarray(1 + rng.uniform(-spread, spread, size=size))

        level = np.linspace(0, 1, 256)[:, None]
        level = level ** around(self.gamma) * around(self.brightness) * around(self.colour, 3)
        level = (level - 0.5) * around(self.contrast) + 0.5
        grey, invert, blur = rng.random(3) < (self.grey, self.invert, self.blur)
        if invert:
            level = 1 - level
        table = np.clip(level * 255 + 0.5, 0, 255).astype(np.uint8)
        result = cv2.LUT(rgb, table.reshape(1, 256, 3))
        if grey:
            result = cv2.cvtColor(cv2.cvtColor(result, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        if blur:
            result = cv2.GaussianBlur(result, (0, 0), float(rng.uniform(0.3, 1.5)))
        sigma = rng.uniform(0, self.noise) * 255
        if sigma > 0:
            grain = rng.standard_normal(rgb.shape[:2], dtype=np.float32)[:, :, None] * sigma
            result = np.clip(result + grain, 0, 255).astype(np.uint8)
        return np.asarray(result, dtype=np.uint8)


def ended(sample: Sample, affine: Affine, rng: np.random.Generator) -> Sample:
    """The sample with nothing to see outside of a turned square in the picture that ``affine``
    (2, 3) makes of the frame: black, without depth, without labels."""
    height, width = sample.size
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    back = np.linalg.inv(affine[:, :2])
    half = min(height, width) / 2
    turn, reach = rng.uniform(0, np.pi / 2), half * rng.uniform(0.9, 1.15)
    corners = reach * np.sqrt(2) * np.exp(1j * (turn + np.pi / 2 * np.arange(4)))
    place = np.column_stack([corners.real, corners.imag]) + centre + half * rng.normal(0, 0.05, 2)
    square = (place - affine[:, 2]) @ back.T
    seen = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(seen, np.rint(square).astype(np.int32), 1)

    def kept(grasps: Grasps | None) -> Grasps | None:
        if grasps is None or not len(grasps):
            return grasps
        u, v = (
            np.clip(np.rint(place), 0, side - 1).astype(int)
            for place, side in ((grasps.u, width), (grasps.v, height))
        )
        return grasps[seen[v, u] > 0]

    return replace(
        sample,
        rgb=None if sample.rgb is None else sample.rgb * seen[:, :, None],
        depth=None if sample.depth is None else sample.depth * seen,
        grasps=kept(sample.grasps),
        negatives=kept(sample.negatives),
        ambiguous=kept(sample.ambiguous),
    )
