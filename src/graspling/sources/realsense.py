"""An Intel RealSense camera, or one of its recordings (.bag, .db3), as a source.

Needs ``pyrealsense2`` (extra ``realsense``). Depth is registered to the colour camera by the
camera's own library, so both show the same pixels.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.camera import Intrinsics
from graspling.errors import InputError, MissingExtraError
from graspling.sources.base import Frame, Source, SourceLost

# Longer than the automatic exposure takes to give a first image, milliseconds.
_WAIT = 5000
_RECORDINGS = (".bag", ".db3")
# format: what takes its pixels to red, green, blue, or to depth
_COLOURS = {
    "rgb8": np.s_[..., :3],
    "bgr8": np.s_[..., ::-1],
    "rgba8": np.s_[..., :3],
    "bgra8": np.s_[..., 2::-1],
}
_DEPTHS = {"z16": np.s_[:]}


class RealSense(Source):
    """Colour and registered depth of a RealSense camera.

    Args:
        device: serial number of the camera, "" for any, or the path of a recording.
        width, height, fps: of both streams; a recording has its own.
        intrinsics: instead of those that the camera knows.

    Raises:
        MissingExtraError: pyrealsense2 is not installed.
        InputError: there is no such recording.
    """

    gives = (True, True)

    def __init__(
        self,
        device: str = "",
        *,
        width: int = 640,
        height: int = 480,
        fps: int = 30,
        intrinsics: Intrinsics | None = None,
    ) -> None:
        self._library = _pyrealsense2()
        self._recorded = Path(device).suffix in _RECORDINGS
        if self._recorded and not Path(device).is_file():
            raise InputError(f"{device}: there is no such recording")
        self.live = not self._recorded
        self.name = device if self._recorded else f"RealSense {device}".strip()
        self.reads = (Path(device),) if self._recorded else ()
        self._device, self._size, self._intrinsics = device, (width, height, fps), intrinsics

    def frames(self) -> Iterator[Frame]:
        """See :class:`Source`. The time is that of the camera's clock."""
        rs = self._library
        pipeline = rs.pipeline()
        try:
            profile = pipeline.start(self._config())
        except RuntimeError as error:
            raise self._lost(f"cannot be opened: {error}") from None
        try:
            device = profile.get_device()
            unit = float(device.first_depth_sensor().get_depth_scale())
            if self._recorded:
                device.as_playback().set_real_time(False)
            align = rs.align(rs.stream.color)
            number, shown = 0, (-1, -1)
            while True:
                try:
                    both = align.process(pipeline.wait_for_frames(_WAIT))
                except RuntimeError as error:
                    if self._recorded and number:
                        return  # the library does not tell the end from a fault
                    raise self._lost(f"gives no frames: {error}") from None
                colour, depth = both.get_color_frame(), both.get_depth_frame()
                if not colour or not depth:  # the first sets may lack one
                    continue
                # a set holds the newest image of each stream: where one was dropped, an old image
                # once more, which is of another moment than the new one beside it
                numbers = colour.get_frame_number(), depth.get_frame_number()
                if numbers[0] == shown[0] or numbers[1] == shown[1]:
                    continue
                shown = numbers
                yield Frame(
                    f"{number:06d}",
                    _pixels(colour, _COLOURS).astype(np.uint8),
                    _pixels(depth, _DEPTHS).astype(np.float32) * np.float32(unit),
                    float(colour.get_timestamp()) / 1000,
                    self._intrinsics or _intrinsics(colour),
                )
                number += 1
        finally:
            pipeline.stop()

    def _config(self) -> Any:
        rs = self._library
        config = rs.config()
        if self._recorded:
            config.enable_device_from_file(self._device, False)  # False: not over and over
            return config
        if self._device:
            config.enable_device(self._device)
        width, height, fps = self._size
        config.enable_stream(rs.stream.depth, width, height, rs.format.z16, fps)
        config.enable_stream(rs.stream.color, width, height, rs.format.rgb8, fps)
        return config

    def _lost(self, reason: str) -> SourceLost | InputError:
        line = " ".join(reason.split())
        return InputError(f"{self.name}: {line}") if self._recorded else SourceLost(line)


def _intrinsics(frame: Any) -> Intrinsics:
    known = frame.get_profile().as_video_stream_profile().get_intrinsics()
    values = (known.fx, known.fy, known.ppx, known.ppy, known.width, known.height)
    try:
        return Intrinsics(*values, tuple(known.coeffs), str(known.model))
    except InputError as error:
        raise InputError(f"RealSense: {error}, and give their intrinsics by --camera") from None


def _pixels(frame: Any, formats: dict[str, Any]) -> NDArray[Any]:
    """A copy of the pixels of a frame, which a recording may hold in any format."""
    name = str(frame.get_profile().format()).rpartition(".")[2]
    if name not in formats:
        raise InputError(
            f"RealSense: holds images as {name}, expected {' or '.join(formats)}: record it so"
        )
    return np.array(np.asarray(frame.get_data())[formats[name]])


def _pyrealsense2() -> Any:
    try:
        return importlib.import_module("pyrealsense2")
    except ImportError as error:
        if "libusb" in str(error):
            raise InputError(
                f"pyrealsense2 cannot be loaded: {error}; install libusb-1.0"
            ) from None
        raise MissingExtraError("pyrealsense2", "realsense") from None
