"""The corners refine a hand-eye calibration, and say how far the robot can be believed.

Errors come from two sides: corners are seen to a fraction of a pixel, and the robot is not quite
where it says. A refinement that knows of the first alone moves the camera until every error of the
robot looks like one of the corners, and ends up worse than where it began. Here both have a size:
that of the corners is known from how well a board fits its image, that of the robot is estimated
together with the result (generalised least squares, variances by expectation maximisation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.calibration.board import View
from graspling.hand_eye import Setup

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_HUBER = 3.0  # standard deviations
_STEPS, _SMALL = 30, 1e-9
_LEAST_PIXELS = 0.05
_LEAST_M, _LEAST_RAD = 1e-5, 1e-5
_FIRST_M, _FIRST_RAD = 1e-3, np.deg2rad(0.1)
_ANY_SIZE = 1.0  # standard deviation of the board's size before anything is seen
_STEP = 1e-6  # of the derivatives, radians and metres


@dataclass(frozen=True, eq=False)
class Scene:
    """What there is to be explained.

    Attributes:
        robot: (N, 4, 4), the hand in the base (eye-in-hand) or the base in the hand.
        views: the board in N images.
        kept: (N,) images that count.
        setup: where the camera is.
        focal: length in pixels, which turns angles into pixels.
    """

    robot: Floats
    views: Sequence[View]
    kept: Bools
    setup: Setup
    focal: float


@dataclass(frozen=True, eq=False)
class Noise:
    """Standard deviations: of a corner in pixels; of the robot in radians and metres an axis."""

    pixels: float
    radians: float = float(_FIRST_RAD)
    metres: float = _FIRST_M


@dataclass(frozen=True, eq=False)
class Fit:
    """What explains a scene best.

    Attributes:
        eye, fixed: X and Y, (4, 4).
        noise: as it was given or estimated.
        scale: the board is so many times as large as stated; 1 where that was not open.
        scale_error: standard error of it.
    """

    eye: Floats
    fixed: Floats
    noise: Noise
    scale: float = 1.0
    scale_error: float = 0.0


def refine(
    eye: Floats,
    fixed: Floats,
    scene: Scene,
    noise: Noise | None = None,
    *,
    scale: float | None = None,
) -> Fit:
    """X, Y and the noise, by Gauss-Newton with Huber's weights.

    Args:
        eye, fixed: where to begin.
        noise: taken as it is, where it is known; by default it is estimated.
        scale: where to begin with the size of the board, which is then found, too; by default it
            is as stated. What the images leave open stays about as stated.
    """
    free, scale = scale is not None, 1.0 if scale is None else scale
    count = 13 if free else 12
    rows = [int(row) for row in np.flatnonzero(scene.kept)]
    known = noise is not None
    if noise is None:
        errors = np.array([scene.views[row].error_px for row in rows])
        noise = Noise(max(float(np.sqrt((errors**2).mean() / 2)), _LEAST_PIXELS))
    for _ in range(_STEPS):
        normal, right = 1e-12 * np.eye(count), np.zeros(count)
        normal[12:, 12:] += _ANY_SIZE**-2
        right[12:] -= (scale - 1) / _ANY_SIZE**2
        squares = np.zeros((len(rows), 2))
        for place, row in enumerate(rows):
            error = residuals(eye, fixed, scene.robot[row], scene.views[row], scene.focal, scale)
            slope, shaken = _slopes(eye, fixed, scale, scene, row, error)
            slope = slope[:, :count]
            size = np.repeat([noise.radians, noise.metres], 3)
            spread = shaken * size  # (2 K, 6) pixels a standard deviation of the robot
            total = noise.pixels**2 * np.eye(len(error)) + spread @ spread.T
            white = np.linalg.inv(np.linalg.cholesky(total))
            flat, ascent, turned = white @ error, white @ slope, white @ spread
            weight = np.minimum(1, _HUBER / np.maximum(np.abs(flat), 1e-9))
            normal += ascent.T @ (ascent * weight[:, None])
            right -= ascent.T @ (weight * flat)
            if not known:  # what the robot was off by, and how sure that is
                off = -(turned.T @ flat) * size
                left = size**2 * (1 - (turned**2).sum(axis=0))
                squares[place] = (off**2 + left).reshape(2, 3).mean(axis=1)
        step = np.asarray(np.linalg.solve(normal, right), np.float64)
        eye, fixed = moved(eye, step[:6]), moved(fixed, step[6:12])
        scale += float(step[12]) if free else 0.0
        before = noise
        if not known:
            turn, shift = np.sqrt(squares.mean(axis=0))
            noise = Noise(noise.pixels, max(float(turn), _LEAST_RAD), max(float(shift), _LEAST_M))
        changed = abs(noise.radians / before.radians - 1) + abs(noise.metres / before.metres - 1)
        if np.abs(step).max() < _SMALL and changed < 0.01:
            break
    if not free:
        return Fit(eye, fixed, noise)
    # the variances come from the same few poses as the rest, which makes them look small
    left = max(6 * len(rows) - count, 1) / (6 * len(rows))
    return Fit(eye, fixed, noise, scale, float(np.sqrt(np.linalg.inv(normal)[12, 12] / left)))


def residuals(
    eye: Floats, fixed: Floats, robot: Floats, view: View, focal: float, scale: float = 1.0
) -> Floats:
    """(2 K,) pixels between the corners seen and where the solution puts them."""
    pose = np.linalg.inv(robot @ eye) @ fixed
    points = scale * view.points @ pose[:3, :3].T + pose[:3, 3]
    away = points[:, :2] / np.maximum(points[:, 2:], 1e-3) - view.rays
    return np.asarray(away.ravel() * focal)


def moved(pose: Floats, step: Floats) -> Floats:
    """A pose turned in its own frame by a rotation vector and moved, ``step`` (6,)."""
    out = pose.copy()
    out[:3, :3] = pose[:3, :3] @ cv2.Rodrigues(step[:3])[0]
    out[:3, 3] += step[3:]
    return out


def standard_error(eye: Floats, fixed: Floats, scene: Scene, noise: Noise) -> tuple[float, float]:
    """Of X in metres and radians: the jackknife over images."""
    rows = np.flatnonzero(scene.kept)
    shifts, turns = [], []
    for row in rows:
        kept = scene.kept.copy()
        kept[row] = False
        fewer = Scene(scene.robot, scene.views, kept, scene.setup, scene.focal)
        other = refine(eye, fixed, fewer, noise).eye
        shifts.append(other[:3, 3] - eye[:3, 3])
        turns.append(cv2.Rodrigues(eye[:3, :3].T @ other[:3, :3])[0].ravel())
    factor = (len(rows) - 1) / len(rows)
    a, b = (
        float(np.sqrt(factor * (np.square(np.array(parts)).sum()))) for parts in (shifts, turns)
    )
    return a, b


def _slopes(
    eye: Floats, fixed: Floats, scale: float, scene: Scene, row: int, start: Floats
) -> tuple[Floats, Floats]:
    """(2 K, 13) by X, Y and scale, and (2 K, 6) by the robot's pose, as it reports it."""
    robot, view, focal = scene.robot[row], scene.views[row], scene.focal
    steps = np.eye(6) * _STEP
    places = [(moved(eye, step), fixed, robot, scale) for step in steps]
    places += [(eye, moved(fixed, step), robot, scale) for step in steps]
    places += [(eye, fixed, robot, scale + _STEP)]
    places += [(eye, fixed, _shaken(robot, step, scene.setup), scale) for step in steps]
    slopes = [
        (residuals(x, y, there, view, focal, size) - start) / _STEP for x, y, there, size in places
    ]
    both = np.stack(slopes, axis=1)
    return both[:, :13], both[:, 13:]


def _shaken(robot: Floats, step: Floats, setup: Setup) -> Floats:
    """The robot's pose when the hand is a little elsewhere in the base."""
    if setup == "eye-in-hand":
        return moved(robot, step)
    hand = np.asarray(np.linalg.inv(robot), np.float64)
    return np.asarray(np.linalg.inv(moved(hand, step)), np.float64)
