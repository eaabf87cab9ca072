"""The camera file of `graspling detect --camera`: what a frame's files do not say themselves.

JSON or YAML. All keys are optional, unknown ones are warned of::

    depth_unit: mm                 # of integer depth: mm, 0.1mm or metres a count
    colour: {fx, fy, cx, cy, width, height}
    depth: {fx, fy, cx, cy, width, height}
    colour_from_depth: [[...], [...], [...], [0, 0, 0, 1]]   # 4 x 4, metres

With the last three, depth is registered to colour. A file of intrinsics alone (fx, fy, ..., a ROS
CameraInfo or a RealSense profile), maybe with a ``depth_unit``, works too: then depth and colour
already fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.camera import Intrinsics, register_depth
from graspling.camera_files import read_document, warn_of_unknown
from graspling.errors import InputError
from graspling.frames import parse_depth_unit

_REGISTRATION = ("colour", "depth", "colour_from_depth")


@dataclass(frozen=True, eq=False)
class CameraFile:
    """What a camera file holds.

    Attributes:
        depth_unit: metres a count of integer depth, or None.
        colour, depth: intrinsics for registration, or None.
        colour_from_depth: (4, 4) rigid transform, metres, or None.
        intrinsics: of the frame that grasps are found in, or None.
    """

    depth_unit: float | None = None
    colour: Intrinsics | None = None
    depth: Intrinsics | None = None
    colour_from_depth: NDArray[np.float64] | None = None
    intrinsics: Intrinsics | None = None

    @classmethod
    def load(cls, path: str | Path) -> CameraFile:
        """Read a camera file.

        Raises:
            InputError: it is missing, neither JSON nor YAML, or registration is incomplete.
        """
        document = read_document(path)
        try:
            return cls.from_dict(document)
        except InputError as error:
            raise InputError(f"camera file {path}: {error}") from None

    @classmethod
    def from_dict(cls, document: Any) -> CameraFile:
        """From the keys above."""
        if not isinstance(document, Mapping):
            raise InputError("expected keys and values, such as depth_unit: mm")
        unit = document.get("depth_unit")
        metres = parse_depth_unit(unit) if unit is not None else None
        there = [key for key in _REGISTRATION if document.get(key) is not None]
        if not there:
            if len(document) > ("depth_unit" in document):
                return cls(metres, intrinsics=Intrinsics.from_dict(document))
            return cls(metres)
        missing = [key for key in _REGISTRATION if key not in there]
        if missing:
            raise InputError(f"{', '.join(missing)} missing; registering depth needs all three")
        warn_of_unknown(document, (*_REGISTRATION, "depth_unit"))
        try:
            transform = np.array(document["colour_from_depth"], dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError("colour_from_depth is not a 4 x 4 matrix of numbers") from None
        if transform.shape == (4, 4) and np.abs(transform[:3, 3]).max() > 1:
            raise InputError(
                "colour_from_depth moves by more than 1 m: millimetres? expected metres"
            )
        colour, depth = (Intrinsics.from_dict(document[key]) for key in ("colour", "depth"))
        return cls(metres, colour, depth, transform, colour)

    def register(self, depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Depth as the colour camera sees it; unchanged when the file says nothing about it."""
        if self.colour is None or self.depth is None or self.colour_from_depth is None:
            return depth
        return register_depth(depth, self.depth, self.colour, self.colour_from_depth)

    def check_size(self, image: NDArray[Any] | None) -> None:
        """Raises InputError when a frame (H, W, ...) is not of the size that the intrinsics say."""
        if self.intrinsics is not None:
            self.intrinsics.check_size(image)
