"""Joint angles for poses of the hand: damped least squares with limits (Wampler 1986).

The frames and Jacobians come from an engine model of the arm alone, which takes microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.gripper import Gripper
from graspling.simulation.robot import panda
from graspling.simulation.rotation import quaternion
from graspling.simulation.world import import_mujoco

Floats = NDArray[np.float64]
_DAMPING = 0.02  # of the least squares; metres and radians alike
_PULL = 0.05  # share of the way to the middle pose that each step takes where the task is free
_LONGEST = 0.25  # radians a step
_STEPS = 80
_PLACE, _TURN = 2e-4, 1e-3  # metres and radians within which a pose is reached
_MARGIN = 0.02  # radians that are kept to the limits


class Kinematics:
    """Of the arm with a gripper on its flange.

    Args:
        gripper: decides where the tool centre point is.
        base: (3,) place of the arm's base in the world, metres.
    """

    def __init__(self, gripper: Gripper, base: ArrayLike = (0.0, 0.0, 0.0)) -> None:
        self._mujoco = mujoco = import_mujoco()
        spec = mujoco.MjSpec()
        place = np.asarray(base, np.float64)
        flange = panda.add_arm(mujoco, spec, place, contype=0, conaffinity=0)
        add_tool(flange, gripper)
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        self._tool = int(self._model.body("hand").id)
        self._jacobian = np.zeros((6, panda.JOINTS))
        self._free = np.eye(panda.JOINTS)

    def pose(self, joints: ArrayLike) -> Floats:
        """(4, 4) pose in the world of the gripper's house frame."""
        self._move(np.asarray(joints, np.float64))
        pose = np.eye(4)
        pose[:3, :3] = self._data.xmat[self._tool].reshape(3, 3)
        pose[:3, 3] = self._data.xpos[self._tool]
        return pose

    def jacobian(self, joints: ArrayLike) -> Floats:
        """(6, 7): velocity (m/s) and turning (rad/s) of the house frame, world axes, a rad/s."""
        self._move(np.asarray(joints, np.float64))
        return self._differentiate().copy()

    def solve(self, goal: ArrayLike, start: ArrayLike = panda.HOME) -> Floats | None:
        """Joint angles (7,) within the limits for a pose (4, 4) of the house frame in the world,
        near those of ``start``; None when it is not reached."""
        target = np.asarray(goal, np.float64)
        joints = np.array(start, np.float64)
        low, high = panda.LOW + _MARGIN, panda.HIGH - _MARGIN
        error = np.empty(6)
        for _ in range(_STEPS):
            self._move(joints)
            error[:3] = target[:3, 3] - self._data.xpos[self._tool]
            error[3:] = _turn(target[:3, :3] @ self._data.xmat[self._tool].reshape(3, 3).T)
            if error[:3] @ error[:3] < _PLACE**2 and error[3:] @ error[3:] < _TURN**2:
                return joints
            jacobian = self._differentiate()
            gram = jacobian @ jacobian.T
            gram.flat[::7] += _DAMPING**2
            inverse = np.linalg.solve(gram, jacobian).T
            home = _PULL * (panda.HOME - joints)
            step = inverse @ (error - jacobian @ home) + home
            longest = np.abs(step).max()
            if longest > _LONGEST:
                step *= _LONGEST / longest
            joints = np.clip(joints + step, low, high)
        return None

    def line(self, poses: Sequence[Floats], start: ArrayLike = panda.HOME) -> Floats | None:
        """(N, 7) joint angles for N poses one after the other without a jump; None when one of
        them is not reached."""
        found: list[Floats] = []
        for pose in poses:
            joints = self.solve(pose, found[-1] if found else start)
            if joints is None or (found and np.abs(joints - found[-1]).max() > 0.6):
                return None
            found.append(joints)
        return np.array(found)

    def _move(self, joints: Floats) -> None:
        self._data.qpos[:] = joints
        self._mujoco.mj_kinematics(self._model, self._data)
        self._mujoco.mj_comPos(self._model, self._data)

    def _differentiate(self) -> Floats:
        self._mujoco.mj_jacBody(
            self._model, self._data, self._jacobian[:3], self._jacobian[3:], self._tool
        )
        return self._jacobian


def add_tool(flange: Any, gripper: Gripper) -> Any:
    """Add the body ``hand``, whose frame is the gripper's house frame, to the flange."""
    pose = gripper.own_from_house
    return flange.add_body(
        name="hand",
        pos=pose[:3, 3],
        quat=quaternion(pose[:3, :3]),
        gravcomp=1,
        explicitinertial=True,
        mass=0.7,
    )


def _turn(rotation: Floats) -> Floats:
    """Rotation vector (3,) of a rotation (3, 3) of less than half a turn."""
    axis = np.array(
        [
            rotation[2, 1] - rotation[1, 2],
            rotation[0, 2] - rotation[2, 0],
            rotation[1, 0] - rotation[0, 1],
        ]
    )
    sine = float(np.sqrt(axis @ axis))
    if sine < 1e-9:
        return axis / 2
    return np.asarray(axis * (np.arctan2(sine, np.trace(rotation) - 1) / sine))
