"""What the robot sees: a camera in the hand or beside the arm, its noise, its calibration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from graspling.camera import Intrinsics
from graspling.errors import InputError
from graspling.simulation.noise import DepthNoise
from graspling.simulation.render import Renderer
from graspling.simulation.robot.cell import Cell
from graspling.simulation.robot.kinematics import Kinematics
from graspling.simulation.rotation import about, pose, towards
from graspling.simulation.scene import Scene
from graspling.simulation.views import CameraModel, CameraView

Floats = NDArray[np.float64]
Mount = Literal["fixed", "hand"]
# of a camera that looks straight down with its image's right along world y, like the hand at home
_DOWN = np.array([[0.0, -1, 0], [-1, 0, 0], [0, 0, -1]])
# of a camera on the hand: beside it and behind the fingers, axis along the approach
HAND_FROM_CAMERA = pose(np.eye(3), (0.0, 0.07, -0.06))


@dataclass(frozen=True, eq=False)
class Seen:
    """One frame.

    Attributes:
        rgb: (H, W, 3) uint8, or None when nobody asked for it.
        depth: (H, W) float32 metres, 0 = missing, with the sensor's noise.
        segmentation: (H, W) uint8, i + 1 object i of the cell: for judging, not for the detector.
        intrinsics: of the frame.
        camera: (4, 4) where the camera truly is, world_from_camera.
        believed: (4, 4) where the robot thinks it is.
    """

    rgb: NDArray[np.uint8] | None
    depth: NDArray[np.float32]
    segmentation: NDArray[np.uint8]
    intrinsics: Intrinsics
    camera: Floats
    believed: Floats


@dataclass(frozen=True)
class LookSettings:
    """Of the camera.

    Attributes:
        camera: name or YAML file, see ``views.CameraModel``.
        mount: "fixed" above the table, or on the "hand".
        height: of the camera above the table when it looks first, metres.
        tilt: largest angle between its axis and the vertical, degrees; each scene draws one.
        noise: strength of the depth noise; 1 is a sensor with the camera's baseline, 0 is none.
        calibration_mm, calibration_deg: size of the error of the camera's pose; each scene draws
            its direction.
    """

    camera: str = "realsense_d435"
    mount: Mount = "fixed"
    height: float = 0.6
    tilt: float = 0.0
    noise: float = 1.0
    calibration_mm: float = 0.0
    calibration_deg: float = 0.0

    def __post_init__(self) -> None:
        if self.mount not in ("fixed", "hand"):
            raise InputError(f"mount is {self.mount!r}, expected fixed or hand")
        if not 0.2 <= self.height <= 2:
            raise InputError(f"height is {self.height} m, expected 0.2 to 2")
        if not 0 <= self.tilt <= 20:
            raise InputError(f"tilt is {self.tilt} degrees, expected 0 to 20")
        for name, most in (("noise", 10), ("calibration_mm", 100), ("calibration_deg", 45)):
            if not 0 <= getattr(self, name) <= most:
                raise InputError(f"{name} is {getattr(self, name)}, expected 0 to {most}")


class RobotCamera:
    """Takes frames of cells.

    Raises:
        InputError: no such camera; or it is on the hand and the arm does not get it that high.
    """

    def __init__(self, settings: LookSettings, kinematics: Kinematics) -> None:
        self.settings = settings
        self.model = CameraModel.load(settings.camera)
        sensor = DepthNoise().for_width(self.model.intrinsics.width)
        own = {"baseline": self.model.baseline, "step": self.model.disparity_step}
        self._noise = replace(sensor, **own)
        self._renderer = Renderer()
        if settings.mount == "hand":
            straight = self._pose(np.array([0.0, 0, -1]), settings.height)
            if kinematics.solve(straight @ np.linalg.inv(HAND_FROM_CAMERA)) is None:
                raise InputError(
                    f"height is {settings.height} m: the arm cannot hold the camera there; give "
                    "--height 0.3 to 0.6, or --mount fixed"
                )

    def place(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Where the camera of one scene is, world_from_camera (4, 4), and the error of its
        calibration, a (4, 4) in the camera's frame."""
        settings = self.settings
        tilt, heading = np.deg2rad(settings.tilt) * rng.random(), rng.uniform(0, 2 * np.pi)
        aside = np.sin(tilt)
        axis = np.array([aside * np.cos(heading), aside * np.sin(heading), -np.cos(tilt)])
        shift, turn = rng.normal(size=(2, 3))
        shift *= settings.calibration_mm / 1000 / np.linalg.norm(shift)
        axes = towards(turn)  # a turn about any axis: to that axis, about it, and back
        angle = np.deg2rad(settings.calibration_deg)
        error = pose(axes @ about("z", angle) @ axes.T, shift)
        return self._pose(axis, settings.height), error

    def nearer(self, camera: Floats, place: Floats, height: float) -> Floats:
        """The pose of a camera on the hand that has gone towards a place (3,) of the world to
        ``height`` above the table, looking the same way with the place in its middle."""
        found = camera.copy()
        axis = camera[:3, 2]
        found[:3, 3] = place - axis * (height - place[2]) / -axis[2]
        return found

    def look(
        self,
        scene: Scene,
        cell: Cell,
        camera: Floats,
        error: Floats,
        rng: np.random.Generator,
        colour: bool,
    ) -> Seen:
        """A frame of the cell's objects as they lie now. (The arm is out of the picture.)"""
        numbers = np.flatnonzero(cell.present)
        now = replace(
            scene,
            objects=tuple(scene.objects[n] for n in numbers),
            poses=cell.poses()[numbers],
            look=replace(scene.look, objects=tuple(scene.look.objects[n] for n in numbers)),
        )
        view = CameraView(self.model.intrinsics, camera)
        rgb = None
        if colour:
            frame = self._renderer.render(now, view)
            rgb, clean, ids = frame.rgb, frame.depth, frame.segmentation
        else:
            clean, ids = self._renderer.shape(now, view)
        depth = clean
        if self.settings.noise > 0:
            depth = self._noise.scaled(self.settings.noise).apply(clean, view.intrinsics, rng)
        table = np.concatenate([[0], numbers + 1]).astype(np.uint8)
        return Seen(rgb, depth, table[ids], view.intrinsics, camera, camera @ error)

    def _pose(self, axis: Floats, height: float) -> Floats:
        """Looking along ``axis`` at the middle of the objects."""
        middle = np.array([0.0, 0, 0.02])
        place = middle - axis * (height - middle[2]) / -axis[2]
        return pose(towards(axis, (0, 0, -1)) @ _DOWN, place)
