"""What a parallel-jaw gripper is to a grasp: opening, pads, boxes for collisions, axes.

House frame of every gripper, metres: origin between the pads (the tool centre point), +z along the
approach (from the palm to the fingertips), +x along the opening, y so that the frame is
right-handed. Seen in the image, x is the direction of the grasp's angle and y runs along its jaw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.camera_files import parse_yaml
from graspling.errors import InputError

Floats = NDArray[np.float64]
Vector = tuple[float, float, float]
_WIDEST = 1.0  # metres
_HUGE = 1e300  # a whole number beyond is no float


@dataclass(frozen=True)
class Box:
    """A box along the axes of the house frame: opposite corners, metres, ``low`` < ``high``."""

    low: Vector
    high: Vector

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", _vector(self.low, "low"))
        object.__setattr__(self, "high", _vector(self.high, "high"))
        if not all(a < b for a, b in zip(self.low, self.high, strict=True)):
            raise InputError(f"box: low {self.low} is not below high {self.high}")

    @property
    def centre(self) -> Floats:
        """(3,) metres."""
        return np.add(self.low, self.high) / 2

    @property
    def size(self) -> Floats:
        """(3,) edge lengths, metres."""
        return np.subtract(self.high, self.low)


@dataclass(frozen=True)
class Gripper:
    """A parallel-jaw gripper. Lengths in metres, forces in newtons, boxes in the house frame.

    Attributes:
        name: what it is called.
        opening: largest distance between the pads.
        min_opening: least distance between the pads, 0 when they touch.
        fingers: boxes of the finger on the +x side when the pads touch, so x = 0 is the face of
            its pad; the other finger is the mirror image (see :meth:`finger_boxes`).
        palm: box of the hand behind the fingers.
        pad_length: of a pad along y; it is the true jaw of a grasp.
        pad_width: of a pad along z.
        clearance: kept free on each side between pad and object before closing; a generated
            label's width is the contact distance + 2 x clearance, within the opening.
        max_force: largest force between the pads.
        tcp: origin of the house frame in the gripper's own frame (the one its maker documents and
            the robot's driver moves).
        opening_axis, approach_axis: house +x and +z as unit vectors of the gripper's own frame.

    Raises:
        InputError: a value is missing, not a number or out of its range.
    """

    name: str
    opening: float
    fingers: tuple[Box, ...]
    palm: Box
    pad_length: float
    pad_width: float
    max_force: float
    tcp: Vector
    opening_axis: Vector
    approach_axis: Vector
    min_opening: float = 0.0
    clearance: float = 0.005

    def __post_init__(self) -> None:
        for name in ("opening", "pad_length", "pad_width", "max_force"):
            _check(self, name, lambda value: value > 0, "a number above 0")
        if self.opening > _WIDEST:
            raise InputError(
                f"gripper: opening is {self.opening:g} m, expected at most {_WIDEST:g}; are its "
                "lengths in millimetres? They are metres here"
            )
        _check(self, "min_opening", lambda value: 0 <= value < self.opening, "from 0 to opening")
        _check(self, "clearance", lambda value: 0 <= 2 * value < self.opening, "0 to opening / 2")
        for name in ("tcp", "opening_axis", "approach_axis"):
            object.__setattr__(self, name, _vector(getattr(self, name), f"gripper: {name}"))
        if not np.allclose(self.axes.T @ self.axes, np.eye(3), atol=1e-6):
            raise InputError(
                f"gripper: opening_axis {self.opening_axis} and approach_axis "
                f"{self.approach_axis} are not perpendicular unit vectors"
            )
        object.__setattr__(self, "fingers", tuple(self.fingers))
        if not self.fingers or min(box.low[0] for box in self.fingers) < 0:
            raise InputError(
                "gripper: fingers are the boxes of the +x finger with its pad at x = 0; "
                "expected at least one, none below x = 0"
            )
        if self.reach <= 0:
            raise InputError(
                f"gripper: the fingers end {-self.reach * 1e3:.0f} mm behind the point between the "
                "pads, z = 0; +z is the approach, so one of them reaches above 0"
            )
        if self.palm.high[2] >= self.reach:
            raise InputError("gripper: the palm ends beyond the fingertips; +z is the approach")

    # ---- loading --------------------------------------------------------------------------------

    @classmethod
    def load(cls, name_or_path: str | Path) -> Gripper:
        """A gripper that comes with graspling, by name, or your own from a YAML file.

        Start your own from ``grippers/panda.yaml`` in this package.

        Raises:
            InputError: no such gripper or file, or the file does not describe a gripper.
        """
        path = Path(name_or_path)
        shipped = _folder() / f"{name_or_path}.yaml"
        known = str(name_or_path) in shipped_grippers()
        try:
            text = (shipped if known else path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            names = ", ".join(shipped_grippers())
            raise InputError(
                f"gripper {str(name_or_path)!r}: neither one of {names} nor a YAML file "
                "that can be read"
            ) from None
        return _parsed(text, path)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Gripper:
        """From the keys of a YAML file: the attributes, boxes as ``{low: [...], high: [...]}``."""
        known = {entry.name: entry.default is MISSING for entry in fields(cls)}
        if not isinstance(document, Mapping):
            raise InputError(f"expected the keys {', '.join(known)}")
        unknown = [str(key) for key in document if key not in known]
        missing = [key for key, needed in known.items() if needed and key not in document]
        if unknown or missing:
            problems = [f"unknown key {key}" for key in unknown]
            problems += [f"{key} is missing" for key in missing]
            raise InputError(f"{'; '.join(problems)}; the keys are {', '.join(known)}")
        values = dict(document)
        values["palm"] = _box(values["palm"], "palm")
        if not isinstance(values["fingers"], list):
            raise InputError("fingers: expected a list of boxes")
        values["fingers"] = tuple(_box(box, "fingers") for box in values["fingers"])
        return cls(**values)

    # ---- geometry -------------------------------------------------------------------------------

    @property
    def axes(self) -> Floats:
        """(3, 3) rotation, vectors in the house frame to the gripper's own frame."""
        x, z = np.array(self.opening_axis), np.array(self.approach_axis)
        return np.stack([x, np.cross(z, x), z], axis=1)

    @property
    def own_from_house(self) -> Floats:
        """(4, 4) points in the house frame to the gripper's own frame, metres.

        The own frame's pose that a robot has to reach is ``pose @ inverse(own_from_house)`` for a
        house pose (4, 4).
        """
        transform = np.eye(4)
        transform[:3, :3], transform[:3, 3] = self.axes, self.tcp
        return transform

    @property
    def reach(self) -> float:
        """How far the fingertips stand out beyond the origin along the approach, metres."""
        return max(box.high[2] for box in self.fingers)

    def either_way(self) -> Gripper:
        """With the smallest boxes that hold it and itself half a turn about the approach further,
        which for a grasp is the same: what is clear of them is clear of both."""
        fingers = tuple(_either_way(box, along=False) for box in self.fingers)  # they are mirrored
        return replace(self, fingers=fingers, palm=_either_way(self.palm, along=True))

    def finger_boxes(self, opening: float) -> tuple[Box, ...]:
        """The boxes of both fingers when the pads are ``opening`` metres apart.

        Raises:
            InputError: the gripper cannot open that far, or not close that far.
        """
        if not self.min_opening <= opening <= self.opening:
            raise InputError(
                f"opening {opening:g} m; {self.name} opens from {self.min_opening:g} "
                f"to {self.opening:g} m"
            )
        half = opening / 2
        right = [_span(box, box.low[0] + half, box.high[0] + half) for box in self.fingers]
        left = [_span(box, -box.high[0] - half, -box.low[0] - half) for box in self.fingers]
        return (*right, *left)


def _either_way(box: Box, *, along: bool) -> Box:
    """The box widened along y, and with ``along`` along x, to be its own half turn about z."""
    half = [max(abs(box.low[axis]), abs(box.high[axis])) for axis in (0, 1)]
    low, high = (
        (sign * half[0] if along else end[0], sign * half[1], end[2])
        for sign, end in ((-1, box.low), (1, box.high))
    )
    return Box(low, high)


def shipped_grippers() -> list[str]:
    """Names of the grippers that come with graspling."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in _folder().iterdir()
        if entry.name.endswith(".yaml")
    )


@lru_cache(maxsize=16)
def _parsed(text: str, path: Path) -> Gripper:
    """From the text of a file; kept, since YAML takes milliseconds, each frame anew."""
    document = parse_yaml(text, f"gripper file {path}: not YAML")
    try:
        return Gripper.from_dict(document)
    except InputError as error:
        raise InputError(f"gripper file {path}: {error}") from None


def _folder() -> Traversable:
    return files("graspling") / "grippers"


def _span(box: Box, x_low: float, x_high: float) -> Box:
    return Box((x_low, *box.low[1:]), (x_high, *box.high[1:]))


def _check(gripper: Gripper, name: str, good: Callable[[float], bool], expected: str) -> None:
    value = getattr(gripper, name)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not abs(value) < _HUGE or not good(value):
        raise InputError(f"gripper: {name} is {value!r}, expected {expected}")
    object.__setattr__(gripper, name, float(value))


def _vector(value: Any, what: str) -> Vector:
    try:
        x, y, z = (float(number) for number in value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{what} is {value!r}, expected three numbers") from None
    if not all(map(math.isfinite, (x, y, z))):
        raise InputError(f"{what} is {value!r}, expected finite numbers")
    return (x, y, z)


def _box(value: Any, what: str) -> Box:
    if not isinstance(value, Mapping) or set(value) != {"low", "high"}:
        raise InputError(f"{what}: expected a box {{low: [x, y, z], high: [x, y, z]}}")
    return Box(value["low"], value["high"])
