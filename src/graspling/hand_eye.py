"""Where a camera is on a robot: the transform that ``graspling calibrate`` finds and poses need.

Eye-in-hand: the camera moves with the hand, and the transform takes points of the camera frame to
the hand's. Eye-to-hand: the camera stands still, and it takes them to the robot's base.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.camera_files import read_document
from graspling.errors import InputError
from graspling.registration import rigid

Floats = NDArray[np.float64]
Setup = Literal["eye-in-hand", "eye-to-hand"]

SCHEMA = "graspling/hand-eye"
SCHEMA_VERSION = 1
_FARTHEST = 10.0  # metres
SETUPS: tuple[Setup, ...] = ("eye-in-hand", "eye-to-hand")


@dataclass(frozen=True, eq=False)
class HandEye:
    """A calibrated camera on or beside a robot.

    Attributes:
        setup: where the camera is.
        transform: (4, 4) ``hand_from_camera`` of an eye in the hand, ``base_from_camera`` of one
            beside the robot; metres.
        report: what the calibration said of itself, ready for JSON.

    Raises:
        InputError: no such setup, or no rigid transform.
    """

    setup: Setup
    transform: Floats
    report: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.setup not in SETUPS:
            raise InputError(f"hand-eye: setup is {self.setup!r}, expected {' or '.join(SETUPS)}")
        object.__setattr__(self, "transform", in_metres(rigid(self.transform), "hand-eye"))

    def robot_from_camera(self, base_from_hand: ArrayLike | None = None) -> Floats:
        """(4, 4), points of the camera frame to the robot's base.

        Args:
            base_from_hand: (4, 4) pose of the hand when the frame was taken; an eye in the hand
                needs it.

        Raises:
            InputError: it is missing or no rigid transform.
        """
        if self.setup == "eye-to-hand":
            return self.transform
        if base_from_hand is None:
            raise InputError(
                "the camera is in the hand: the pose of the hand when the frame was taken is "
                "needed (base_from_hand, 4 x 4)"
            )
        return np.asarray(rigid(base_from_hand) @ self.transform)

    def to_json(self) -> str:
        """JSON text, indented for readers."""
        name = "hand_from_camera" if self.setup == "eye-in-hand" else "base_from_camera"
        document = {"schema": SCHEMA, "version": SCHEMA_VERSION, "setup": self.setup}
        document |= {name: self.transform.tolist(), "report": dict(self.report)}
        return json.dumps(document, indent=2) + "\n"

    @classmethod
    def load(cls, path: str | Path) -> HandEye:
        """From a file of :meth:`to_json`.

        Raises:
            InputError: it cannot be read or is no hand-eye calibration.
        """
        document = read_document(path, "hand-eye file")
        if not isinstance(document, Mapping) or document.get("schema") != SCHEMA:
            raise InputError(
                f'{path}: is no hand-eye calibration ("schema": "{SCHEMA}"); '
                "'graspling calibrate' writes one"
            )
        if document.get("version") != SCHEMA_VERSION:
            raise InputError(
                f"{path}: version {document.get('version')!r}; this release reads {SCHEMA_VERSION}"
            )
        setup = document.get("setup")
        name = "hand_from_camera" if setup == "eye-in-hand" else "base_from_camera"
        try:
            if setup in SETUPS and document.get(name) is None:
                raise InputError(f"{name} is missing, which {setup} needs: 4 x 4, metres")
            return cls(setup, matrix_of(document.get(name), name), document.get("report") or {})  # type: ignore[arg-type]
        except InputError as error:
            raise InputError(f"{path}: {error}") from None


def in_metres(pose: Floats, name: str) -> Floats:
    """The pose (4, 4), unless it is so far away that its unit must be another; then InputError."""
    if (far := float(np.linalg.norm(pose[:3, 3]))) > _FARTHEST:
        raise InputError(f"{name}: lies {far:.0f} m away: millimetres? expected metres")
    return pose


def matrix_of(value: Any, name: str) -> Floats:
    """A rigid (4, 4) from nested lists; raises InputError when it is none."""
    try:
        matrix = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} is not a 4 x 4 matrix of numbers") from None
    try:
        return rigid(matrix)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
