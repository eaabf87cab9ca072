"""What every source of frames gives: frames, one after the other, from wherever they come."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from graspling.camera import Intrinsics
from graspling.errors import GrasplingError

Register = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class SourceLost(GrasplingError):
    """A live source went away (unplugged, timed out, connection closed); it may come back."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One moment, seen by one camera.

    Attributes:
        name: of the frame, for tables and pictures.
        rgb: (H, W, 3) uint8, red first, or None.
        depth: (H, W) float32 metres with the pixels of the colour image, 0 = missing, or None.
        time: seconds on the clock of the camera or the recording; None where there is no clock.
        intrinsics: of these pixels, or None where they are not known.
        fault: why this frame could not be read; then there is neither colour nor depth.
    """

    name: str
    rgb: NDArray[np.uint8] | None = None
    depth: NDArray[np.float32] | None = None
    time: float | None = None
    intrinsics: Intrinsics | None = None
    fault: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width); (0, 0) for a frame that could not be read."""
        image = self.depth if self.rgb is None else self.rgb
        return (0, 0) if image is None else (image.shape[0], image.shape[1])

    @property
    def focal(self) -> float | None:
        """Focal length in pixels for the detector, or None where the intrinsics are not known.

        Raises:
            InputError: the intrinsics are those of another image size.
        """
        if self.intrinsics is None:
            return None
        self.intrinsics.check_size(self.depth if self.rgb is None else self.rgb)
        return self.intrinsics.focal


class Source(ABC):
    """Where frames come from. It can be read several times; each time it is opened anew.

    Attributes:
        name: what a message calls it.
        live: frames come by themselves, whether anyone looks or not, and there is no end: when
            they cease, the source was lost.
        reads: files and folders that its frames come from; nothing is to be written there.
        gives: (colour, depth): what its frames have, where that is known before the first of them.
    """

    name: str
    live: bool = False
    reads: tuple[Path, ...] = ()
    gives: tuple[bool, bool] | None = None

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """Open the source and yield its frames; closing the iterator closes the source.

        Frames may change their size. What is wrong with one frame alone is said in its ``fault``.

        Raises:
            SourceLost: a live source cannot be opened or went away.
            InputError: the source can never be read.
        """
