"""A critic at run time: how robust are these grasps?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.card import Card
from graspling.crops import Cropper, Crops
from graspling.errors import InputError
from graspling.frames import unmasked
from graspling.grasps import Grasps
from graspling.gripper import Gripper
from graspling.intrinsics import Intrinsics
from graspling.poses import to_poses
from graspling.robust.session import Session

ROBUST = 0.5  # probability from which a grasp is called robust
_BATCH = 256  # crops at once: their maps stay in the cache
DEFAULT = "gqcnn_light-generated-depth"


class OnnxCritic:
    """A critic in ONNX Runtime.

    Args:
        name: shipped name or ``.onnx`` file.

    Raises:
        InputError: no such model, or it is no critic.
    """

    def __init__(self, name: str | Path = DEFAULT, *, threads: int = 1) -> None:
        self._session = Session(name, "critic", threads=threads)

    @property
    def card(self) -> Card:
        """What is known about the critic."""
        return self._session.card

    def __call__(self, crops: Crops) -> NDArray[np.float64]:
        """(N,) probability in [0, 1] that each grasp is robust."""
        found = [
            self._session(
                crop=crops.image[start : start + _BATCH, None],
                pose=crops.pose[start : start + _BATCH],
            )
            for start in range(0, len(crops), _BATCH)
        ]
        return np.concatenate(found).astype(np.float64) if found else np.zeros(0)


def heights(
    grasps: Grasps, depth: ArrayLike, focal: float, gripper: Gripper, clamp: bool = True
) -> NDArray[np.float64]:
    """(N,) depth of the gripper at grasps that do not say one, metres: as deep as it fits, see
    :func:`graspling.poses.to_poses`; NaN where there is no pose. ``clamp`` is as there."""
    metres = np.asarray(unmasked(depth))
    height, width = metres.shape
    camera = Intrinsics(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)
    poses = to_poses(grasps, metres, camera, gripper, clamp=clamp)
    return np.asarray(np.where(poses.valid, poses.pose[:, 2, 3], np.nan))


def judge(
    critic: OnnxCritic,
    grasps: Grasps,
    depth: ArrayLike,
    focal: float,
    gripper: Gripper,
    z: ArrayLike | None = None,
    clamp: bool = True,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probability (N,) and gripper depth (N,) of grasps on one frame; 0 and NaN without a pose.

    Args:
        depth: (H, W) metres of the frame, 0 = missing.
        focal: of the frame, pixels.
        z: (N,) depth of the gripper where the detector says one; NaN: not here.
        clamp: a grasp that is wider than the gripper, and says no depth, has the pose of the
            gripper fully opened; false: none.
    """
    if not focal > 0:
        raise InputError(f"focal is {focal}, expected pixels above 0")
    metres = np.asarray(unmasked(depth))
    own = np.full(len(grasps), np.nan) if z is None else np.array(z, np.float64)
    unsaid = np.flatnonzero(~np.isfinite(own))
    if len(unsaid):
        own[unsaid] = heights(grasps[unsaid], metres, focal, gripper, clamp)
    good = np.flatnonzero(np.isfinite(own) & (own > 0))
    p = np.zeros(len(grasps))
    if len(good):
        p[good] = critic(Cropper(metres)(grasps[good], own[good], focal))
    return p, own
