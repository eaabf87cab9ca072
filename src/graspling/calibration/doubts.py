"""What is wrong when robot poses and board poses do not fit together."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from graspling.errors import InputError
from graspling.hand_eye import Setup

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LEAST_IMAGES = 5
LEAST_SHARE = 0.6  # of the images that must agree
_LEAST_TURN = np.deg2rad(10)
_LEAST_CROSS = 0.2  # sine between the axes that it turned about
_SAME_TURN = np.deg2rad(2)
_NOISY_TURN = np.deg2rad(10)  # noise alone hardly makes the turns differ by more
_NOISE = (
    "the robot's poses are inexact (each taken while the robot still moved, or an arm that is off "
    "by more than a few millimetres or half a degree)"
)


def agreement(eye: Floats, fixed: Floats, robot: Floats, boards: Floats) -> tuple[Floats, Floats]:
    """(N,) metres and radians between the board as each image sees it and its fixed place."""
    places = robot @ eye @ boards
    away = np.linalg.norm(places[:, :3, 3] - fixed[:3, 3], axis=1)
    return away, angle(np.swapaxes(places[:, :3, :3], 1, 2) @ fixed[:3, :3])


def angle(rotations: Floats) -> Floats:
    """(...,) angle of rotations (..., 3, 3), radians."""
    trace = np.trace(rotations, axis1=-2, axis2=-1)
    return np.asarray(np.arccos(np.clip((trace - 1) / 2, -1, 1)))


def _turns(poses: Floats) -> Floats:
    """(N, N) angles between poses; those of a hand and of what it sees are the same."""
    turn = poses[:, :3, :3]
    return angle(np.einsum("iab,jac->ijbc", turn, turn))


def enough_images(base_from_hand: Floats) -> None:
    """Raises InputError when there are too few images, or poses (N, 4, 4) in another unit."""
    count = len(base_from_hand)
    if count < LEAST_IMAGES:
        hint = "" if count else ": is it the board of these columns, rows and dictionary?"
        raise InputError(
            f"the board was found in {count} images, expected {LEAST_IMAGES} or more; 15 are good"
            f"{hint}"
        )
    if np.median(np.linalg.norm(base_from_hand[:, :3, 3], axis=1)) > 10:
        raise InputError(
            "the robot poses lie more than 10 m from its base: millimetres? expected metres"
        )


def _lack(base_from_hand: Floats) -> str:
    turn = base_from_hand[:, :3, :3]
    relative = np.einsum("iab,jac->ijbc", turn, turn).reshape(-1, 3, 3)
    angles = angle(relative)
    if angles.max() < _LEAST_TURN:
        return (
            f"the robot turned by {np.rad2deg(angles.max()):.1f} degrees at most; turn the hand by "
            "20 degrees and more between images, about different axes"
        )
    axes = np.stack(
        [
            relative[:, 2, 1] - relative[:, 1, 2],
            relative[:, 0, 2] - relative[:, 2, 0],
            relative[:, 1, 0] - relative[:, 0, 1],
        ],
        axis=1,
    )
    spread = np.linalg.svd(axes, compute_uv=False)
    if spread[1] < _LEAST_CROSS * spread[0]:
        return (
            "the robot turned about one axis only, which leaves a direction of the camera open; "
            "tilt the hand about a second axis as well"
        )
    return ""


def enough_motion(base_from_hand: Floats, kept: Bools) -> None:
    """Raises InputError when :func:`little_motion` of the robot finds a reason."""
    if lack := little_motion(base_from_hand, kept):
        raise InputError(lack)


def little_motion(base_from_hand: Floats, kept: Bools) -> str:
    """Why the robot (N, 4, 4) turned too little, in the images that count (N,), to tell where the
    camera is; "" if it did not. Outliers turn it, too, but tell nothing; and what one image alone
    tells nothing can check: the direction that the others leave open explains its errors."""
    left = int((~kept).sum())
    head = f"{left} of {len(kept)} images do not fit, and in " if left else "in "
    if lack := _lack(base_from_hand[kept]):
        return f"{head}the others {lack}" if left else lack
    for row in np.flatnonzero(kept):
        if lack := _lack(base_from_hand[kept & (np.arange(len(kept)) != row)]):
            return f"{head}all {'others ' if left else ''}but one image {lack}"
    return ""


def complain(
    robot: Floats, boards: Floats, setup: Setup, swapped_fits: bool, agree: int
) -> NoReturn:
    """Raises InputError with the likely reason why images and poses contradict each other."""
    count = len(boards)
    head = f"robot poses and images contradict each other: {agree} of {count} agree"
    if swapped_fits:
        other = "eye-to-hand" if setup == "eye-in-hand" else "eye-in-hand"
        raise InputError(
            f"{head}; they fit the other way round: either the setup is {other}, or the poses are "
            "inverted (base in the hand instead of the hand in the base)"
        )
    if agree >= LEAST_SHARE * count:
        raise InputError(
            f"{head}, expected {LEAST_IMAGES} or more; take more images (15 are good), and let the "
            "robot stand still for each"
        )
    seen = _turns(boards)
    off = _differ(_turns(robot), seen)
    if off > _SAME_TURN:
        orders = {
            "reversed": np.arange(count)[::-1],
            "moved on by one": np.roll(np.arange(count), 1),
            "moved back by one": np.roll(np.arange(count), -1),
        }
        for name, order in orders.items():
            if _differ(_turns(robot[order]), seen) < _SAME_TURN:
                raise InputError(
                    f"{head}; they fit with the order of the poses {name}: the order of poses and "
                    "images differs"
                )
        inexact = f", or {_NOISE}" if off < _NOISY_TURN else ""
        raise InputError(
            f"{head}; between images the robot turned by other angles than the camera saw "
            f"({np.rad2deg(off):.0f} degrees apart, median): poses and images are in another "
            f"order, or the robot's angles are read in another convention{inexact}"
        )
    raise InputError(
        f"{head}, although both turned alike: either {_NOISE}, or lengths are wrong: check the "
        "square of the board, the unit of the robot's positions (metres), the intrinsics and, of "
        "quaternions, the order x, y, z, w"
    )


def _differ(a: Floats, b: Floats) -> float:
    """Median difference of angles between pairs of poses, radians."""
    pairs = np.triu_indices(len(a), 1)
    return float(np.median(np.abs(a - b)[pairs]))
