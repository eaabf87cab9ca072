"""Ways of the arm for a grasp: down to it, up again, over the box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graspling.simulation.robot import panda
from graspling.simulation.robot.cell import BASE, Bin
from graspling.simulation.robot.kinematics import Kinematics
from graspling.simulation.rotation import about

Floats = NDArray[np.float64]
_STEP = 0.02  # metres between two poses that are solved on a straight line
_HALF_TURN = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Plan:
    """Joint angles, rows (7,).

    Attributes:
        down: (A, 7) from above the grasp to it along the approach, poses evenly apart.
        up: (U, 7) from the grasp straight up.
        over: (7,) over the box.
        hover, lift: lengths of ``down`` and ``up``, metres.
    """

    down: Floats
    up: Floats
    over: Floats
    hover: float
    lift: float


def plan(
    kinematics: Kinematics, pose: Floats, box: Bin, *, hover: float, lift: float
) -> Plan | None:
    """The ways for a grasp, None when the arm does not reach all of them.

    A parallel jaw is the same after half a turn: the half that turns the wrist less is tried first.

    Args:
        pose: (4, 4) of the gripper's house frame in the world.
        hover: how far before the grasp the approach begins, metres.
        lift: how far up, metres.
    """
    neutral = kinematics.pose(panda.HOME)[:3, 0]
    first = pose if pose[:3, 0] @ neutral >= 0 else pose @ _HALF_TURN
    for goal in (first, first @ _HALF_TURN):
        found = _plan(kinematics, goal, box, hover, lift)
        if found is not None:
            return found
    return None


def _plan(kinematics: Kinematics, goal: Floats, box: Bin, hover: float, lift: float) -> Plan | None:
    backwards = -hover * goal[:3, 2]
    down = kinematics.line(_line(goal, backwards)[::-1], _towards(goal[:3, 3] + backwards))
    if down is None:
        return None
    up = kinematics.line(_line(goal, np.array([0, 0, lift])), down[-1])
    if up is None:
        return None
    top = kinematics.pose(up[-1])
    at = np.array([box.x, box.y, top[2, 3]])
    turn = _heading(at) - _heading(top[:3, 3])
    over = top.copy()
    over[:3, :3], over[:3, 3] = about("z", turn) @ top[:3, :3], at
    start = up[-1].copy()
    start[0] += turn
    joints = kinematics.solve(over, start)
    return None if joints is None else Plan(down, up, joints, hover, lift)


def _line(start: Floats, shift: Floats) -> list[Floats]:
    """Poses from ``start`` to ``start`` moved by (3,), both included."""
    count = max(2, int(np.ceil(np.linalg.norm(shift) / _STEP)) + 1)
    poses = np.repeat(start[None], count, axis=0)
    poses[:, :3, 3] += np.linspace(0, 1, count)[:, None] * shift
    return list(poses)


def _towards(place: Floats) -> Floats:
    """The home pose turned towards a place: a start near the goal."""
    joints = panda.HOME.copy()
    joints[0] = _heading(place)
    return joints


def _heading(place: Floats) -> float:
    """Angle about the base's z axis, radians."""
    return float(np.arctan2(place[1] - BASE[1], place[0] - BASE[0]))
