"""The arm: kinematics, limits and shape of a Franka Emika Panda, from primitive geoms.

Sources
    frames:          Franka Control Interface documentation, "Robot and interface specifications",
                     Denavit-Hartenberg parameters in Craig's convention
    limits:          the same page: joint positions, velocities and torques
    masses:          rounded from Gaz et al. 2019, "Dynamic identification of the Franka Emika
                     Panda robot with retrieval of feasible parameters", table of link masses
    radii of links:  estimated from the dimensions in the data sheet, rounded outwards
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.simulation.rotation import about, quaternion

Floats = NDArray[np.float64]

JOINTS = 7
# a, d (metres) and alpha (radians) that lead to each joint's frame; the joint turns about its z
DH = (
    (0.0, 0.333, 0.0),
    (0.0, 0.0, -np.pi / 2),
    (0.0, 0.316, np.pi / 2),
    (0.0825, 0.0, np.pi / 2),
    (-0.0825, 0.384, -np.pi / 2),
    (0.0, 0.0, np.pi / 2),
    (0.088, 0.0, np.pi / 2),
)
FLANGE = 0.107  # metres from the last joint's frame along z
MOUNT = -np.pi / 4  # turn of the hand about the flange's z, radians
LOW = np.array([-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973])
HIGH = np.array([2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973])
SPEED = np.array([2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61])  # rad/s
TORQUE = np.array([87.0, 87, 87, 87, 12, 12, 12])  # Nm
# a bent elbow and a hand that points straight down half a metre before the base
HOME = np.array([0.0, -0.3, 0.0, -2.2, 0.0, 1.9, np.pi / 4])

_MASSES = (5.0, 0.7, 3.2, 3.6, 1.2, 1.7, 0.7)  # kg
# Of the position servos: stiffness in Nm/rad; damping makes each stop without overshoot.
STIFFNESS = np.array([4500.0, 4500, 3500, 3500, 2000, 2000, 2000])
DAMPING = np.array([450.0, 450, 350, 350, 200, 200, 200])
_ARMATURE = 0.15  # kg m2, of motors behind gears of 100 to 1
# Capsules of each link: from, to (in the link's frame) and radius, metres.
_CAPSULES: tuple[tuple[tuple[float, ...], ...], ...] = (
    ((0, 0, -0.19, 0, 0, 0, 0.06),),
    ((0, 0, 0, 0, -0.12, 0, 0.06),),
    ((0, 0, -0.18, 0, 0, 0, 0.06), (0, 0, 0, 0.0825, 0, 0, 0.055)),
    ((0, 0, 0, -0.0825, 0.08, 0, 0.055),),
    ((0, 0, -0.26, 0, 0, 0, 0.05), (0, 0.05, -0.2, 0, 0.06, 0, 0.045)),
    ((0, 0, 0, 0.088, 0, 0, 0.05),),
    ((0, 0, 0, 0, 0, 0.06, 0.045),),
)
_WHITE, _DARK = (0.93, 0.94, 0.95, 1.0), (0.25, 0.27, 0.3, 1.0)


def add_arm(mujoco: Any, spec: Any, base: Floats, **shell: Any) -> Any:
    """Add the arm to an ``MjSpec`` and return the body of its flange.

    Joints and actuators are called ``arm_0`` to ``arm_6``. Links weigh nothing (a Panda
    compensates its own weight). Their capsules are solid when ``shell`` gives ``contype`` and
    ``conaffinity``.

    Args:
        base: (3,) place of the base in the world, metres; x ahead, z up.
        shell: more attributes of every geom.
    """
    spec.compiler.degree = False
    capsule = mujoco.mjtGeom.mjGEOM_CAPSULE
    foot = spec.worldbody.add_body(name="base", pos=base)
    foot.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[0.08, 0.07, 0],
        pos=[0, 0, 0.07],
        rgba=_WHITE,
        contype=0,
        conaffinity=0,
    )
    body = foot
    for number, (a, d, alpha) in enumerate(DH):
        turn = about("x", alpha)
        body = body.add_body(
            name=f"link_{number}",
            pos=turn @ [a, 0, d],
            quat=quaternion(turn),
            gravcomp=1,
            explicitinertial=True,
            mass=_MASSES[number],
        )
        body.inertia = [0.01 * _MASSES[number]] * 3
        body.add_joint(
            name=f"arm_{number}",
            type=mujoco.mjtJoint.mjJNT_HINGE,
            axis=[0, 0, 1],
            limited=mujoco.mjtLimited.mjLIMITED_TRUE,
            range=[LOW[number], HIGH[number]],
            armature=_ARMATURE,
        )
        for *ends, radius in _CAPSULES[number]:
            body.add_geom(
                type=capsule,
                fromto=ends,
                size=[radius, 0, 0],
                rgba=_WHITE if number % 2 == 0 else _DARK,
                **shell,
            )
    for number in range(JOINTS):
        servo = spec.add_actuator(
            name=f"arm_{number}", target=f"arm_{number}", trntype=mujoco.mjtTrn.mjTRN_JOINT
        )
        servo.gainprm[0] = STIFFNESS[number]
        servo.biastype = mujoco.mjtBias.mjBIAS_AFFINE
        servo.biasprm[:3] = [0, -STIFFNESS[number], -DAMPING[number]]
        servo.forcelimited = mujoco.mjtLimited.mjLIMITED_TRUE
        servo.forcerange = [-TORQUE[number], TORQUE[number]]
    return body.add_body(name="flange", pos=[0, 0, FLANGE], quat=quaternion(about("z", MOUNT)))


def forward(joints: Floats) -> Floats:
    """(4, 4) pose in the base's frame of the hand's mounting face (the turned flange)."""
    pose = np.eye(4)
    for (a, d, alpha), angle in zip(DH, joints, strict=True):
        pose = pose @ _frame(about("x", alpha), (a, 0, 0)) @ _frame(about("z", angle), (0, 0, d))
    return pose @ _frame(about("z", MOUNT), (0, 0, FLANGE))


def _frame(turn: Floats, shift: tuple[float, float, float]) -> Floats:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn, shift
    return pose
