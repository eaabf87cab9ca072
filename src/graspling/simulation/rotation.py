"""Rotations as MuJoCo wants them: unit quaternions in the order w, x, y, z."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def quaternion(matrix: ArrayLike) -> Floats:
    """(4,) wxyz of a rotation (3, 3), w >= 0."""
    m = np.asarray(matrix, dtype=np.float64)
    # the eigenvector of Bar-Itzhack's symmetric matrix: well behaved for every rotation
    k = np.array(
        [
            [m[0, 0] + m[1, 1] + m[2, 2], m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]],
            [0, m[0, 0] - m[1, 1] - m[2, 2], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0]],
            [0, 0, m[1, 1] - m[0, 0] - m[2, 2], m[1, 2] + m[2, 1]],
            [0, 0, 0, m[2, 2] - m[0, 0] - m[1, 1]],
        ]
    )
    q = np.linalg.eigh(k, UPLO="U")[1][:, -1]
    return np.asarray(q if q[0] >= 0 else -q)


def matrix(quaternion: ArrayLike) -> Floats:
    """(..., 3, 3) rotations of quaternions (..., 4) wxyz, which need not have length 1."""
    q = np.asarray(quaternion, dtype=np.float64)
    w, x, y, z = np.moveaxis(q / np.linalg.norm(q, axis=-1, keepdims=True), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def about(axis: str, angle: float) -> Floats:
    """(3, 3) turn by ``angle`` radians about "x", "y" or "z"."""
    c, s = np.cos(angle), np.sin(angle)
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    turn = np.eye(3)
    turn[first, first] = turn[second, second] = c
    turn[first, second], turn[second, first] = -s, s
    return turn


def towards(direction: ArrayLike, forward: ArrayLike = (0.0, 0.0, 1.0)) -> Floats:
    """(3, 3) shortest turn that takes the vector ``forward`` (3,) to ``direction`` (3,)."""
    a = np.asarray(forward, dtype=np.float64) / np.linalg.norm(forward)
    b = np.asarray(direction, dtype=np.float64) / np.linalg.norm(direction)
    if float(a @ b) < -1 + 1e-10:  # half a turn about any axis across
        across = np.cross(a, np.eye(3)[np.abs(a).argmin()])
        across /= np.linalg.norm(across)
        return np.asarray(2 * np.outer(across, across) - np.eye(3))
    # half a turn about a, then half a turn about the line midway
    middle = (a + b) / np.linalg.norm(a + b)
    return np.asarray((2 * np.outer(middle, middle) - np.eye(3)) @ (2 * np.outer(a, a) - np.eye(3)))


def random_rotation(rng: np.random.Generator) -> Floats:
    """(3, 3), uniform over all rotations (Shoemake 1992: a normal quaternion)."""
    return matrix(rng.normal(size=4))


def pose(rotation: ArrayLike, position: ArrayLike) -> Floats:
    """(4, 4) of a rotation (3, 3) and a position (3,)."""
    transform = np.eye(4)
    transform[:3, :3], transform[:3, 3] = rotation, position
    return transform
