"""Reading frames: colour, depth and mask files, and the checks every frame passes at the door."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.errors import InputError
from graspling.opencv import in_silence

_UNITS = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "": 1.0}
_FARTHEST = 100.0  # metres; no tabletop camera looks that far
_SMALLEST, _LARGEST = 1e-6, 3e38
_SAMPLE = 1000  # pixels that tell the typical depth of a live frame, in microseconds
_PNG, _PNG_END = b"\x89PNG\r\n", b"IEND"  # first and last words of every PNG
ALL_MISSING = (
    "every pixel of the depth in view is missing (0, negative, NaN or infinite); "
    "check the sensor, the file and its unit"
)


def parse_depth_unit(text: str | float) -> float:
    """Metres a count of integer depth: "mm" is 0.001, "0.1mm" is 0.0001, "0.001" is itself.

    Raises InputError on anything else, and on a unit that is not positive.
    """
    match = re.fullmatch(r"\s*([0-9.eE+-]*?)\s*(um|mm|cm|m|)\s*", str(text))
    try:
        unit = float(match[1] or (1.0 if match[2] else "")) * _UNITS[match[2]] if match else 0.0
    except ValueError:
        unit = 0.0
    if not (unit > 0 and math.isfinite(unit)):
        raise InputError(
            f"depth unit {text!r}: expected mm, 0.1mm or the metres of one count, such as 0.001"
        )
    return unit


def read_rgb(path: str | Path) -> NDArray[np.uint8]:
    """Read a colour image: (H, W, 3) uint8, red first. An alpha channel is dropped; a photo is
    turned as its EXIF orientation says, as viewers do.

    Raises:
        InputError: the file is missing, not an image, has one channel or 16 bits a channel.
    """
    image = _decode(path, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
    return check_rgb(image[..., ::-1] if image.ndim == 3 else image, str(path))


def read_depth(
    path: str | Path, unit: float | str | None = None, *, unit_from: str = "--depth-unit"
) -> NDArray[np.float32]:
    """Read depth: (H, W) float32, metres along the optical axis, 0 = missing.

    Args:
        path: a 16-bit PNG (or TIFF, NPY of integers), which needs ``unit``, or a TIFF or NPY of
            floating point numbers, which are metres.
        unit: metres a count, or a text for :func:`parse_depth_unit`; only integers use it.
        unit_from: where the caller takes the unit from, for the message when there is none.

    Raises:
        InputError: the file is missing, no depth image, integer without a unit, 8-bit, without any
            valid pixel, or so deep that the unit must be wrong.
    """
    if Path(path).suffix.lower() == ".npy":
        image = _load_npy(path)
    else:
        image = _decode(path, cv2.IMREAD_UNCHANGED)
    if image.dtype == np.uint8:
        raise InputError(
            f"{path}: 8 bits a pixel is a picture of depth, not depth; "
            "expected a 16-bit PNG, or a TIFF or NPY in metres"
        )
    if image.dtype.kind in "iu":
        if unit is None:
            raise InputError(
                f"{path}: holds integers ({image.dtype}); state their unit: "
                f"{unit_from} mm, 0.1mm or the metres of one count"
            )
        image = image.astype(np.float32) * np.float32(parse_depth_unit(unit))
        _refuse_far(image[image > 0], str(path), f"is the unit {unit} right?")
    depth = check_depth(image, str(path))
    valid = valid_depth(depth)
    depth = np.asarray(cv2.copyTo(depth, valid), dtype=np.float32)
    known = depth[valid > 0]
    if not known.size:
        raise InputError(f"{path}: {ALL_MISSING}")
    _refuse_far(known, str(path))
    return depth


def read_mask(path: str | Path) -> NDArray[np.bool_]:
    """Read a mask: (H, W) bool, true where any channel is not 0."""
    image = _decode(path, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
    return np.asarray(image.any(axis=2) if image.ndim == 3 else image > 0, dtype=np.bool_)


def as_array(image: ArrayLike, source: str) -> NDArray[Any]:
    """An array of whatever was handed in, or InputError, also where NumPy's mask hides a part."""
    if np.ma.is_masked(image):
        raise InputError(f"{source}: some values are masked, expected all; fill them, x.filled(0)")
    try:
        return np.asarray(image)
    except (ValueError, TypeError):  # rows of different lengths, for example
        raise InputError(f"{source}: is no array of pixels") from None


def unmasked(depth: ArrayLike) -> ArrayLike:
    """Depth whose pixels that NumPy's mask hides are missing, 0; without a mask as it is."""
    return depth.filled(0) if isinstance(depth, np.ma.MaskedArray) else depth


def check_rgb(image: ArrayLike, source: str = "colour") -> NDArray[np.uint8]:
    """An 8-bit, three-channel colour image (H, W, 3), or InputError; alpha is dropped."""
    array = as_array(image, source)
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1):
        raise InputError(
            f"{source}: has one channel; expected colour with three (red, green, blue): "
            "for depth use the depth input, for grey images repeat the channel three times"
        )
    if array.ndim != 3 or array.shape[2] not in (3, 4) or 0 in array.shape:
        raise InputError(f"{source}: has shape {array.shape}, expected (H, W, 3)")
    if array.dtype != np.uint8:
        bits = f"{array.dtype.itemsize * 8}-bit " if array.dtype.kind in "iu" else ""
        raise InputError(
            f"{source}: holds {bits}{array.dtype}, expected 8 bits a channel (uint8, 0 to 255)"
        )
    return np.ascontiguousarray(array[..., :3])


def check_depth(depth: ArrayLike, source: str = "depth") -> NDArray[np.float32]:
    """A depth image (H, W) float32 in metres, or InputError, also when it is so far away that its
    unit must be another; (H, W, 1) is squeezed."""
    array = as_array(unmasked(depth), source)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"{source}: has shape {array.shape}, expected one depth a pixel (H, W)")
    if array.dtype.kind != "f":
        raise InputError(
            f"{source}: holds {array.dtype}; expected floating point metres: "
            "multiply integer depth by its unit (millimetres: depth * 0.001)"
        )
    metres = np.ascontiguousarray(array, dtype=np.float32)
    sample = metres.reshape(-1)[:: max(1, metres.size // _SAMPLE) | 1]  # odd: not one column alone
    _refuse_far(sample[(sample > _SMALLEST) & (sample < _LARGEST)], source)
    return metres


def check_frame(
    rgb: ArrayLike | None, depth: ArrayLike | None
) -> tuple[NDArray[np.uint8] | None, NDArray[np.float32] | None]:
    """Colour and depth of one frame, each checked; an image that the model does not use, too: a
    wrong one is a wrong frame."""
    colour = None if rgb is None else check_rgb(rgb)
    metres = None if depth is None else check_depth(depth)
    if colour is not None and metres is not None and colour.shape[:2] != metres.shape:
        raise InputError(
            f"depth is {_wh(metres)}, colour is {_wh(colour)}: they must show the same pixels; "
            "register the depth to the colour camera first (graspling.camera.register_depth)"
        )
    return colour, metres


def _wh(image: NDArray[Any]) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _refuse_far(
    known: NDArray[np.float32],
    source: str,
    doubt: str = "the unit is probably wrong (floating point depth must be in metres)",
) -> None:
    """Raises InputError when depths that are known (N,) are no metres."""
    if known.size and (typical := float(np.median(known))) > _FARTHEST:
        raise InputError(f"{source}: the typical depth would be {typical:.0f} m; {doubt}")


def valid_depth(depth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """255 where depth is known, 0 where it is missing (0, negative, NaN, infinite); (H, W)."""
    return np.asarray(cv2.inRange(depth, (_SMALLEST,), (_LARGEST,)), dtype=np.uint8)


def _decode(path: str | Path, flags: int) -> NDArray[Any]:
    data = read_bytes(path)
    if data.startswith(_PNG) and _PNG_END not in data[-1024:] and _PNG_END not in data:
        # libpng would complain on its own, in a line beside ours
        raise InputError(
            f"{path}: is not an image that can be read: it ends too early; is it whole?"
        )
    try:
        with in_silence():
            image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags) if data else None
    except cv2.error:
        image = None
    if image is None:
        raise InputError(
            f"{path}: is not an image that can be read (PNG, JPEG, TIFF); is it whole?"
        )
    return np.asarray(image)


def _load_npy(path: str | Path) -> NDArray[Any]:
    read_bytes(path)
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{path}: is not a NumPy array file: {error}") from None


def read_bytes(path: str | Path) -> bytes:
    """The content of a file, or InputError in one line."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
