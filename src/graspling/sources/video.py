"""Videos, webcams and network streams, read by OpenCV: colour alone."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from graspling.camera import Intrinsics
from graspling.errors import InputError
from graspling.sources.base import Frame, Source, SourceLost

# OpenCV's own limit on opening and on one image of a network stream, milliseconds.
_OPEN_TIMEOUT, _READ_TIMEOUT = 5000, 5000
# These files say how many frames they hold; of others OpenCV reckons it from how long they last.
_COUNTED = (".mp4", ".m4v", ".mov", ".avi")


class Video(Source):
    """A video file, a camera by its number, or a URL.

    Args:
        target: file, URL, or the number of a camera.
        intrinsics: of all frames.

    Raises:
        InputError: there is no such file.
    """

    gives = (True, False)

    def __init__(self, target: str | int, *, intrinsics: Intrinsics | None = None) -> None:
        self._target, self._intrinsics = target, intrinsics
        self.live = isinstance(target, int) or "://" in target
        self.name = f"camera {target}" if isinstance(target, int) else target
        if not self.live:
            self.reads = (Path(str(target)),)
            if not self.reads[0].is_file():
                raise InputError(f"{target}: there is no such video file")

    def frames(self) -> Iterator[Frame]:
        """See :class:`Source`. The time is that of the video; live ones have none. OpenCV passes
        over images that it cannot decode; a warning at the end says how many the file spoke of.
        That is no fault: of a clip that was trimmed without coding it anew, files speak of all."""
        with self._opened() as capture:
            number, time = 0, None
            while True:
                good, image = capture.read()
                if not good and self.live:
                    raise SourceLost("it gives no images any more")
                if not good and number == 0:
                    raise InputError(f"{self.name}: holds no image that can be read; is it whole?")
                if not good:
                    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
                    if number < count and self.reads[0].suffix.lower() in _COUNTED:
                        warnings.warn(
                            f"{self.name}: {number} frames could be read of {count} that the file "
                            "speaks of; was it trimmed, or is it not whole?",
                            stacklevel=2,
                        )
                    return
                rgb = np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)
                if not self.live:
                    time = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1e3
                yield Frame(f"{number:06d}", rgb, None, time, self._intrinsics)
                number += 1

    @contextmanager
    def _opened(self) -> Iterator[cv2.VideoCapture]:
        how = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_TIMEOUT]
        how += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, _READ_TIMEOUT]
        if isinstance(self._target, int):
            capture = cv2.VideoCapture(self._target)
        elif self.live:
            capture = cv2.VideoCapture(self._target, cv2.CAP_FFMPEG, how)
        else:
            capture = cv2.VideoCapture(self._target)
        try:
            if not capture.isOpened():
                if self.live:
                    raise SourceLost("it cannot be opened")
                raise InputError(f"{self.name}: is no video that can be read")
            yield capture
        finally:
            capture.release()
