"""Camera models by name, and where a camera stands over a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.camera import Intrinsics
from graspling.camera_files import parse_yaml
from graspling.errors import InputError
from graspling.simulation.rotation import about, pose, towards
from graspling.simulation.scene import Scene

Floats = NDArray[np.float64]
# of a camera that looks straight down with its image's up along world y
_DOWN = np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])


@dataclass(frozen=True)
class CameraModel:
    """A sensor and where it may stand: intrinsics in pixels, metres, degrees.

    Attributes:
        height: least and largest distance of the camera above the table, along world z.
        tilt: largest angle between its axis and the vertical, at most 20 degrees.
        offset: largest distance between the point that it looks at and the middle of the objects.
        baseline, disparity_step: of a stereo or pattern sensor, metres and pixels. Only the depth
            noise of ``graspling simulate`` reads them; the noise of training and of generated data
            that are read with ``noise=`` is a PrimeSense's (``noise.DepthNoise()``).
    """

    name: str
    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height_px: int
    height: tuple[float, float] = (0.4, 1.2)
    tilt: float = 20.0
    offset: float = 0.08
    baseline: float = 0.075
    disparity_step: float = 0.125

    def __post_init__(self) -> None:
        low, high = self.height
        object.__setattr__(self, "height", (float(low), float(high)))
        if not 0.1 <= low <= high:
            raise InputError(f"camera: height {self.height}: expected 0.1 <= least <= largest, m")
        if not 0 <= self.tilt <= 20:
            raise InputError(f"camera: tilt {self.tilt} degrees: expected 0 to 20")
        self.intrinsics  # noqa: B018  raises when it is not a camera

    @property
    def intrinsics(self) -> Intrinsics:
        """Of its frames."""
        return Intrinsics(self.fx, self.fy, self.cx, self.cy, self.width, self.height_px)

    @classmethod
    def load(cls, name_or_path: str | Path) -> CameraModel:
        """A camera that comes with graspling, by name, or your own from a YAML file.

        Raises:
            InputError: no such camera or file, or the file does not describe a camera.
        """
        folder = files("graspling.simulation") / "cameras"
        names = sorted(
            entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml")
        )
        source = Path(name_or_path)
        shipped = folder / f"{name_or_path}.yaml"
        try:
            text = (shipped if str(name_or_path) in names else source).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise InputError(
                f"camera {str(name_or_path)!r}: neither one of {', '.join(names)} nor a YAML file "
                "that can be read"
            ) from None
        document = parse_yaml(text, f"camera file {source}: not YAML")
        try:
            return cls.from_dict(document)
        except (TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"camera file {source}: {reason}") from None

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> CameraModel:
        """From the keys of a YAML file: the attributes; ``height`` may be a single number."""
        known = {entry.name: entry.default is MISSING for entry in fields(cls)}
        if not isinstance(document, Mapping):
            raise InputError(f"expected the keys {', '.join(known)}")
        problems = [f"unknown key {key}" for key in document if key not in known]
        problems += [f"{key} is missing" for key in known if known[key] and key not in document]
        if problems:
            raise InputError(f"{'; '.join(problems)}; the keys are {', '.join(known)}")
        values: dict[str, Any] = dict(document)
        if isinstance(height := values.get("height"), int | float):
            values["height"] = (height, height)
        return cls(**values)


@dataclass(frozen=True, eq=False)
class CameraView:
    """A camera in a scene: intrinsics in pixels and ``world_from_camera`` (4, 4), metres, camera
    frame x right, y down, z forward."""

    intrinsics: Intrinsics
    world_from_camera: Floats


def sample_view(camera: CameraModel, rng: np.random.Generator, scene: Scene) -> CameraView:
    """A random view of a scene within the camera's ranges.

    The camera looks at a point near the middle of the objects, its image turned by any angle, from
    any height of its range (low ones are likelier, as cameras over a workspace are).
    """
    middle = np.zeros(2)
    if len(scene.objects):
        middle = scene.poses[:, :2, 3].mean(axis=0)
    reach, angle = camera.offset * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
    target = np.array([*(middle + reach * np.array([np.cos(angle), np.sin(angle)])), 0.02])
    low, high = camera.height
    height = low + (high - low) * rng.random() ** 2
    # the sine of the tilt, uniform over a disc, favours large tilts; linear in the angle does not
    tilt, heading = np.deg2rad(camera.tilt) * rng.random(), rng.uniform(0, 2 * np.pi)
    axis = np.array([np.sin(tilt) * np.cos(heading), np.sin(tilt) * np.sin(heading), -np.cos(tilt)])
    roll = about("z", rng.uniform(0, 2 * np.pi))
    turn = towards(axis, (0, 0, -1)) @ _DOWN @ roll
    place = target - axis * (height - target[2]) / -axis[2]
    return CameraView(camera.intrinsics, pose(turn, place))


__all__ = ["CameraModel", "CameraView", "sample_view"]
