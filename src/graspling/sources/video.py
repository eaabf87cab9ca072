"""Videos, image sequences, webcams and network streams, read by OpenCV: colour alone."""

from __future__ import annotations

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


class Video(Source):
    """A video file, a sequence such as ``frame_%04d.png``, a camera by its number, or a URL.

    Args:
        target: file, pattern, URL, or the number of a camera.
        intrinsics: of all frames.

    Raises:
        InputError: there is no such file.
    """

    gives = (True, False)

    def __init__(self, target: str | int, *, intrinsics: Intrinsics | None = None) -> None:
        self._target, self._intrinsics = target, intrinsics
        self.live = isinstance(target, int) or "://" in target
        self.name = f"camera {target}" if isinstance(target, int) else target
        if not self.live and "%" not in str(target) and not Path(str(target)).is_file():
            raise InputError(f"{target}: there is no such video file")

    def frames(self) -> Iterator[Frame]:
        """See :class:`Source`. The time is that of the video; live ones have none."""
        with self._opened() as capture:
            rate = float(capture.get(cv2.CAP_PROP_FPS))
            number = 0
            while True:
                good, image = capture.read()
                if not good and self.live:
                    raise SourceLost("it gives no images any more")
                if not good and number == 0:
                    raise InputError(f"{self.name}: holds no image that can be read; is it whole?")
                if not good:
                    return
                rgb = np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)
                time = number / rate if rate > 0 and not self.live else None
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
                raise InputError(
                    f"{self.name}: neither a video nor an image sequence that can be read"
                )
            yield capture
        finally:
            capture.release()
