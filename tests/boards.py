"""ChArUco boards as a camera sees them, rendered by a homography, with robot poses that fit."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from graspling.calibration import Board, View
from graspling.camera import Intrinsics

CAMERA = Intrinsics(600.0, 600.0, 319.5, 239.5, 640, 480, (0.05, -0.08, 0.0005, 0.001, 0.0))
BOARD = Board()
SCALE, OVER = 4000.0, 3  # pixels of the board's picture a metre; samples a pixel and axis


def rigid(turn: list[float], shift: list[float]) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(np.array(turn, float))[0], shift
    return pose


HAND_EYE = rigid([0.05, -0.1, 1.6], [0.03, -0.06, 0.05])
BASE_EYE = rigid([2.6, 0.3, -0.2], [0.7, 0.1, 0.9])


def render(camera_from_board: np.ndarray) -> np.ndarray:
    """The board through the lens: its picture warped by a homography, averaged over ``OVER`` x
    ``OVER`` samples a pixel, then bent."""
    fine = replace(CAMERA.rectified.resize(640 * OVER, 480 * OVER))
    plane = fine.matrix @ camera_from_board[:3, [0, 1, 3]]
    margin = 0.03
    to_metres = np.array(
        [[1 / SCALE, 0, 0.5 / SCALE - margin], [0, 1 / SCALE, 0.5 / SCALE - margin], [0, 0, 1]]
    )
    warped = cv2.warpPerspective(
        BOARD.image(SCALE, margin), plane @ to_metres, (640 * OVER, 480 * OVER),
        flags=cv2.INTER_LINEAR, borderValue=90,
    )  # fmt: skip
    small = cv2.resize(warped, (640, 480), interpolation=cv2.INTER_AREA)
    return CAMERA.unrectify(small, smooth=True)


def truth(
    setup: str, count: int, seed: int = 0, far: tuple[float, float] = (0.35, 0.6)
) -> tuple[np.ndarray, np.ndarray]:
    """Robot poses (N, 4, 4) and boards in the camera (N, 4, 4) that see the board well; ``far``:
    metres to the board."""
    rng = np.random.default_rng(seed)
    boards = []
    middle = rigid([0, 0, 0], [-BOARD.size[0] / 2, -BOARD.size[1] / 2, 0])
    for _ in range(count):
        tilt, heading = rng.uniform(0.1, 0.6), rng.uniform(0, 2 * np.pi)
        turn = rigid([tilt * np.cos(heading), tilt * np.sin(heading), 0], [0, 0, 0])
        spin = rigid([0, 0, rng.uniform(-1.5, 1.5)], [0, 0, 0])
        place = rigid([0, 0, 0], [*rng.uniform(-0.04, 0.04, 2), rng.uniform(*far)])
        boards.append(place @ turn @ spin @ middle)
    stack = np.stack(boards)
    if setup == "eye-in-hand":
        fixed = rigid([0.02, 0.03, 0.5], [0.5, 0.1, 0.02])
        return fixed @ np.linalg.inv(HAND_EYE @ stack), stack
    fixed = rigid([0.1, 0.2, 0.3], [0.02, -0.03, 0.12])
    return BASE_EYE @ stack @ np.linalg.inv(fixed), stack


def views_of(
    boards: np.ndarray, noise: float = 0.0, seed: int = 1, stated: float = BOARD.square
) -> list[View]:
    """As a detector would see them, without pictures; noise in pixels. ``stated``: the square that
    the detector is told, metres."""
    rng = np.random.default_rng(seed)
    grid = np.mgrid[1 : BOARD.columns, 1 : BOARD.rows].reshape(2, -1).T
    points = np.column_stack([grid, np.zeros(len(grid))]) * BOARD.square
    out = []
    for pose in boards:
        seen = points @ pose[:3, :3].T + pose[:3, 3]
        rays = seen[:, :2] / seen[:, 2:] + rng.normal(0, noise / 600, (len(points), 2))
        told = points * stated / BOARD.square
        _, turn, shift = cv2.solvePnP(told, rays, np.eye(3), np.zeros(0))
        found = rigid(turn.ravel().tolist(), shift.ravel().tolist())
        out.append(View(found, told, rays, rays * 600 + [319.5, 239.5], noise))
    return out


def shaken(robot: np.ndarray, metres: float, degrees: float, seed: int) -> np.ndarray:
    """The robot's poses when each is off by so much an axis (standard deviation), at the hand."""
    rng = np.random.default_rng(seed)
    out = robot.copy()
    for row in range(len(robot)):
        turn = rng.normal(0, np.deg2rad(degrees), 3).tolist()
        out[row] = robot[row] @ rigid(turn, rng.normal(0, metres, 3).tolist())
    return out


def off(found: np.ndarray, want: np.ndarray) -> tuple[float, float]:
    """Millimetres and degrees."""
    turn = cv2.Rodrigues(found[:3, :3].T @ want[:3, :3])[0]
    shift = np.linalg.norm(found[:3, 3] - want[:3, 3])
    return float(shift * 1e3), float(np.rad2deg(np.linalg.norm(turn)))
