"""A floating gripper in MuJoCo that executes one grasp in a settled scene.

It comes from above along the approach, closes with a limited force, lifts, holds and shakes a
little. What made such trials honest and stable:

* finger joints are damped by force / 0.15 m/s, so that a motor cannot slam them shut, and carry
  the inertia of their motors, without which the pads chatter;
* elliptic friction cones and impratio 10, or held objects creep out of the pads;
* the fingers are boxes, so that the pads are flat;
* the drive along the approach gives no more than 30 N, and a contact force of 10 N or more on the
  way down is a failure: a stiff drive would punch the gripper through anything;
* pads have priority in contacts: their friction counts, not the larger of the two;
* the table has rolling friction: what rolls away before the gripper arrives tells nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.gripper import Gripper
from graspling.simulation.contacts import THINNEST
from graspling.simulation.floating import add_gripper, copy_object
from graspling.simulation.world import import_mujoco

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TrialSettings:
    """Of the simulated gripper: seconds, metres, newtons, kilograms.

    Attributes:
        friction: between pads and objects.
        grip: force of the pads, at most the gripper's own largest.
        drive: largest force along the approach.
        approach_force: a contact force on the way down that counts as a failure.
        closing_speed: of a finger at full force.
        timestep: of the engine.
        speed: of the hand on its way down and up.
        lift: how far up.
        shake: amplitude of the shake, along the opening and along the jaw in turn.
        mass: of the hand without fingers.
    """

    friction: float = 0.6
    grip: float = 40.0
    drive: float = 30.0
    approach_force: float = 10.0
    closing_speed: float = 0.15
    timestep: float = 0.004
    speed: float = 0.2
    lift: float = 0.12
    shake: float = 0.01
    mass: float = 0.4


@dataclass(frozen=True)
class TrialResult:
    """What came of one grasp.

    Attributes:
        held: the wanted object hung in the gripper after the shake.
        max_approach_force: largest contact force along the approach on the way down, newtons.
        cause: "held", or why not: "approach force", "empty" (the fingers met), "not lifted",
            "lost" (while it was held or shaken), "other object", "unstable" (the engine gave up:
            this says nothing about the grasp).
        object: number of the object that was lifted, -1 none.
    """

    held: bool
    max_approach_force: float
    cause: str
    object: int


_BATCH = 5  # engine steps between two looks at the forces
_X, _Y, _Z, _RIGHT, _LEFT = range(5)  # the gripper's joints and actuators, in this order


class TrialWorld:
    """A scene with a gripper in it, compiled once and used for many trials.

    Args:
        model, data: ``mujoco.MjModel`` and settled ``MjData`` of a scene whose table top is the
            plane z = 0; bodies with a free joint are the objects.
        bodies: body id of each object in order; by default every body with a free joint.
    """

    def __init__(
        self,
        model: Any,
        data: Any,
        gripper: Gripper,
        settings: TrialSettings | None = None,
        bodies: ArrayLike | None = None,
    ) -> None:
        mujoco = import_mujoco()
        self.gripper, self.settings = gripper, settings or TrialSettings()
        free = np.flatnonzero(np.asarray(model.jnt_type) == int(mujoco.mjtJoint.mjJNT_FREE))
        found = [int(model.jnt_bodyid[joint]) for joint in free]
        chosen = found if bodies is None else [int(body) for body in np.asarray(bodies)]
        spec = mujoco.MjSpec()
        spec.option.timestep = self.settings.timestep
        spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        spec.option.impratio = 10
        spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        spec.worldbody.add_geom(
            name="table",
            type=mujoco.mjtGeom.mjGEOM_PLANE,
            size=[2, 2, 0.1],
            contype=1,
            conaffinity=3,
            # rolling friction: on a real table a ball stays where it lies
            condim=6,
            friction=[0.6, 0.005, 0.002],
        )
        add_gripper(mujoco, spec, gripper, self.settings)
        for number, body in enumerate(chosen):
            copy_object(mujoco, spec, model, data, body, f"object_{number}")
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        self._mujoco = mujoco
        self.objects = [self.model.body(f"object_{n}").id for n in range(len(chosen))]
        for old, new in zip(chosen, self.objects, strict=True):
            there, here = int(model.body_dofadr[old]), int(self.model.body_dofadr[new])
            self.model.dof_damping[here : here + 6] = model.dof_damping[there : there + 6]
        self._base = self.model.body("base").id
        self._rest = self.data.qpos.copy()

    def execute(
        self, pose: ArrayLike, width: float, target: int | None = None, retreat: float = 0.15
    ) -> TrialResult:
        """Execute one grasp; the scene starts from its settled state.

        Args:
            pose: (4, 4) of the gripper's house frame in the world: origin at the TCP, x the
                opening, z the approach.
            width: opening on the way down, metres.
            target: number of the object that should be lifted; any object by default.
            retreat: how far above its goal the gripper starts, metres.
        """
        goal = np.asarray(pose, dtype=np.float64)
        result = self._execute(goal, min(width, self.gripper.opening), target, retreat)
        if any(warning.number for warning in self.data.warning):
            return TrialResult(False, result.max_approach_force, "unstable", -1)
        return result

    def _execute(
        self, goal: Floats, width: float, target: int | None, retreat: float
    ) -> TrialResult:
        up = -goal[:3, 2]
        start = self._reset(goal, width, retreat)
        force = self._descend(retreat)
        if force >= self.settings.approach_force:
            return TrialResult(False, force, "approach force", -1)
        gap = self._close()
        if gap < self.gripper.min_opening + THINNEST:
            return TrialResult(False, force, "empty", -1)
        self._move(-self.settings.lift, self.settings.lift / self.settings.speed + 0.2)
        lifted = self._lifted(start, up)
        if not lifted.any() or (target is not None and not lifted[target]):
            other = int(lifted.argmax()) if lifted.any() else -1
            return TrialResult(False, force, "other object" if other >= 0 else "not lifted", other)
        self._shake()
        lifted = self._lifted(start, up)
        wanted = int(lifted.argmax()) if target is None else target
        if not lifted[wanted]:
            return TrialResult(False, force, "lost", -1)
        return TrialResult(True, force, "held", wanted)

    # ---- the stages -----------------------------------------------------------------------------

    def _reset(self, goal: Floats, width: float, retreat: float) -> Floats:
        """Settled scene, gripper above its goal; returns where the objects are, (N, 3)."""
        model, data, mujoco = self.model, self.data, self._mujoco
        mujoco.mj_resetData(model, data)
        data.qpos[:] = self._rest
        model.body_pos[self._base] = goal[:3, 3]
        quaternion = np.zeros(4)
        mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(goal[:3, :3]).ravel())
        model.body_quat[self._base] = quaternion
        data.qpos[:5] = [0, 0, -retreat, width / 2, width / 2]
        data.ctrl[:] = data.qpos[:5]
        mujoco.mj_forward(model, data)
        return np.array(data.xpos[self.objects])

    def _descend(self, retreat: float) -> float:
        """Down to the goal; returns the largest contact force against the approach, newtons,
        as the mean of two looks 20 ms apart. Stops where it is too large."""
        data, settings = self.data, self.settings
        interval = _BATCH * settings.timestep
        steps = int(np.ceil(retreat / settings.speed / interval))
        largest = before = 0.0
        for step in range(steps + 5):
            data.ctrl[_Z] = min(-retreat + settings.speed * interval * (step + 1), 0.0)
            self._mujoco.mj_step(self.model, data, _BATCH)
            force = max(-float(data.qfrc_constraint[_Z]), 0.0)
            largest = max(largest, (force + before) / 2)
            before = force
            if largest >= settings.approach_force:
                break
        return largest

    def _close(self) -> float:
        """Close until the fingers rest; returns the distance between the pads, metres."""
        data = self.data
        data.ctrl[[_RIGHT, _LEFT]] = -1.0  # out of reach: the motors give all they have
        for step in range(30):
            self._mujoco.mj_step(self.model, data, _BATCH)
            if step > 5 and np.abs(data.qvel[[_RIGHT, _LEFT]]).max() < 1e-3:
                break
        return float(data.qpos[_RIGHT] + data.qpos[_LEFT])

    def _move(self, goal: float, seconds: float) -> None:
        data, settings = self.data, self.settings
        interval = _BATCH * settings.timestep
        start, direction = float(data.ctrl[_Z]), np.sign(goal - data.ctrl[_Z])
        for step in range(int(seconds / interval)):
            done = min(settings.speed * interval * (step + 1), abs(goal - start))
            data.ctrl[_Z] = start + direction * done
            self._mujoco.mj_step(self.model, data, _BATCH)

    def _shake(self) -> None:
        """Two periods of 3 Hz along the opening, two along the jaw."""
        data, interval = self.data, _BATCH * self.settings.timestep
        for axis in (_X, _Y):
            for step in range(int(2 / 3 / interval)):
                phase = 2 * np.pi * 3 * interval * (step + 1)
                data.ctrl[axis] = self.settings.shake * np.sin(phase)
                self._mujoco.mj_step(self.model, data, _BATCH)
            data.ctrl[axis] = 0.0

    def _lifted(self, start: Floats, up: Floats) -> NDArray[np.bool_]:
        """(N,) objects that went up with the gripper."""
        rise = (np.asarray(self.data.xpos[self.objects]) - start) @ up
        return np.asarray(rise > 0.7 * self.settings.lift)
