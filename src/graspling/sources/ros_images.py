"""ROS image messages to arrays: pure functions, without ROS.

They take any object with the fields of ``sensor_msgs`` Image, CompressedImage or CameraInfo:
from ``rclpy``, from ``rosbags``, or a stand-in.

Encodings: sensor_msgs/image_encodings.h (REP 118 for depth: 16UC1 in millimetres, 32FC1 in metres);
compressed ones: the packages compressed_image_transport and compressed_depth_image_transport.
"""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.camera import Intrinsics
from graspling.errors import InputError

# encoding: NumPy type, channels, order of the channels that makes it red, green, blue
_COLOURS: dict[str, tuple[str, int, tuple[int, ...]]] = {
    "rgb8": ("u1", 3, (0, 1, 2)),
    "bgr8": ("u1", 3, (2, 1, 0)),
    "rgba8": ("u1", 4, (0, 1, 2)),
    "bgra8": ("u1", 4, (2, 1, 0)),
    "8uc3": ("u1", 3, (2, 1, 0)),  # OpenCV's own order
    "mono8": ("u1", 1, (0, 0, 0)),
    "8uc1": ("u1", 1, (0, 0, 0)),
}
# encoding: NumPy type, metres a count
_DEPTHS = {"16uc1": ("u2", 1e-3), "mono16": ("u2", 1e-3), "32fc1": ("f4", 1.0)}
_HEADER = 12  # bytes of a compressedDepth message before the PNG: format and two parameters


def stamp_seconds(message: Any) -> float:
    """Time stamp in the header of a message, seconds."""
    stamp = message.header.stamp
    # ROS 1 says secs, nsecs
    seconds = getattr(stamp, "sec", getattr(stamp, "secs", 0))
    return float(seconds) + float(getattr(stamp, "nanosec", getattr(stamp, "nsecs", 0))) * 1e-9


def is_depth(message: Any) -> bool:
    """Whether an image message holds depth rather than colour."""
    if hasattr(message, "format"):
        return "compressedDepth" in message.format or _encoding(message) in _DEPTHS
    return _encoding(message) in _DEPTHS


def rgb_of(message: Any) -> NDArray[np.uint8]:
    """Colour of an Image or CompressedImage message: (H, W, 3) uint8, red first; grey is repeated.

    Raises:
        InputError: an encoding that is no colour, or too little data for the size.
    """
    if hasattr(message, "format"):
        image = _decoded(message, bytes(message.data), cv2.IMREAD_COLOR)
        return np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)
    encoding = _encoding(message)
    if encoding not in _COLOURS:
        raise InputError(
            f"a colour image has the encoding {message.encoding!r}; "
            f"expected one of {', '.join(_COLOURS)}"
        )
    kind, channels, order = _COLOURS[encoding]
    return np.ascontiguousarray(_pixels(message, kind, channels)[..., order])


def depth_of(message: Any) -> NDArray[np.float32]:
    """Depth of an Image or CompressedImage message: (H, W) float32 metres, 0 = missing.

    16UC1 counts millimetres and 32FC1 metres (REP 118).

    Raises:
        InputError: an encoding that is no depth, or too little data for the size.
    """
    if hasattr(message, "format"):
        return _compressed_depth(message)
    encoding = _encoding(message)
    if encoding not in _DEPTHS:
        raise InputError(
            f"a depth image has the encoding {message.encoding!r}; expected 16UC1 or 32FC1"
        )
    kind, unit = _DEPTHS[encoding]
    return _metres(_pixels(message, kind, 1)[..., 0], unit)


def check_aligned(colour: Any, depth: Any, remedy: str) -> None:
    """Raises InputError where the headers of two image messages name different frames: then depth
    does not show the pixels of the colour image. No name says nothing.

    Args:
        remedy: what the user can do, for the message.
    """
    # in ROS 1 the same name may begin with a slash
    seen, measured = (str(message.header.frame_id).lstrip("/") for message in (colour, depth))
    if seen and measured and seen != measured:
        raise InputError(
            f"depth ({measured}) does not show the pixels of colour ({seen}); {remedy}"
        )


def intrinsics_of(message: Any, *, rectified: bool = False) -> Intrinsics | None:
    """Intrinsics of a CameraInfo message; None where nobody calibrated the camera, which the
    definition of the message tells by a focal length of 0.

    Args:
        rectified: the images were rectified (``image_rect``): then P holds, and no distortion.

    Raises:
        InputError: values are out of range.
    """
    matrix = message.p if rectified and hasattr(message, "p") else None
    if matrix is None:
        matrix = message.P if rectified else getattr(message, "k", getattr(message, "K", None))
    values = np.asarray(matrix, dtype=np.float64).reshape(3, -1)
    if values[0, 0] == 0:
        return None
    document: dict[str, Any] = {"K": values[:, :3].ravel().tolist()}
    document |= {"width": int(message.width), "height": int(message.height)}
    for name in ("binning_x", "binning_y"):
        document[name] = int(getattr(message, name, 0))
    region = getattr(message, "roi", None)
    if region is not None:
        sides = ("x_offset", "y_offset", "width", "height")
        document["roi"] = {side: int(getattr(region, side, 0)) for side in sides}
    if not rectified:
        distortion = getattr(message, "d", getattr(message, "D", ()))
        document["D"] = np.asarray(distortion, dtype=np.float64).tolist()
        document["distortion_model"] = str(getattr(message, "distortion_model", ""))
    return Intrinsics.from_dict(document)


# ---- pixels -----------------------------------------------------------------------------------


def _encoding(message: Any) -> str:
    """In lower case; of a compressed message what is written before the semicolon."""
    text = message.format if hasattr(message, "format") else message.encoding
    return str(text).split(";")[0].strip().lower()


def _pixels(message: Any, kind: str, channels: int) -> NDArray[Any]:
    """(H, W, channels) of a raw image: rows may be padded, the bytes may be in either order."""
    height, width, step = int(message.height), int(message.width), int(message.step)
    dtype = np.dtype((">" if message.is_bigendian else "<") + kind)
    row = width * channels * dtype.itemsize
    data = np.frombuffer(memoryview(message.data).cast("B"), dtype=np.uint8)
    if min(height, width) < 1 or step < row or data.size < height * step:
        raise InputError(
            f"an image message of {width}x{height} pixels ({message.encoding}) holds {data.size} "
            f"bytes in rows of {step}; expected rows of at least {row}"
        )
    rows = np.ascontiguousarray(data[: height * step].reshape(height, step)[:, :row])
    return rows.view(dtype).reshape(height, width, channels)


def _metres(counts: NDArray[Any], unit: float) -> NDArray[np.float32]:
    depth = counts.astype(np.float32) * np.float32(unit)
    return np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0))


def _decoded(message: Any, data: bytes, flags: int) -> NDArray[Any]:
    try:
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags) if data else None
    except cv2.error:
        image = None
    if image is None:
        raise InputError(f"a compressed image ({message.format!r}) cannot be decoded; is it whole?")
    return np.asarray(image)


def _compressed_depth(message: Any) -> NDArray[np.float32]:
    """A PNG of 16 bits: millimetres, or, for 32FC1, counts of inverse depth with its two
    parameters in the header (compressed_depth_image_transport: depth = a / (count - b))."""
    data, encoding = bytes(message.data), _encoding(message)
    if message.format.lower().endswith("rvl"):
        raise InputError(
            f"a compressed depth image ({message.format!r}) is packed as RVL, and only PNG is "
            "read: set format of compressed_depth_image_transport to png where it is published, or "
            "record the raw topic"
        )
    headed = "compressedDepth" in message.format
    image = _decoded(message, data[_HEADER:] if headed else data, cv2.IMREAD_UNCHANGED)
    if image.ndim != 2 or image.dtype != np.uint16:
        raise InputError(
            f"a compressed depth image ({message.format!r}) holds {image.dtype} in "
            f"{image.ndim} dimensions; expected one channel of 16 bits"
        )
    if encoding != "32fc1":
        return _metres(image, 1e-3)
    a, b = struct.unpack("<ff", data[4:_HEADER])
    counts = image.astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.where(image > 0, np.float32(a) / (counts - np.float32(b)), np.float32(0))
    return _metres(depth, 1.0)
