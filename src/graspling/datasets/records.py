"""The records that data sets hand out: a frame, its labels, both as a sample, and faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.camera import Intrinsics
from graspling.errors import InputError
from graspling.grasps import Grasps


@dataclass(frozen=True, eq=False)
class Frame:
    """What a camera saw. Arrays may be shared with the cache: do not write into them.

    Attributes:
        rgb: (H, W, 3) uint8, or None.
        depth: (H, W) float32 metres along z, 0 = missing, or None.
        mask: (H, W) bool, True where the objects are, or None.
        intrinsics: of this frame, or None when they are not known.
    """

    rgb: NDArray[np.uint8] | None = None
    depth: NDArray[np.float32] | None = None
    mask: NDArray[np.bool_] | None = None
    intrinsics: Intrinsics | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        image = self.depth if self.rgb is None else self.rgb
        if image is None:
            raise InputError("this sample has neither colour nor depth")
        return image.shape[0], image.shape[1]

    @property
    def focal(self) -> float | None:
        """Focal length of the camera, pixels, or None when it is not known."""
        return None if self.intrinsics is None else self.intrinsics.focal

    @property
    def arrays(self) -> list[NDArray[Any]]:
        """The images that are there: colour, depth, mask."""
        return [image for image in (self.rgb, self.depth, self.mask) if image is not None]


@dataclass(frozen=True, eq=False)
class Sample(Frame):
    """A frame with its labels, all in pixels of this frame.

    Attributes:
        id: unique in the data set.
        object_id: the object shown (views of one object share it), or None when not known.
        grasps: the labels; None when the frame is not labelled (an empty table says that it is
            labelled and nothing can be grasped).
        negatives: grasps labelled as bad, or None when the data set has none.
        ambiguous: grasps of which nobody knows whether they hold, ignored in training and scoring,
            or None when the data set has none.
    """

    id: str = ""
    object_id: str | None = None
    grasps: Grasps | None = None
    negatives: Grasps | None = None
    ambiguous: Grasps | None = None


@dataclass(frozen=True)
class FileFault:
    """A row that was left out, or a file that is missing.

    Attributes:
        file: relative to the data set's folder.
        line: from 1; 0 means the whole file.
        message: what was found there and what was expected.
        malformed: False for rows that the format allows and that hold no grasp (NaN in Cornell).
        negative: the row is one of the grasps that would fail.
    """

    file: str
    line: int
    message: str
    malformed: bool = True
    negative: bool = False

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}"


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of one frame as read: see :class:`Sample`; ``faults`` are the rows left out."""

    grasps: Grasps | None = None
    negatives: Grasps | None = None
    faults: tuple[FileFault, ...] = ()
    ambiguous: Grasps | None = None
