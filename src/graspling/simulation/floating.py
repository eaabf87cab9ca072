"""The bodies of a trial: a gripper that floats on drives, objects copied from a scene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from graspling.gripper import Gripper

if TYPE_CHECKING:
    from graspling.simulation.trial import TrialSettings

_STIFF, _HARD = [0.008, 1.0], [0.99, 0.999, 0.001, 0.5, 2.0]  # MuJoCo's solref and solimp


def add_gripper(mujoco: Any, spec: Any, gripper: Gripper, settings: TrialSettings) -> None:
    """A gripper on drives along its own axes; joints and actuators x, y, z, right, left."""
    slide = mujoco.mjtJoint.mjJNT_SLIDE
    base = spec.worldbody.add_body(name="base")
    hand = base.add_body(name="hand", gravcomp=1, explicitinertial=True, mass=settings.mass)
    hand.inertia = [1e-3] * 3
    for name, axis in (("x", [1, 0, 0]), ("y", [0, 1, 0]), ("z", [0, 0, 1])):
        hand.add_joint(name=name, type=slide, axis=axis)
    drives = (("x", 6e3, 100.0), ("y", 6e3, 100.0), ("z", 4e3, settings.drive))
    for name, stiffness, force in drives:
        damping = 2 * np.sqrt(stiffness * (settings.mass + 0.1))
        _drive(mujoco, spec, name, stiffness, damping, force)
    add_fingers(mujoco, spec, hand, gripper, settings)


def shell(mujoco: Any, friction: float) -> dict[str, Any]:
    """Attributes of a geom of the gripper: solid for objects and the table, not for itself."""
    return {
        "contype": 2,
        "conaffinity": 1,
        "friction": [friction, 0.005, 0.0001],
        "priority": 1,
        "condim": 4,
        # the default contact yields in proportion to force / mass: 40 N on a light finger would
        # press the pads centimetres into each other
        "solref": _STIFF,
        "solimp": _HARD,
    }


def add_fingers(
    mujoco: Any, spec: Any, hand: Any, gripper: Gripper, settings: TrialSettings
) -> None:
    """Palm and fingers of limited force on a body whose frame is the gripper's house frame; joints
    and actuators right, left."""
    grip = min(settings.grip, gripper.max_force)
    solid = {"type": mujoco.mjtGeom.mjGEOM_BOX, **shell(mujoco, settings.friction)}
    hand.add_geom(pos=gripper.palm.centre, size=gripper.palm.size / 2, **solid)
    for name, side in (("right", 1), ("left", -1)):
        finger = hand.add_body(name=name, gravcomp=1, explicitinertial=True, mass=0.05)
        finger.inertia = [2e-5] * 3
        finger.add_joint(
            name=name,
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=[side, 0, 0],
            limited=mujoco.mjtLimited.mjLIMITED_TRUE,
            range=[gripper.min_opening / 2, gripper.opening / 2 + 0.001],
            damping=grip / settings.closing_speed,
            # of the motor, seen from the finger; with less, the engine, which leaves damping out of
            # contacts, lets the pads chatter and drops one object in four (measured)
            armature=2.0,
            solref_limit=_STIFF,
            solimp_limit=_HARD,
        )
        for box in gripper.fingers:
            centre = box.centre * [side, 1, 1]
            finger.add_geom(pos=centre, size=box.size / 2, **solid)
    both = spec.add_equality(
        type=mujoco.mjtEq.mjEQ_JOINT, name1="right", name2="left", objtype=mujoco.mjtObj.mjOBJ_JOINT
    )
    both.data[:5] = [0, 1, 0, 0, 0]
    both.solref, both.solimp = _STIFF, _HARD
    for name in ("right", "left"):
        _drive(mujoco, spec, name, 2e4, 0.0, grip)


def _drive(
    mujoco: Any, spec: Any, joint: str, stiffness: float, damping: float, force: float
) -> None:
    """A position servo with limited force."""
    motor = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    motor.gainprm[0] = stiffness
    motor.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    motor.biasprm[:3] = [0, -stiffness, -damping]
    motor.forcelimited = mujoco.mjtLimited.mjLIMITED_TRUE
    motor.forcerange = [-force, force]


def copy_object(mujoco: Any, spec: Any, model: Any, data: Any, body: int, name: str) -> None:
    """The object with its mass and colliding geoms where it lies."""
    copy = spec.worldbody.add_body(
        name=name,
        pos=data.xpos[body],
        quat=data.xquat[body],
        explicitinertial=True,
        mass=float(model.body_mass[body]),
    )
    copy.ipos, copy.iquat = model.body_ipos[body], model.body_iquat[body]
    copy.inertia = model.body_inertia[body]
    copy.add_freejoint()
    first = int(model.body_geomadr[body])
    for geom in range(first, first + int(model.body_geomnum[body])):
        if not model.geom_contype[geom] | model.geom_conaffinity[geom]:
            continue
        shape = {}
        if int(model.geom_type[geom]) == int(mujoco.mjtGeom.mjGEOM_MESH):
            mesh = int(model.geom_dataid[geom])
            start, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
            vertices = np.asarray(model.mesh_vert[start : start + count], np.float64)
            label = f"{name}_{geom}"
            spec.add_mesh(name=label, uservert=vertices.ravel())
            shape["meshname"] = label
        copy.add_geom(
            type=int(model.geom_type[geom]),
            size=model.geom_size[geom],
            pos=model.geom_pos[geom],
            quat=model.geom_quat[geom],
            friction=model.geom_friction[geom],
            condim=int(model.geom_condim[geom]),
            solref=model.geom_solref[geom],
            solimp=model.geom_solimp[geom],
            contype=1,
            conaffinity=3,
            **shape,
        )
