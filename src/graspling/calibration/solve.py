"""Hand-eye calibration from robot poses and board poses.

With G the hand in the base (eye-in-hand) or the base in the hand (eye-to-hand), B the board in the
camera, X the camera wanted and Y the board at its fixed place: G X B = Y for every image. That is
solved for random subsets, the one that most images agree with counts, and the corners seen in these
refine X and Y together. Before, the same with the size of the board open tells whether it is the
one that was stated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from graspling.calibration.board import View
from graspling.calibration.doubts import (
    LEAST_IMAGES,
    LEAST_SHARE,
    agreement,
    complain,
    enough_images,
    enough_motion,
    little_motion,
)
from graspling.calibration.linear import consensus, scaled, solve_pairs
from graspling.calibration.refine import Fit, Scene, refine, residuals, standard_error
from graspling.calibration.size import size_doubts, size_unknown
from graspling.errors import InputError
from graspling.hand_eye import HandEye, Setup

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_NOISY_M, _NOISY_RAD = 0.003, np.deg2rad(0.5)


@dataclass(frozen=True, eq=False)
class Solution:
    """What calibration found.

    Attributes:
        hand_eye: the result; its report holds the numbers below.
        fixed_from_board: (4, 4) the board in the base (eye-in-hand) or in the hand (eye-to-hand).
        kept: (N,) images that count; the others are outliers.
        away_m, away_rad: (N,) how far each image sees the board from where all see it.
        error_px: (N,) root mean square reprojection error of each image by the solution.
        spread_m, spread_rad: standard error of the result, by leaving out one image at a time.
        warnings: lines for the user.
    """

    hand_eye: HandEye
    fixed_from_board: Floats
    kept: Bools
    away_m: Floats
    away_rad: Floats
    error_px: Floats
    spread_m: float
    spread_rad: float
    warnings: tuple[str, ...]


def calibrate(
    views: Sequence[View], base_from_hand: Floats, setup: Setup, focal: float
) -> Solution:
    """Where the camera is.

    Args:
        views: the board in N images.
        base_from_hand: (N, 4, 4) the robot's poses when they were taken, metres.
        focal: length in pixels, which turns angles into pixels.

    Raises:
        InputError: fewer than 5 images, too little motion, a board of another size, or images and
            poses that contradict each other; the message says what the likely reason is.
    """
    enough_images(base_from_hand)
    enough_motion(base_from_hand, np.ones(len(views), np.bool_))
    try:
        return _calibrate(views, base_from_hand, setup, focal)
    except np.linalg.LinAlgError:
        raise InputError(
            "the images leave open where the camera is; turn the hand by 20 degrees and more "
            "between them, about different axes"
        ) from None


def _calibrate(
    views: Sequence[View], base_from_hand: Floats, setup: Setup, focal: float
) -> Solution:
    boards = np.stack([view.camera_from_board for view in views])
    robot = np.array(base_from_hand, np.float64)
    if setup == "eye-to-hand":
        robot = np.asarray(np.linalg.inv(robot), np.float64)
    doubts = [size_unknown()]
    resized = consensus(robot, boards, free=True)
    if _agreed(resized) and not little_motion(base_from_hand, resized):
        fit, scene = _settle(Scene(robot, views, resized, setup, focal), boards, free=True)
        doubts = size_doubts(views, fit, int(scene.kept.sum()))
    kept = consensus(robot, boards)
    if not _agreed(kept):
        other = _agreed(consensus(np.asarray(np.linalg.inv(robot), np.float64), boards))
        complain(robot, boards, setup, other, 0 if kept is None else int(kept.sum()))
    enough_motion(base_from_hand, kept)
    fit, scene = _settle(Scene(robot, views, kept, setup, focal), boards)
    eye, fixed, kept = fit.eye, fit.fixed, scene.kept
    enough_motion(base_from_hand, kept)
    away_m, away_rad = agreement(eye, fixed, robot, boards)
    errors = np.array(
        [
            np.sqrt((residuals(eye, fixed, robot[i], view, focal) ** 2).mean() * 2)
            for i, view in enumerate(views)
        ]
    )
    spread = standard_error(eye, fixed, scene, fit.noise)
    lines = [*doubts, *_warnings(away_m, away_rad, kept, spread)]
    report: dict[str, Any] = {
        "images": len(views),
        "kept": int(kept.sum()),
        "rms_mm": float(np.sqrt((away_m[kept] ** 2).mean()) * 1e3),
        "rms_deg": float(np.rad2deg(np.sqrt((away_rad[kept] ** 2).mean()))),
        "rms_px": float(np.sqrt((errors[kept] ** 2).mean())),
        "standard_error_mm": spread[0] * 1e3,
        "standard_error_deg": float(np.rad2deg(spread[1])),
        "warnings": lines,
    }
    hand_eye = HandEye(setup, eye, report)
    return Solution(hand_eye, fixed, kept, away_m, away_rad, errors, *spread, tuple(lines))


def _agreed(kept: Bools | None) -> TypeGuard[Bools]:
    """Whether so many images agree that what they agree on is the answer."""
    return kept is not None and kept.mean() >= LEAST_SHARE and kept.sum() >= LEAST_IMAGES


def _settle(scene: Scene, boards: Floats, *, free: bool = False) -> tuple[Fit, Scene]:
    """The refined fit, and the scene with the images that count by it.

    Args:
        free: the size of the board is open.
    """
    kept = scene.kept
    eye, fixed, scale = solve_pairs(scene.robot[kept], boards[kept], free=free)
    for _ in range(3):
        fit = refine(eye, fixed, scene, scale=scale if free else None)
        eye, fixed, scale = fit.eye, fit.fixed, fit.scale
        away_m, away_rad = agreement(eye, fixed, scene.robot, scaled(boards, scale))
        limits = [
            max(4 * 1.4826 * float(np.median(away[kept])), least)
            for away, least in ((away_m, 0.001), (away_rad, np.deg2rad(0.1)))
        ]
        now = (away_m <= limits[0]) & (away_rad <= limits[1])
        if now.sum() < LEAST_IMAGES or (now == kept).all():
            break
        kept = now
        scene = replace(scene, kept=kept)
    return fit, scene


def _warnings(
    away_m: Floats, away_rad: Floats, kept: Bools, spread: tuple[float, float]
) -> list[str]:
    rms_m, rms_rad = (float(np.sqrt((away[kept] ** 2).mean())) for away in (away_m, away_rad))
    lines = []
    if rms_m > _NOISY_M or rms_rad > _NOISY_RAD:
        lines.append(
            f"noisy: images disagree by {rms_m * 1e3:.1f} mm and {np.rad2deg(rms_rad):.2f} degrees "
            "about where the board is; check intrinsics, the board's flatness and that the robot "
            "stood still"
        )
    if spread[0] > 0.002 or spread[1] > np.deg2rad(0.3):
        lines.append(
            f"uncertain: the result may be off by {spread[0] * 1e3:.1f} mm and "
            f"{np.rad2deg(spread[1]):.2f} degrees (standard error); take more images from more "
            "directions"
        )
    if not kept.all():
        lines.append(f"{int((~kept).sum())} of {len(kept)} images do not fit and are left out")
    return lines
