"""ROS messages without ROS: plain classes with the fields of the real ones."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np


def header(time: float, frame_id: str = "camera_color_optical_frame") -> Any:
    nanoseconds = round(time * 1e9)
    stamp = SimpleNamespace(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)
    return SimpleNamespace(stamp=stamp, frame_id=frame_id)


def image(
    array: np.ndarray, encoding: str, time: float = 0.0, pad: int = 0, big: bool = False
) -> Any:
    """A sensor_msgs/Image; ``pad`` bytes at the end of each row."""
    dtype = array.dtype.newbyteorder(">" if big else "<")
    rows = np.ascontiguousarray(array.astype(dtype)).reshape(len(array), -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, pad)), constant_values=77)
    return SimpleNamespace(
        header=header(time),
        height=array.shape[0],
        width=array.shape[1],
        encoding=encoding,
        is_bigendian=int(big),
        step=rows.shape[1],
        data=rows.ravel(),
    )


def compressed(array: np.ndarray, format: str, suffix: str = ".png", head: bytes = b"") -> Any:
    """A sensor_msgs/CompressedImage; ``array`` as OpenCV writes it."""
    done, data = cv2.imencode(suffix, array)
    assert done
    return SimpleNamespace(
        header=header(0.0), format=format, data=np.frombuffer(head + data.tobytes(), np.uint8)
    )


def camera_info(time: float = 0.0, **other: Any) -> Any:
    values = {
        "header": header(time),
        "height": 48,
        "width": 64,
        "distortion_model": "plumb_bob",
        "d": np.zeros(5),
        "k": np.array([60.0, 0, 31.5, 0, 61.0, 23.5, 0, 0, 1]),
        "p": np.array([55.0, 0, 30.0, 0, 0, 55.0, 22.0, 0, 0, 0, 1, 0]),
    }
    return SimpleNamespace(**values | other)
