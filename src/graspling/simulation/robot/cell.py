"""The robot's cell as a MuJoCo model: table, box, arm with gripper, objects copied from a scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.gripper import Gripper
from graspling.simulation.floating import add_fingers, copy_object, shell
from graspling.simulation.robot import panda
from graspling.simulation.robot.film import Film
from graspling.simulation.robot.kinematics import Kinematics, add_tool
from graspling.simulation.rotation import pose
from graspling.simulation.trial import TrialSettings
from graspling.simulation.world import import_mujoco

Floats = NDArray[np.float64]
TICK = 5  # engine steps between two commands to the arm
_Point = tuple[float, float, float]
BASE = (-0.5, 0.0, 0.0)  # of the arm in the world, whose origin is the middle of the objects


@dataclass(frozen=True)
class Bin:
    """The box to place objects into: it stands beside the arm, outside of the camera's picture.

    Attributes:
        x, y: middle in the world, metres.
        half: half edge of the inside.
        height: of the walls.
        wall: their thickness.
    """

    x: float = -0.38
    y: float = 0.56
    half: float = 0.2
    height: float = 0.12
    wall: float = 0.008

    def holds(self, place: Floats) -> bool:
        """Whether a centre of mass (3,) lies in the box."""
        inside = np.abs(place[:2] - (self.x, self.y)).max() <= self.half
        return bool(inside and 0 < place[2] < self.height + 0.03)


class Cell:
    """A scene with the robot in it.

    Args:
        model, data: ``mujoco.MjModel`` and settled ``MjData`` of a scene whose table top is the
            plane z = 0.
        bodies: body id there of each object.
        settings: of fingers and engine.

    Attributes:
        model, data: of the cell; joints 0 to 6 are the arm's, 7 and 8 the fingers'.
        objects: body id of each object.
        present: (N,) objects that are still in play.
        film: is shown every tick (20 ms) and every way through free space.
    """

    def __init__(
        self,
        model: Any,
        data: Any,
        bodies: Sequence[int],
        gripper: Gripper,
        kinematics: Kinematics,
        settings: TrialSettings,
    ) -> None:
        self._mujoco = mujoco = import_mujoco()
        self.gripper, self.kinematics, self.bin = gripper, kinematics, Bin()
        self.film: Film | None = None
        spec = mujoco.MjSpec()
        spec.option.timestep = settings.timestep
        spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        spec.option.impratio = 10
        spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        solid = {"contype": 1, "conaffinity": 3}
        spec.worldbody.add_geom(
            name="table",
            type=mujoco.mjtGeom.mjGEOM_PLANE,
            size=[2, 2, 0.1],
            condim=6,
            friction=[0.6, 0.005, 0.002],
            **solid,
        )
        _add_bin(mujoco, spec, self.bin, solid)
        flange = panda.add_arm(mujoco, spec, np.array(BASE), **shell(mujoco, settings.friction))
        hand = add_tool(flange, gripper)
        hand.inertia = [2e-3] * 3
        add_fingers(mujoco, spec, hand, gripper, settings)
        for number, body in enumerate(bodies):
            copy_object(mujoco, spec, model, data, body, f"object_{number}")
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        self.tick = TICK * settings.timestep
        self.objects = [int(self.model.body(f"object_{n}").id) for n in range(len(bodies))]
        self.present = np.ones(len(bodies), bool)
        for old, new in zip(bodies, self.objects, strict=True):
            there, here = int(model.body_dofadr[old]), int(self.model.body_dofadr[new])
            self.model.dof_damping[here : here + 6] = model.dof_damping[there : there + 6]
        self._hand = int(hand.id)
        first = self.model.body("link_0").id
        robot = np.zeros(self.model.nbody, bool)
        robot[first : self.objects[0] if self.objects else self.model.nbody] = True
        self._of_robot = robot[np.asarray(self.model.geom_bodyid)]
        self.put(panda.HOME, gripper.opening)

    # ---- the robot ------------------------------------------------------------------------------

    def put(self, joints: Floats, opening: float) -> None:
        """Set the arm down at joint angles (7,) at once: for ways through free space, which are
        not simulated."""
        data, before = self.data, np.array(self.data.qpos[:9])
        data.qpos[:7], data.qpos[7:9] = joints, opening / 2
        data.qvel[:9] = 0
        data.ctrl[:7], data.ctrl[7:9] = joints, opening / 2
        self._mujoco.mj_forward(self.model, data)
        if self.film is not None:
            self.film.way(self.model, data, before)

    def command(self, joints: Floats, speed: Floats | None = None) -> None:
        """Where the arm should be (7,) and how fast (rad/s), for the next tick."""
        ahead = 0.0 if speed is None else speed * panda.DAMPING / panda.STIFFNESS
        self.data.ctrl[:7] = joints + ahead

    def fingers(self, opening: float) -> None:
        """The distance that the pads are driven to; a negative one closes with all force."""
        self.data.ctrl[7:9] = opening / 2 if opening >= 0 else -1.0

    def step(self, ticks: int = 1) -> None:
        """Let time pass."""
        for _ in range(ticks):
            self._mujoco.mj_step(self.model, self.data, TICK)
            if self.film is not None:
                self.film.tick(self.model, self.data)

    @property
    def opening(self) -> float:
        """Between the pads, metres."""
        return float(self.data.qpos[7] + self.data.qpos[8])

    @property
    def finger_speed(self) -> float:
        """Of the faster one, m/s."""
        return float(np.abs(self.data.qvel[7:9]).max())

    def force(self) -> float:
        """Size of the sum of all contact forces on the robot along their normals, newtons."""
        contact = self.data.contact
        if not self.data.ncon:
            return 0.0
        of_robot = self._of_robot[contact.geom]
        address = np.asarray(contact.efc_address)
        rows = np.flatnonzero((of_robot[:, 0] != of_robot[:, 1]) & (address >= 0))
        if not rows.size:
            return 0.0
        size = np.asarray(self.data.efc_force)[address[rows]]
        sign = np.where(of_robot[rows, 1], 1.0, -1.0)  # normals point to the second geom
        total = (size * sign) @ np.asarray(contact.frame)[rows, :3]
        return float(np.sqrt(total @ total))

    # ---- the objects ----------------------------------------------------------------------------

    def places(self) -> Floats:
        """(N, 3) centres of mass, metres."""
        return np.array(self.data.xpos[self.objects]).reshape(-1, 3)

    def poses(self) -> Floats:
        """(N, 4, 4) world_from_object."""
        turns = np.asarray(self.data.xmat)[self.objects].reshape(-1, 3, 3)
        found = [pose(turn, place) for turn, place in zip(turns, self.places(), strict=True)]
        return np.array(found).reshape(-1, 4, 4)

    def remove(self, number: int) -> None:
        """Take an object out of play: it waits far away, weightless, and meets nothing."""
        model, data, body = self.model, self.data, self.objects[number]
        first, count = int(model.body_geomadr[body]), int(model.body_geomnum[body])
        model.geom_contype[first : first + count] = 0
        model.geom_conaffinity[first : first + count] = 0
        model.body_gravcomp[body] = 1.0
        joint = int(model.body_jntadr[body])
        place, speed = int(model.jnt_qposadr[joint]), int(model.jnt_dofadr[joint])
        data.qpos[place : place + 3] = [0, 0, 20.0 + 2 * number]
        data.qvel[speed : speed + 6] = 0
        self.present[number] = False

    def shift(self, number: int, step: Floats) -> None:
        """Move an object by (2,) metres over the table."""
        joint = int(self.model.body_jntadr[self.objects[number]])
        place = int(self.model.jnt_qposadr[joint])
        self.data.qpos[place : place + 2] += step

    def rest(self, seconds: float = 1.0, calm: float = 0.02) -> None:
        """Let the objects come to rest, for at most so long."""
        for tick in range(int(seconds / self.tick)):
            if tick > 2 and np.abs(np.asarray(self.data.qvel[9:])).max(initial=0.0) < calm:
                break
            self.step()
        self.data.qvel[9:] = 0
        self._mujoco.mj_forward(self.model, self.data)

    @property
    def unstable(self) -> bool:
        """Whether the engine gave up."""
        return any(warning.number for warning in self.data.warning)


def _add_bin(mujoco: Any, spec: Any, there: Bin, solid: dict[str, int]) -> None:
    half, wall, high = there.half, there.wall, there.height
    outer = half + wall

    boxes: list[tuple[_Point, _Point]] = [((0, 0, wall / 2), (outer, outer, wall / 2))]
    for side in (-1, 1):
        boxes.append(((side * (half + wall / 2), 0, high / 2), (wall / 2, outer, high / 2)))
        boxes.append(((0, side * (half + wall / 2), high / 2), (outer, wall / 2, high / 2)))
    for place, size in boxes:
        spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=np.add(place, (there.x, there.y, 0)),
            size=size,
            rgba=(0.3, 0.45, 0.65, 1),
            friction=[0.6, 0.005, 0.002],
            **solid,
        )
