"""Depth images of boxes, cylinders and balls on a table, ray by ray, by formula."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graspling.camera import Intrinsics

CAMERA = Intrinsics(600.0, 600.0, 319.5, 239.5, 640, 480)


@dataclass(frozen=True)
class Body:
    """A box (half sizes), cylinder (radius, half length, along z) or sphere (radius), posed in the
    world."""

    kind: str
    size: tuple[float, ...]
    pose: np.ndarray


def pose(x: float, y: float, z: float, turn: float = 0.0, lie: bool = False) -> np.ndarray:
    """(4, 4): turned about world z; ``lie`` tips the body's z axis into its own x first."""
    c, s = np.cos(turn), np.sin(turn)
    matrix = np.eye(4)
    matrix[:3, :3] = [[c, -s, 0], [s, c, 0], [0, 0, 1]]
    if lie:
        matrix[:3, :3] = matrix[:3, :3] @ [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]
    matrix[:3, 3] = x, y, z
    return matrix


def camera_at(height: float, tilt: float = 0.0, heading: float = 0.0) -> np.ndarray:
    """world_from_camera (4, 4): looks down at the origin from ``height``, tilted by radians."""
    down = np.diag([1.0, -1.0, -1.0])
    c, s = np.cos(tilt), np.sin(tilt)
    about_x = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    h, g = np.cos(heading), np.sin(heading)
    about_z = np.array([[h, -g, 0], [g, h, 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = about_z @ about_x @ down
    axis = matrix[:3, 2]
    matrix[:3, 3] = axis * (height / axis[2])
    return matrix


def render(
    bodies: list[Body], world_from_camera: np.ndarray, camera: Intrinsics = CAMERA
) -> np.ndarray:
    """(H, W) float32 depth of the table z = 0 and the bodies."""
    v, u = np.mgrid[: camera.height, : camera.width]
    rays = np.stack(
        [(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], -1
    )
    direction = rays @ world_from_camera[:3, :3].T
    origin = world_from_camera[:3, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.where(direction[..., 2] < 0, -origin[2] / direction[..., 2], np.inf)
        for body in bodies:
            turn = body.pose[:3, :3]
            o, d = (origin - body.pose[:3, 3]) @ turn, direction @ turn
            hit = _HITS[body.kind](o, d, body.size)
            depth = np.minimum(depth, hit)
    return depth.astype(np.float32)


def _box(o: np.ndarray, d: np.ndarray, half: tuple[float, ...]) -> np.ndarray:
    a, b = (-np.array(half) - o) / d, (np.array(half) - o) / d
    enter, leave = np.minimum(a, b).max(axis=-1), np.maximum(a, b).min(axis=-1)
    return np.where((enter <= leave) & (enter > 0), enter, np.inf)


def _cylinder(o: np.ndarray, d: np.ndarray, size: tuple[float, ...]) -> np.ndarray:
    radius, half = size
    a = d[..., 0] ** 2 + d[..., 1] ** 2
    b = o[0] * d[..., 0] + o[1] * d[..., 1]
    c = o[0] ** 2 + o[1] ** 2 - radius**2
    root = np.sqrt(np.where(b * b >= a * c, b * b - a * c, np.nan))
    low, high = (-b - root) / a, (-b + root) / a
    p, q = (-half - o[2]) / d[..., 2], (half - o[2]) / d[..., 2]
    enter = np.maximum(low, np.minimum(p, q))
    leave = np.minimum(high, np.maximum(p, q))
    return np.where((enter <= leave) & (enter > 0), enter, np.inf)


def _sphere(o: np.ndarray, d: np.ndarray, size: tuple[float, ...]) -> np.ndarray:
    (radius,) = size
    a, b = (d * d).sum(-1), (o * d).sum(-1)
    root = b * b - a * ((o * o).sum(-1) - radius**2)
    return np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf)


_HITS = {"box": _box, "cylinder": _cylinder, "sphere": _sphere}
