"""Layouts of camera files: own keys, those of generated data, ROS CameraInfo, RealSense profiles.
JSON, YAML, what ``ros2 topic echo`` writes, or the text of ``rs-enumerate-devices -c``."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from graspling.errors import InputError
from graspling.lens import lens_model

PLAIN = ("fx", "fy", "cx", "cy", "width", "height")
# known, and nothing to say about where a pixel lies in a rectified or raw image
_SILENT = {
    "skew", "frame", "header", "camera_name", "R", "r", "P", "p", "rectification_matrix",
    "projection_matrix", "depth_unit", "stream", "serial", "fov", "FOV (deg)", "name", "fps",
    "format", "schema", "version",
}  # fmt: skip
# of a camera that data is generated for: where it stands and its noise; height is metres there
_GENERATED = {"height_px", "tilt", "offset", "baseline", "disparity_step"}
_READ = {
    *PLAIN, "ppx", "ppy", "image_width", "image_height", "camera_matrix", "K", "k", "D", "d",
    "distortion", "distortion_coefficients", "distortion_model", "model", "coeffs", "binning_x",
    "binning_y", "roi",
}  # fmt: skip

_JSON = re.compile(r'\s*\{\s*"')  # how it begins, as no YAML that people write does
_WIDEST = 20  # widths of an image in a focal length, far beyond any lens
_LONGEST = 57  # focal lengths in widths of an image: it shows less than a degree


def read_document(path: str | Path, what: str = "camera file") -> Any:
    """What a JSON or YAML file holds, of several YAML documents the first; of a RealSense listing,
    its one block of intrinsics.

    Args:
        what: the file is, for the message.

    Raises:
        InputError: the file cannot be read or is neither.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text file"
        raise InputError(f"cannot read the {what} {path}: {reason}") from None
    try:
        return json.loads(text)  # first: YAML 1.1 takes 5e2 for a word
    except (ValueError, RecursionError) as error:
        broken = error
    if re.search(r"^\s*PPX:\s", text, re.MULTILINE):
        return _listing(text, path)
    try:
        return parse_yaml(text, f"{what} {path}: neither JSON nor YAML", first=True)
    except InputError:
        if not _JSON.match(text):
            raise
        # YAML's words for it would confuse
        raise InputError(f"{what} {path}: broken JSON: {broken}") from None


def parse_yaml(text: str, complaint: str, *, first: bool = False) -> Any:
    """What a text in YAML holds.

    Args:
        first: of several documents take the first: ``ros2 topic echo`` ends each message with ---.

    Raises:
        InputError: it is none, nested too deeply, or holds a date that does not exist.
    """
    try:
        return next(yaml.safe_load_all(text), None) if first else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{complaint}: {reason}") from None


def _listing(text: str, path: str | Path) -> dict[str, Any]:
    if len(re.findall(r"^\s*PPX:\s", text, re.MULTILINE)) > 1:
        raise InputError(
            f"camera file {path}: lists several streams; keep the lines of one, Width to Coeffs"
        )
    found: dict[str, Any] = {}
    for key, value in re.findall(r"^\s*([A-Za-z]+):\s+(.*?)\s*$", text, re.MULTILINE):
        name = key.lower()
        if name == "coeffs":
            found[name] = [float(word) for word in re.findall(r"[-+.\deE]+", value)]
        elif name == "distortion":
            found["model"] = value
        elif name in ("width", "height", "ppx", "ppy", "fx", "fy"):
            found[name] = value
    return found


def warn_of_unknown(keys: Collection[str], known: Collection[str]) -> None:
    """One line that names keys of a camera file that nothing reads."""
    strange = sorted(str(key) for key in keys if key not in known)
    if strange:
        warnings.warn(f"camera file: unknown keys {', '.join(strange)} are ignored", stacklevel=3)


def parse_intrinsics(
    document: Any, also: Collection[str] = ()
) -> tuple[dict[str, Any], tuple[int, int, int, int], tuple[int, int]]:
    """Arguments of ``Intrinsics``, a region (u0, v0, width, height) of that image that the images
    hold (zeros: all of it), and by how much its pixels were binned then.

    Args:
        also: further keys that are known.

    Raises:
        InputError: a key is missing or skew is not 0.
    """
    if not isinstance(document, Mapping):
        raise InputError("expected keys and values: fx, fy, cx, cy, width, height")
    found = {str(key).removeprefix("_"): value for key, value in document.items()}
    # Berkeley's files have their matrix, under a key of its own, a second time
    generated = _GENERATED if "height_px" in found else set()
    warn_of_unknown(found, _SILENT | _READ | generated | set(also))
    if generated:
        found["height"] = found["height_px"]
    for key in ("camera_matrix", "K", "k"):
        if key in found and "fx" not in found:
            matrix = _matrix(found[key], key)
            found |= {"fx": matrix[0, 0], "fy": matrix[1, 1]}
            found |= {"cx": matrix[0, 2], "cy": matrix[1, 2], "skew": matrix[0, 1]}
    for name, others in _OTHER_NAMES.items():
        for other in others:
            if found.get(name) is None:
                found[name] = found.get(other)
    missing = [name for name in PLAIN if found.get(name) is None]
    if missing:
        raise InputError(
            f"{', '.join(missing)} missing; expected fx, fy, cx, cy, width, height, "
            "a ROS CameraInfo with K, width, height or a RealSense profile with ppx, ppy"
        )
    if found.get("skew"):
        raise InputError(f"skew is {found['skew']}, expected 0")
    values = {name: found[name] for name in PLAIN}
    coefficients = _coefficients(found)
    if any(coefficients):
        name = str(found.get("distortion_model") or found.get("model") or "")
        values["distortion"] = coefficients
        values["distortion_model"] = lens_model(name, coefficients)
    return values, _region(found.get("roi")), _binning(found)


def check_lens(fx: float, fy: float, cx: float, cy: float, width: int, height: int) -> None:
    """Raises InputError on values of a whole image, in pixels, that no camera has; a part of an
    image may have them."""
    size, largest = f"{width} x {height}", max(width, height)
    if min(fx, fy) < largest / _WIDEST:
        raise InputError(
            f"fx is {fx:g} and fy {fy:g} for an image of {size}: no lens is that wide; "
            "expected pixels, not millimetres or shares of the image"
        )
    if max(fx, fy) > largest * _LONGEST:
        raise InputError(
            f"fx is {fx:g} and fy {fy:g} for an image of {size}: no lens is that long; "
            "expected pixels of this image"
        )
    if not 0.5 <= fx / fy <= 2:
        raise InputError(
            f"fx is {fx:g} and fy {fy:g}: no pixels are that long; expected almost the same"
        )
    if not (-0.5 * width <= cx <= 1.5 * width and -0.5 * height <= cy <= 1.5 * height):
        raise InputError(
            f"cx is {cx:g} and cy {cy:g}, far outside of an image of {size}; expected pixels near "
            "its middle; of a part of an image give the values of the whole and the part as roi"
        )


_OTHER_NAMES = {
    "width": ("image_width",),
    "height": ("image_height",),
    "cx": ("ppx",),
    "cy": ("ppy",),
}


def _matrix(value: Any, key: str) -> NDArray[np.float64]:
    data = value.get("data") if isinstance(value, Mapping) else value
    try:
        return np.array(data, dtype=np.float64).reshape(3, 3)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{key} is not a list of 9 numbers") from None


def _coefficients(found: Mapping[str, Any]) -> tuple[float, ...]:
    for key in ("distortion", "distortion_coefficients", "D", "d", "coeffs"):
        value = found.get(key)
        data = value.get("data", ()) if isinstance(value, Mapping) else value
        if data is None or (isinstance(data, str | int | float) and not data):
            continue
        try:
            return tuple(float(number) for number in data)
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{key} is {value!r}, expected a list of numbers") from None
    return ()


def _region(roi: Any) -> tuple[int, int, int, int]:
    if not isinstance(roi, Mapping):
        return 0, 0, 0, 0
    try:
        u0, v0, width, height = (
            int(roi.get(key, 0)) for key in ("x_offset", "y_offset", "width", "height")
        )
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"roi is {dict(roi)!r}, expected whole numbers") from None
    return u0, v0, width, height


def _binning(found: Mapping[str, Any]) -> tuple[int, int]:
    try:
        x, y = (int(found.get(key) or 1) for key in ("binning_x", "binning_y"))
    except (TypeError, ValueError, OverflowError):
        raise InputError("binning_x and binning_y: expected whole numbers") from None
    return max(x, 1), max(y, 1)
