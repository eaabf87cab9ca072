"""Solving G X B = Y from poses alone: for a first answer, and for which images agree.

The board's positions may be a wrong square's, all too long or too short by the same factor; it can
be solved for along with X.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.calibration.doubts import agreement

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_DRAWS, _SUBSET = 60, 5
_NEAR_M, _NEAR_RAD = 0.012, np.deg2rad(1.5)  # an image agrees with a solution
_AS_STATED = 0.01  # metres: what a board of twice the size is thought to be off by, to begin with
_SCALES = 1e-3, 1e3  # anything else is no solution


def consensus(robot: Floats, boards: Floats, *, free: bool = False) -> Bools | None:
    """(N,) images that agree with the best of many solutions from few of them.

    Args:
        free: the size of the board is open.
    """
    rng = np.random.default_rng(0)
    count = len(robot)
    best: Bools | None = None
    score = (0, -np.inf)
    for draw in range(_DRAWS):
        size = count if draw == 0 else min(_SUBSET, count)
        chosen = rng.permutation(count)[:size]
        try:
            eye, fixed, scale = solve_pairs(robot[chosen], boards[chosen], free=free)
        except np.linalg.LinAlgError:
            continue
        if not (np.isfinite(eye).all() and np.isfinite(fixed).all()):
            continue
        if not _SCALES[0] < scale < _SCALES[1]:
            continue
        away_m, away_rad = agreement(eye, fixed, robot, scaled(boards, scale))
        near = (away_m < _NEAR_M) & (away_rad < _NEAR_RAD)
        now = (int(near.sum()), -float(away_m[near].sum()))
        if near.sum() >= 3 and now > score:
            best, score = near, now
    return best


def solve_pairs(
    robot: Floats, boards: Floats, *, free: bool = False
) -> tuple[Floats, Floats, float]:
    """X by least squares in two steps as Park and Martin 1994 (Robot sensor calibration: solving
    AX = XB on the Euclidean group, section IV), over all pairs of images; the mean Y; and the
    factor on the board's positions, 1 unless it is ``free``. OpenCV 5 has no ``calibrateHandEye``
    any more; where it is there, a test compares."""
    i, j = np.triu_indices(len(robot), 1)
    a = np.linalg.inv(robot[j]) @ robot[i]
    b = boards[j] @ np.linalg.inv(boards[i])
    alpha, beta = (_logs(pairs[:, :3, :3]) for pairs in (a, b))
    eye = np.eye(4)
    u, _, vt = np.linalg.svd(alpha.T @ beta)
    eye[:3, :3] = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    # (R_A - I) t = s R_X t_B - t_A
    slope = (a[:, :3, :3] - np.eye(3)).reshape(-1, 3)
    seen, went = (b[:, :3, 3] @ eye[:3, :3].T).ravel(), a[:, :3, 3].ravel()
    scale = 1.0
    if free:
        # a hand that only turns on the spot tells no size; then it stays as stated
        rows = np.vstack([np.column_stack([slope, -seen]), [0, 0, 0, _AS_STATED]])
        found = np.linalg.lstsq(rows, np.append(-went, _AS_STATED), rcond=None)[0]
        eye[:3, 3], scale = found[:3], float(found[3])
    else:
        eye[:3, 3] = np.linalg.lstsq(slope, seen - went, rcond=None)[0]
    places = robot @ eye @ scaled(boards, scale)
    fixed = np.eye(4)
    u, _, vt = np.linalg.svd(places[:, :3, :3].sum(axis=0))
    fixed[:3, :3] = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    fixed[:3, 3] = np.median(places[:, :3, 3], axis=0)
    return eye, fixed, scale


def scaled(poses: Floats, scale: float) -> Floats:
    """Poses (..., 4, 4) with positions so many times as far away."""
    out = poses.copy()
    out[..., :3, 3] *= scale
    return out


def _logs(rotations: Floats) -> Floats:
    """(N, 3) rotation vectors."""
    return np.array([cv2.Rodrigues(turn)[0].ravel() for turn in rotations])
