"""Objects and a table as a MuJoCo model, and small operations on its state."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.errors import MissingExtraError
from graspling.simulation.objects import ObjectModel
from graspling.simulation.rotation import matrix, pose, quaternion

Floats = NDArray[np.float64]
TABLE_FRICTION = 0.6
_TIMESTEP = 0.004  # seconds
_STIFF = (0.008, 1.0)  # MuJoCo's solref: two time steps, so that resting parts sink < 0.1 mm
# per second; they calm rolling and rocking and leave every equilibrium where it is
_LINEAR_DAMPING, _ANGULAR_DAMPING = 1.0, 4.0


@cache
def import_mujoco() -> Any:
    """MuJoCo, set up for images without a display unless the environment says otherwise.

    Raises:
        MissingExtraError: it is not installed.
    """
    os.environ.setdefault("MUJOCO_GL", "egl")
    # Mesa's software renderer starts a thread per core, which takes the cores of other workers
    os.environ.setdefault("LP_NUM_THREADS", "1")
    try:
        import mujoco
    except ImportError:
        raise MissingExtraError("mujoco", "sim") from None
    # else a warning is written to a file in the current folder; what is unstable is found by its
    # speed and removed, and a trial says so in its result
    mujoco.set_mju_user_warning(_ignore)
    return mujoco


def _ignore(message: str) -> None:
    """Take no notice of a warning."""


def build(objects: Sequence[ObjectModel]) -> Any:
    """``mujoco.MjModel`` of a table top, the plane z = 0, and objects as free bodies in order."""
    mujoco = import_mujoco()
    spec = mujoco.MjSpec()
    spec.option.timestep = _TIMESTEP
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    spec.option.iterations, spec.option.ls_iterations = 10, 10
    spec.option.tolerance = 1e-6
    shapes = {
        "box": mujoco.mjtGeom.mjGEOM_BOX,
        "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
        "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
        "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
        "mesh": mujoco.mjtGeom.mjGEOM_MESH,
    }
    spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[5, 5, 0.1],
        friction=[TABLE_FRICTION, 0.005, 0.0001],
        solref=_STIFF,
    )
    for number, thing in enumerate(objects):
        body = spec.worldbody.add_body(name=f"object_{number}", pos=_parked(number))
        body.add_freejoint()
        volumes = np.array([part.volume for part in thing.parts])
        masses = thing.mass * volumes / volumes.sum()
        for index, (part, mass) in enumerate(zip(thing.parts, masses, strict=True)):
            more = {}
            if part.vertices is not None:
                name = f"mesh_{number}_{index}"
                mesh = spec.add_mesh(name=name, uservert=part.vertices.ravel())
                mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX
                more["meshname"] = name
            body.add_geom(
                type=shapes[part.kind],
                size=part.size,
                pos=part.position,
                quat=part.quaternion,
                mass=float(mass),
                friction=[thing.friction, 0.005, 0.0001],
                solref=_STIFF,
                condim=3,
                **more,
            )
    model = spec.compile()
    for body in range(1, model.nbody):
        first = model.jnt_dofadr[model.body_jntadr[body]]
        model.dof_damping[first : first + 3] = _LINEAR_DAMPING * model.body_mass[body]
        model.dof_damping[first + 3 : first + 6] = _ANGULAR_DAMPING * model.body_inertia[body]
    return model


def _parked(number: int) -> list[float]:
    """Where an object waits, far from everything."""
    return [0.0, 0.0, 20.0 + 2.0 * number]


def park(data: Any, number: int) -> None:
    """Put an object where it meets nothing."""
    place(data, number, np.eye(3), _parked(number))


def place(data: Any, number: int, rotation: ArrayLike, position: ArrayLike) -> None:
    """Set an object's pose (rotation (3, 3), position (3,) metres); velocities are left alone."""
    data.qpos[7 * number : 7 * number + 3] = position
    data.qpos[7 * number + 3 : 7 * number + 7] = quaternion(rotation)


def poses(data: Any, count: int) -> Floats:
    """(N, 4, 4) world_from_object."""
    values = np.asarray(data.qpos).reshape(-1, 7)[:count]
    turns = matrix(values[:, 3:])
    found = [pose(turn, value[:3]) for turn, value in zip(turns, values, strict=True)]
    return np.array(found).reshape(-1, 4, 4)


def overlap(model: Any, data: Any) -> float:
    """Depth of the deepest overlap of two bodies as they are placed now, metres, 0 = none."""
    mujoco = import_mujoco()
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_collision(model, data)
    return max(0.0, -float(data.contact.dist.min())) if data.ncon else 0.0
