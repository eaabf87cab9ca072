"""Pinhole camera: intrinsics through crop and resize, pixels to points and back, registration.

Camera frame: x right, y down, z forward along the optical axis, metres. Pixels: u right, v down,
integers at pixel centres. Depth is z, not the distance to the camera; 0 means missing. Lens
distortion is not modelled: rectify the images first.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import ArrayLike, NDArray

from graspling.errors import InputError

Floats = NDArray[np.float64]
Depth = NDArray[np.float32]

# a depth pixel that would cover more than this many colour pixels across lies on the lens
_LARGEST_FOOTPRINT = 32
# borders of footprints this close to a pixel centre count as on it, whatever the rounding
_SNAP = 1e-6


@dataclass(frozen=True)
class Intrinsics:
    """Intrinsics of a rectified pinhole camera, in pixels.

    Attributes:
        fx, fy: focal lengths, > 0.
        cx, cy: principal point; (0, 0) is the centre of the top left pixel.
        width, height: of the image, > 0.

    Raises:
        InputError: a value is not a finite number or out of its range.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            whole = entry.name in ("width", "height")
            try:
                number = float(value)
            except (TypeError, ValueError):
                number = math.nan
            positive = entry.name not in ("cx", "cy")
            if not math.isfinite(number) or (positive and number <= 0) or (whole and number % 1):
                kind = "a whole number above 0" if whole else "above 0" if positive else "finite"
                raise InputError(f"intrinsics: {entry.name} is {value!r}, expected {kind}")
            object.__setattr__(self, entry.name, int(number) if whole else number)

    # ---- files ----------------------------------------------------------------------------------

    @classmethod
    def load(cls, path: str | Path) -> Intrinsics:
        """Read a JSON or YAML file; see :meth:`from_dict` for the layouts.

        Raises:
            InputError: the file cannot be read or holds no intrinsics.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not a text file"
            raise InputError(f"cannot read the camera file {path}: {reason}") from None
        try:
            # JSON first: YAML 1.1 takes 5e2 for a word
            document = json.loads(text)
        except json.JSONDecodeError:
            try:
                document = yaml.safe_load(text)
            except yaml.YAMLError as error:
                reason = " ".join(str(error).split())
                raise InputError(f"camera file {path}: neither JSON nor YAML: {reason}") from None
        try:
            return cls.from_dict(document)
        except InputError as error:
            raise InputError(f"camera file {path}: {error}") from None

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Intrinsics:
        """From one of these layouts; other keys are ignored.

        * ``fx, fy, cx, cy, width, height`` (what :meth:`to_dict` gives), or with a leading
          underscore, as in Berkeley's ``.intr`` files;
        * a ROS CameraInfo: ``width, height`` (or ``image_width, image_height``) and the 3x3
          ``K``, ``k`` or ``camera_matrix: {data: [...]}``, row by row.

        Raises:
            InputError: a key is missing, skew is not 0, or a value is out of range.
        """
        if not isinstance(document, Mapping):
            raise InputError("expected keys and values: fx, fy, cx, cy, width, height")
        names = [entry.name for entry in fields(cls)]
        found = {str(key).removeprefix("_"): value for key, value in document.items()}
        for key in ("camera_matrix", "K", "k"):
            if key in found and "fx" not in found:
                matrix = _matrix(found[key], key)
                found |= {"fx": matrix[0, 0], "fy": matrix[1, 1]}
                found |= {"cx": matrix[0, 2], "cy": matrix[1, 2], "skew": matrix[0, 1]}
        for name in ("width", "height"):
            found.setdefault(name, found.get(f"image_{name}"))
        missing = [name for name in names if found.get(name) is None]
        if missing:
            raise InputError(
                f"{', '.join(missing)} missing; expected fx, fy, cx, cy, width, height "
                "or a ROS CameraInfo with K, width, height"
            )
        if found.get("skew"):
            raise InputError(f"skew is {found['skew']}, expected 0")
        if np.any(_distortion(found)):
            warnings.warn(
                "the camera file has lens distortion, which is not modelled: rectify the images",
                stacklevel=2,
            )
        return cls(**{name: found[name] for name in names})

    def to_dict(self) -> dict[str, float]:
        """The six values by name, ready for JSON."""
        return asdict(self)

    # ---- images that move -----------------------------------------------------------------------

    @property
    def matrix(self) -> Floats:
        """K, (3, 3): camera frame to homogeneous pixels."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], dtype=np.float64)

    def crop(self, u0: float, v0: float, width: int, height: int) -> Intrinsics:
        """Of the part of the image whose first pixel is (u0, v0)."""
        return Intrinsics(self.fx, self.fy, self.cx - u0, self.cy - v0, width, height)

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
        return Intrinsics(
            self.fx * a[0, 0],
            self.fy * a[1, 1],
            self.cx * a[0, 0] + a[0, 2],
            self.cy * a[1, 1] + a[1, 2],
            self.width if width is None else width,
            self.height if height is None else height,
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
        u, v = self.fx * xyz[..., 0] / z + self.cx, self.fy * xyz[..., 1] / z + self.cy
        return np.stack([u, v], axis=-1)

    def deproject(self, u: ArrayLike, v: ArrayLike, z: ArrayLike) -> Floats:
        """Pixels u, v with depth z in metres (they broadcast) to points (..., 3), metres.

        Missing depth (0, negative, not finite) gives NaN.
        """
        u, v, z = (np.asarray(value, dtype=np.float64) for value in (u, v, z))
        z = np.where(np.isfinite(z) & (z > 0), z, np.nan)
        x, y = (u - self.cx) / self.fx * z, (v - self.cy) / self.fy * z
        return np.stack(np.broadcast_arrays(x, y, z), axis=-1)


def register_depth(
    depth: NDArray[np.floating[Any]],
    depth_intrinsics: Intrinsics,
    colour_intrinsics: Intrinsics,
    colour_from_depth: ArrayLike,
) -> Depth:
    """Depth as the colour camera would see it.

    Each depth pixel is a small square at its depth, facing the depth camera; it covers the colour
    pixels whose centres it contains, and of several the nearest counts. So a surface stays closed
    when the colour image is the finer one, and what the depth camera did not see (missing depth,
    the shadow beside a near object) stays missing.

    Args:
        depth: (H, W) metres along z of the depth camera; 0, negative, NaN, infinite = missing.
        colour_from_depth: (4, 4) rigid transform, points in the depth camera's frame to the colour
            camera's, metres.

    Returns:
        (height, width) of the colour camera, float32 metres along its z, 0 = missing.

    Raises:
        InputError: the depth has another size than its intrinsics say, or the transform is not a
            rigid one.
    """
    depth = np.asarray(depth)
    expected = (depth_intrinsics.height, depth_intrinsics.width)
    if depth.shape != expected:
        raise InputError(
            f"depth: got shape {depth.shape}, expected {expected} as its intrinsics say; "
            "crop or resize both alike"
        )
    transform = _rigid(colour_from_depth)
    v, u = np.nonzero(np.isfinite(depth) & (depth > 0))
    z = depth[v, u].astype(np.float64)

    # homogeneous colour pixels are linear in the depth pixel: z (to_colour (u, v, 1)) + shift
    k = colour_intrinsics.matrix
    to_colour = k @ transform[:3, :3] @ np.linalg.inv(depth_intrinsics.matrix)
    shift = k @ transform[:3, 3]
    x, y, w = (z * (a * u + b * v + c) + s for (a, b, c), s in zip(to_colour, shift, strict=True))
    along_u, along_v = (z * to_colour[:, [axis]] / 2 for axis in (0, 1))

    good = w - abs(along_u[2]) - abs(along_v[2]) > 0  # all of it before the colour camera
    x, y, w, along_u, along_v = x[good], y[good], w[good], along_u[:, good], along_v[:, good]
    low, high = np.full((2, w.size), np.inf), np.full((2, w.size), -np.inf)
    for step in (along_u + along_v, along_u - along_v, along_v - along_u, -along_u - along_v):
        corner = np.stack([x + step[0], y + step[1]]) / (w + step[2])
        np.minimum(low, corner, out=low)
        np.maximum(high, corner, out=high)

    first, last = np.ceil(low - _SNAP), np.ceil(high - _SNAP)
    count = last - first
    size = np.array([[colour_intrinsics.width], [colour_intrinsics.height]])
    seen = (last > 0) & (first < size) & (count > 0) & (count <= _LARGEST_FOOTPRINT)
    seen = seen[0] & seen[1]
    first, count = first[:, seen].astype(int), count[:, seen].astype(int)
    return _splat(first, count, w[seen], colour_intrinsics.height, colour_intrinsics.width)


def _splat(
    first: NDArray[np.int_], count: NDArray[np.int_], z: Floats, height: int, width: int
) -> Depth:
    """Fill ``count`` (2, N) pixels from ``first`` (2, N) on, as (u, v), with z; the least wins."""
    nearest = np.full(height * width, np.inf)
    across, down = count.max(axis=1, initial=0)
    for du in range(across):
        for dv in range(down):
            u, v = first[0] + du, first[1] + dv
            covered = (count[0] > du) & (count[1] > dv)
            covered &= (u >= 0) & (u < width) & (v >= 0) & (v < height)
            np.minimum.at(nearest, v[covered] * width + u[covered], z[covered])
    nearest[np.isinf(nearest)] = 0
    return nearest.reshape(height, width).astype(np.float32)


def _rigid(matrix: ArrayLike) -> Floats:
    transform = np.asarray(matrix, dtype=np.float64)
    if transform.shape != (4, 4) or not np.isfinite(transform).all():
        raise InputError(
            f"transform: got shape {transform.shape}, expected finite numbers (4, 4) in metres"
        )
    rotation = transform[:3, :3]
    turned = np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3)
    if not turned or np.linalg.det(rotation) < 0 or not np.allclose(transform[3], [0, 0, 0, 1]):
        raise InputError("transform: expected a rotation and a shift with the last row 0 0 0 1")
    return transform


def _matrix(value: Any, key: str) -> Floats:
    data = value.get("data") if isinstance(value, Mapping) else value
    try:
        return np.array(data, dtype=np.float64).reshape(3, 3)
    except (TypeError, ValueError):
        raise InputError(f"{key} is not a list of 9 numbers") from None


def _distortion(found: Mapping[str, Any]) -> Any:
    value = found.get("distortion_coefficients") or found.get("D") or found.get("d") or 0
    return value.get("data", 0) if isinstance(value, Mapping) else value
