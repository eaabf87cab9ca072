"""Pinhole camera intrinsics, through crop and resize; pixels to points and back.

Camera frame: x right, y down, z forward along the optical axis, metres. Pixels: u right, v down,
integers at pixel centres. Depth is z, not the distance to the camera; 0 means missing.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.camera_files import PLAIN, check_lens, parse_intrinsics, read_document
from graspling.errors import InputError
from graspling.lens import distort, lens_model, undistort

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Intrinsics:
    """Intrinsics of a camera, in pixels.

    Attributes:
        fx, fy: focal lengths, > 0.
        cx, cy: principal point; (0, 0) is the centre of the top left pixel.
        width, height: of the image, > 0.
        distortion: coefficients of the lens; none for a rectified image.
        distortion_model: what they mean, see :mod:`graspling.lens`; ROS's and RealSense's names
            are known too.

    Raises:
        InputError: a value is not a finite number or out of its range.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    distortion: tuple[float, ...] = ()
    distortion_model: str = ""

    def __post_init__(self) -> None:
        for name in PLAIN:
            value = getattr(self, name)
            whole = name in ("width", "height")
            try:
                number = float(value)
            except (TypeError, ValueError, OverflowError):
                number = math.nan
            positive = name not in ("cx", "cy")
            if not math.isfinite(number) or (positive and number <= 0) or (whole and number % 1):
                kind = "a whole number above 0" if whole else "above 0" if positive else "finite"
                raise InputError(f"intrinsics: {name} is {value!r}, expected {kind}")
            object.__setattr__(self, name, int(number) if whole else number)
        try:
            lens = tuple(float(value) for value in self.distortion)
        except (TypeError, ValueError, OverflowError):
            lens = (math.nan,)
        if not all(map(math.isfinite, lens)):
            raise InputError(f"intrinsics: distortion is {self.distortion!r}, expected numbers")
        lens = lens if any(lens) else ()
        model = lens_model(self.distortion_model, lens) if lens else ""
        object.__setattr__(self, "distortion", lens)
        object.__setattr__(self, "distortion_model", model)

    # ---- files ----------------------------------------------------------------------------------

    @classmethod
    def load(cls, path: str | Path) -> Intrinsics:
        """Read a JSON or YAML file; see :meth:`from_dict` for the layouts.

        Raises:
            InputError: the file cannot be read or holds no intrinsics.
        """
        document = read_document(path)
        try:
            return cls.from_dict(document)
        except InputError as error:
            raise InputError(f"camera file {path}: {error}") from None

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], also: Collection[str] = ()) -> Intrinsics:
        """From one of these layouts; keys that are known to none are warned of.

        * ``fx, fy, cx, cy, width, height`` and maybe ``distortion, distortion_model`` (what
          :meth:`to_dict` gives), or with a leading underscore, as in Berkeley's ``.intr`` files;
        * a ROS CameraInfo: ``width, height`` (or ``image_width, image_height``), the 3x3
          ``K``, ``k`` or ``camera_matrix: {data: [...]}``, row by row, distortion ``D``, ``d`` or
          ``distortion_coefficients``; ``roi`` and ``binning_x, binning_y`` are followed: the
          result belongs to the images as they come;
        * a RealSense profile: ``width, height, ppx, ppy, fx, fy, model, coeffs``.

        Args:
            also: further keys that are known to the caller.

        Raises:
            InputError: a key is missing, skew is not 0, or a value is one that no camera has.
        """
        values, (u0, v0, width, height), (across, down) = parse_intrinsics(document, also)
        intrinsics = cls(**values)
        check_lens(*(getattr(intrinsics, name) for name in PLAIN))
        if width and height:
            intrinsics = intrinsics.crop(u0, v0, width, height)
        if (across, down) != (1, 1):
            size = (intrinsics.width // across, intrinsics.height // down)
            intrinsics = intrinsics.resize(*size)
        return intrinsics

    def to_dict(self) -> dict[str, Any]:
        """The values by name, ready for JSON; the lens only where it distorts."""
        values: dict[str, Any] = {name: getattr(self, name) for name in PLAIN}
        if self.distortion:
            values["distortion"] = list(self.distortion)
            values["distortion_model"] = self.distortion_model
        return values

    @property
    def focal(self) -> float:
        """Geometric mean of fx and fy, pixels."""
        return math.sqrt(self.fx * self.fy)

    def check_size(self, image: NDArray[Any] | None) -> None:
        """Raises InputError when an image (H, W, ...) is not of the size that these belong to."""
        if image is not None and image.shape[:2] != (self.height, self.width):
            raise InputError(
                f"the intrinsics are for {self.width} x {self.height} pixels, the frame has "
                f"{image.shape[1]} x {image.shape[0]}; expected those of the same image size"
            )

    # ---- images that move -----------------------------------------------------------------------

    @property
    def matrix(self) -> Floats:
        """K, (3, 3): camera frame to homogeneous pixels."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], dtype=np.float64)

    def crop(self, u0: float, v0: float, width: int, height: int) -> Intrinsics:
        """Of the part of the image whose first pixel is (u0, v0)."""
        return replace(self, cx=self.cx - u0, cy=self.cy - v0, width=width, height=height)

    def resize(self, width: int, height: int) -> Intrinsics:
        """Of the image resized to width x height: u goes to (u + 0.5) s - 0.5."""
        su, sv = width / self.width, height / self.height
        affine = np.array([[su, 0, (su - 1) / 2], [0, sv, (sv - 1) / 2]])
        return self.transform(affine, width, height)

    def transform(
        self, affine: ArrayLike, width: int | None = None, height: int | None = None
    ) -> Intrinsics:
        """Of the image after a 2x3 affine from old to new pixels, such as ``Prepared.affine``.

        Args:
            affine: (2, 3), shift and positive scales only: under a turn or a mirror the new image
                is that of another camera frame, not only of other intrinsics.
            width, height: of the new image; by default those of the old one.

        Raises:
            InputError: the affine has another shape, or turns, shears or mirrors.
        """
        a = np.asarray(affine, dtype=np.float64)
        if a.shape != (2, 3) or not np.isfinite(a).all():
            raise InputError(f"affine: got shape {a.shape}, expected finite numbers (2, 3)")
        if max(abs(a[0, 1]), abs(a[1, 0])) > 1e-9 * a[0, 0] or min(a[0, 0], a[1, 1]) <= 0:
            raise InputError(
                "affine: intrinsics follow shift and scale only; undo the turn or mirror on the "
                "pixels before projecting them"
            )
        return replace(
            self,
            fx=self.fx * a[0, 0],
            fy=self.fy * a[1, 1],
            cx=self.cx * a[0, 0] + a[0, 2],
            cy=self.cy * a[1, 1] + a[1, 2],
            width=self.width if width is None else width,
            height=self.height if height is None else height,
        )

    # ---- pixels and points ----------------------------------------------------------------------

    def project(self, points: ArrayLike) -> Floats:
        """Points (..., 3) in the camera frame, metres, to pixels (..., 2) as (u, v).

        A point that is not in front of the camera (z <= 0) gives NaN.
        """
        xyz = np.asarray(points, dtype=np.float64)
        if xyz.ndim == 0 or xyz.shape[-1] != 3:
            raise InputError(f"points: got shape {xyz.shape}, expected (..., 3)")
        z = np.where(xyz[..., 2] > 0, xyz[..., 2], np.nan)
        straight = xyz[..., :2] / z[..., None]
        if self.distortion:
            straight = distort(straight, self.distortion_model, self.distortion)
        return straight * (self.fx, self.fy) + (self.cx, self.cy)

    def deproject(self, u: ArrayLike, v: ArrayLike, z: ArrayLike) -> Floats:
        """Pixels u, v with depth z in metres (they broadcast) to points (..., 3), metres.

        Missing depth (0, negative, not finite) gives NaN.
        """
        u, v, z = (np.asarray(value, dtype=np.float64) for value in (u, v, z))
        z = np.where(np.isfinite(z) & (z > 0), z, np.nan)
        x, y = (u - self.cx) / self.fx, (v - self.cy) / self.fy
        if self.distortion:
            straight = np.stack(np.broadcast_arrays(x, y), axis=-1)
            straight = undistort(straight, self.distortion_model, self.distortion)
            x, y = straight[..., 0], straight[..., 1]
        return np.stack(np.broadcast_arrays(x * z, y * z, z), axis=-1)

    # ---- lenses ---------------------------------------------------------------------------------

    @property
    def rectified(self) -> Intrinsics:
        """The same without distortion: of the image that :meth:`rectify` gives."""
        return replace(self, distortion=(), distortion_model="")

    def rectify(self, image: NDArray[Any], smooth: bool = False) -> NDArray[Any]:
        """The image (H, W) or (H, W, 3) without distortion; 0 where the lens saw nothing.

        Args:
            smooth: interpolate (colour); otherwise the nearest pixel counts (depth, masks).
        """
        if not self.distortion:
            return image
        return _remap(image, _raw_map(self), smooth)

    def unrectify(self, image: NDArray[Any], smooth: bool = False) -> NDArray[Any]:
        """The inverse of :meth:`rectify`: a straight image as this lens would show it."""
        if not self.distortion:
            return image
        return _remap(image, _straight_map(self), smooth)

    def rectify_pixels(self, pixels: ArrayLike) -> Floats:
        """Pixels (..., 2) as (u, v) to where they lie in the rectified image."""
        points = np.asarray(pixels, dtype=np.float64)
        if not self.distortion:
            return points
        return self.rectified.project(self.deproject(points[..., 0], points[..., 1], 1.0))


@lru_cache(maxsize=4)
def _raw_map(camera: Intrinsics) -> NDArray[np.float32]:
    """(H, W, 2) where each pixel of the rectified image lies in the raw one."""
    v, u = np.mgrid[: camera.height, : camera.width].astype(np.float64)
    return camera.project(camera.rectified.deproject(u, v, 1.0)).astype(np.float32)


@lru_cache(maxsize=4)
def _straight_map(camera: Intrinsics) -> NDArray[np.float32]:
    """(H, W, 2) where each pixel of the raw image lies in the rectified one; the slower inverse."""
    v, u = np.mgrid[: camera.height, : camera.width].astype(np.float64)
    return camera.rectify_pixels(np.stack([u, v], axis=-1)).astype(np.float32)


def _remap(image: NDArray[Any], where: NDArray[np.float32], smooth: bool) -> NDArray[Any]:
    how = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
    return np.asarray(cv2.remap(image, where[..., 0], where[..., 1], how))
