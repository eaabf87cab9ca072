"""Tiny MuJoCo scenes of boxes and cylinders whose right grasps are known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from graspling.camera import Intrinsics

INTRINSICS = Intrinsics(600, 600, 319.5, 239.5, 640, 480)


def box(x: float, y: float, z: float, at: tuple[float, float] = (0, 0), mass: float = 0.1) -> str:
    """A box of these edges (metres) on the table."""
    return _body(f'type="box" size="{x / 2} {y / 2} {z / 2}" mass="{mass}"', at, z / 2)


def cylinder(radius: float, z: float, at: tuple[float, float] = (0, 0)) -> str:
    """A standing cylinder on the table."""
    return _body(f'type="cylinder" size="{radius} {z / 2}" mass="0.1"', at, z / 2)


def _body(geom: str, at: tuple[float, float], height: float) -> str:
    place = f"{at[0]} {at[1]} {height}"
    return f'<body pos="{place}"><freejoint/><geom {geom} friction="0.6 0.005 0.0001"/></body>'


def scene(*bodies: str) -> Any:
    """What labels and trials need of a settled scene: model, data, bodies, objects."""
    import mujoco

    table = '<geom type="plane" size="1 1 0.1" friction="0.6 0.005 0.0001"/>'
    xml = f"<mujoco><worldbody>{table}{''.join(bodies)}</worldbody></mujoco>"
    model = mujoco.MjModel.from_xml_string(xml)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    numbers = list(range(1, len(bodies) + 1))
    return SimpleNamespace(model=model, data=data, bodies=numbers, objects=tuple(numbers))


def view(height: float = 0.6, tilt: float = 0.0, turn: float = 0.0) -> Any:
    """A camera that looks at the origin from ``height``, tilted about its x axis and turned about
    its optical axis, radians."""
    down = np.diag([1.0, -1.0, -1.0])
    cos, sin = np.cos(tilt), np.sin(tilt)
    leaning = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    cos, sin = np.cos(turn), np.sin(turn)
    rolled = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, :3] = leaning @ down @ rolled
    pose[:3, 3] = -height * pose[:3, 2]
    return SimpleNamespace(intrinsics=INTRINSICS, world_from_camera=pose)


def above(x: float, y: float, z: float, angle: float = 0.0) -> Any:
    """(4, 4) pose of a gripper that points straight down, TCP at x, y, z in the world."""
    cos, sin = np.cos(angle), np.sin(angle)
    pose = np.eye(4)
    pose[:3, :3] = np.array([[cos, sin, 0], [sin, -cos, 0], [0, 0, -1]])
    pose[:3, 3] = x, y, z
    return pose
