"""The one preparation chain: training, evaluation, export checks and live use all call it.

A frame (colour, depth or both) becomes a network input: crop, fill the holes in the depth, resize,
normalise; one 2x3 affine says where each pixel went. Files are read in :mod:`graspling.frames`,
pixels moved in :mod:`graspling.resample`, holes filled in :mod:`graspling.holes`; what a user needs
of these can be imported from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.errors import InputError
from graspling.frames import (
    as_array,
    check_frame,
    parse_depth_unit,
    read_depth,
    read_mask,
    read_rgb,
)
from graspling.holes import Depth, fill_holes
from graspling.resample import (
    Affine,
    Crop,
    Roi,
    clip_roi,
    compose,
    crop_affine,
    warp,
    warp_depth,
    warp_padded,
)

__all__ = [
    "Preparation",
    "Prepared",
    "crop_affine",
    "fill_holes",
    "parse_depth_unit",
    "read_depth",
    "read_mask",
    "read_rgb",
    "warp",
]

Modality = Literal["rgb", "depth", "rgbd"]

# Input pixels a metre for which the scale cue is 0: a usual camera, 0.9 m above the table.
_USUAL_SCALE = 300.0


@dataclass(frozen=True, eq=False)
class Prepared:
    """A network input and the way back.

    Attributes:
        tensor: (C, S, S) float32, channels red, green, blue, depth (those the model uses).
        affine: (2, 3), frame pixels (u, v, 1) -> input pixels.
        mask: (S, S) bool, where grasp centres may lie; None = everywhere.
    """

    tensor: NDArray[np.float32]
    affine: Affine
    mask: NDArray[np.bool_] | None = None

    @property
    def inverse(self) -> Affine:
        """(2, 3), input pixels -> frame pixels."""
        return np.asarray(cv2.invertAffineTransform(self.affine), dtype=np.float64)


@dataclass(frozen=True)
class Preparation:
    """How a model wants its input; stored in the model's card, so that nothing can drift.

    Colour: value / 255 minus the mean of all channels in the crop (brightness goes, colour stays).
    Depth: (m - depth) / scale, where m is the median of the crop, so nearer is larger; scale is
    how far the nearest ``1 - depth_quantile`` of the pixels rise above m, at least
    ``depth_floor`` metres (a large floor makes a fixed metric scale); clipped to +-``depth_clip``.
    Only the near side counts, so a floor seen beyond the table does not flatten the objects.
    Neither looks at labels.

    So normalised, depth does not tell how large anything is, and a network cannot know what is too
    wide for the gripper. With ``scale_cue`` and a known focal length, the whole depth channel is
    raised by scale_cue x log(k / 300), where k is how many input pixels a metre is at the median
    depth; without a focal length it stays where it is.

    Attributes:
        modality: "rgb", "depth" or "rgbd" (channels red, green, blue, depth).
        size: side S of the input, pixels.
        crop: see :func:`crop_affine`.
        scale_cue: 0: none.
    """

    modality: Modality
    size: int
    crop: Crop = "centre"
    depth_quantile: float = 0.98
    depth_floor: float = 0.05
    depth_clip: float = 2.0
    scale_cue: float = 0.0

    def __post_init__(self) -> None:
        if self.modality not in get_args(Modality):
            raise InputError(
                f"modality {self.modality!r} is unknown; "
                f"choose one of {', '.join(get_args(Modality))}"
            )
        if not isinstance(self.size, int) or not 1 <= self.size <= 8192:
            raise InputError(f"input size is {self.size} px, expected 1 to 8192")
        if self.crop not in get_args(Crop):
            raise InputError(
                f"crop {self.crop!r} is unknown; choose one of {', '.join(get_args(Crop))}"
            )
        if not 0.5 <= self.depth_quantile <= 1 or self.depth_floor <= 0 or self.depth_clip <= 0:
            raise InputError(
                "preparation: expected depth_quantile in [0.5, 1], depth_floor > 0, depth_clip > 0"
            )
        if not 0 <= self.scale_cue <= 10:
            raise InputError(f"preparation: scale_cue is {self.scale_cue}, expected 0 to 10")

    @property
    def channels(self) -> int:
        """1, 3 or 4."""
        return {"depth": 1, "rgb": 3, "rgbd": 4}[self.modality]

    def to_dict(self) -> dict[str, Any]:
        """For the model's card."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preparation:
        """From :meth:`to_dict`; raises InputError on unknown or missing keys and wrong types."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InputError(
                f"preparation: unknown setting {unknown[0]!r}; this release knows "
                f"{', '.join(sorted(known))}: update graspling to use this model"
            )
        try:
            return cls(**values)
        except TypeError as error:
            raise InputError(f"preparation: {error}") from None

    def __call__(
        self,
        rgb: ArrayLike | None = None,
        depth: ArrayLike | None = None,
        *,
        roi: Roi | None = None,
        mask: ArrayLike | None = None,
        extra: ArrayLike | None = None,
        focal: float | None = None,
    ) -> Prepared:
        """Prepare one frame.

        Args:
            rgb: (H, W, 3) uint8, red first.
            depth: (H, W) floating point metres; 0, negative, NaN and infinite mean missing.
            roi: (u0, v0, u1, v1), frame pixels; crops there, and grasps stay inside.
            mask: (H, W), non-zero where grasp centres may lie.
            extra: (2, 3) frame -> frame, applied before the crop: the hook for augmentation.
            focal: focal length, pixels of the frame, where it is known; see ``scale_cue``.

        Raises:
            InputError: what the modality needs is missing, or an array is not as stated above.
        """
        colour, metres = check_frame(rgb, depth)
        colour = colour if "rgb" in self.modality else None
        metres = metres if self.modality != "rgb" else None
        if colour is None and "rgb" in self.modality:
            raise InputError(f"this model takes {self.modality} input: a colour image is missing")
        if metres is None and self.modality != "rgb":
            raise InputError(f"this model takes {self.modality} input: a depth image is missing")
        frame = colour if colour is not None else metres
        assert frame is not None
        height, width = frame.shape[:2]
        affine = crop_affine(height, width, self.size, self.crop, roi)
        if extra is not None:
            affine = compose(affine, extra)
        tensor = np.empty((self.channels, self.size, self.size), dtype=np.float32)
        if colour is not None:
            self._colour(warp_padded(colour, affine, self.size), tensor[:3])
        if metres is not None:
            if focal is not None and not 0 < focal < float("inf"):
                raise InputError(f"focal length is {focal}, expected pixels above 0")
            magnified = np.sqrt(abs(np.linalg.det(affine[:, :2])))
            grown = None if focal is None or not self.scale_cue else focal * magnified
            self._depth(warp_depth(metres, affine, self.size), tensor[-1], grown)
        return Prepared(tensor, affine, self._mask(mask, roi, affine, height, width))

    def _colour(self, image: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        mean = np.float32(sum(cv2.mean(image)[:3]) / 3)
        for plane, channel in zip(out, cv2.split(image), strict=False):
            np.subtract(channel, mean, out=plane)
        out *= np.float32(1 / 255)

    def _depth(self, depth: Depth, out: NDArray[np.float32], focal: float | None) -> None:
        step = max(1, self.size // 64)  # a few thousand pixels tell the median well enough
        sample = np.sort(depth[::step, ::step], axis=None)
        middle = sample[len(sample) // 2]
        near = sample[int((1 - self.depth_quantile) * (len(sample) - 1))]
        scale = max(float(middle - near), self.depth_floor)
        with np.errstate(over="ignore"):  # absurd depths are clipped like all that lie far off
            np.subtract(middle, depth, out=out)
            out *= np.float32(1 / scale)
        np.clip(out, -self.depth_clip, self.depth_clip, out=out)
        if focal is not None:
            scale = np.log(focal / float(middle) / _USUAL_SCALE)
            out += np.float32(self.scale_cue * np.clip(scale, -1.5, 1.5))

    def _mask(
        self,
        mask: ArrayLike | None,
        roi: Roi | None,
        affine: Affine,
        height: int,
        width: int,
    ) -> NDArray[np.bool_] | None:
        """Where centres may lie: inside the mask, the region and (letterbox) the frame."""
        if mask is None and roi is None and self.crop != "letterbox":
            return None
        allowed = allowed_pixels(mask, roi, height, width)
        warped = cv2.warpAffine(allowed, affine, (self.size, self.size), flags=cv2.INTER_NEAREST)
        return warped.astype(bool)


def allowed_pixels(
    mask: ArrayLike | None, roi: Roi | None, height: int, width: int
) -> NDArray[np.uint8]:
    """(H, W), 1 where grasp centres may lie: inside the mask and the region; else 0."""
    allowed = np.ones((height, width), dtype=np.uint8)
    if mask is not None:
        given = as_array(mask, "mask")
        shape = given.shape
        if given.ndim > 2:
            given = given.reshape([side for side in shape if side != 1])
        if given.shape != (height, width):
            raise InputError(
                f"mask has shape {shape}, the frame is {height} x {width} pixels: "
                "expected one value for each pixel of the frame"
            )
        allowed = (given != 0).astype(np.uint8)
    if roi is not None:
        u0, v0, u1, v1 = clip_roi(roi, height, width)
        inside = np.zeros_like(allowed)
        inside[v0:v1, u0:u1] = allowed[v0:v1, u0:u1]
        allowed = inside
    return allowed
