"""The pose options of `graspling detect`: grasps in pixels to poses of a gripper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from graspling.apps.locate import PoseFrame
from graspling.calibration.robot_poses import csv_records, pose_of
from graspling.camera import GraspPoses, Intrinsics
from graspling.camera_files import read_document
from graspling.errors import InputError
from graspling.grasps import Grasps
from graspling.gripper import Gripper
from graspling.hand_eye import HandEye, in_metres
from graspling.poses import STEEPEST_DEG

Floats = NDArray[np.float64]
Approach = Literal["camera", "gravity"]


@dataclass(frozen=True, eq=False)
class PoseMaker:
    """What the options say about poses.

    Attributes:
        gripper: whose poses.
        intrinsics: of the frames.
        approach: along the camera's axis or gravity; the latter needs ``robot_from_camera``.
        clamp: grasps wider than the opening open it fully instead of being refused.
        robot_from_camera: (4, 4), or None: poses are in the camera frame.
    """

    gripper: Gripper
    intrinsics: Intrinsics
    approach: Approach = "camera"
    clamp: bool = False
    robot_from_camera: Floats | None = None

    @classmethod
    def of(
        cls,
        gripper: str,
        intrinsics: Intrinsics | None,
        approach: Approach,
        clamp: bool,
        hand_eye: str,
        robot_pose: str,
        frames: int = 1,
    ) -> PoseMaker | None:
        """From the options, for so many frames; None when no gripper is named.

        Raises:
            InputError: something that was asked for needs what was not given.
        """
        if not gripper:
            if hand_eye or robot_pose or clamp or approach != "camera":
                raise InputError(
                    "--hand-eye, --robot-pose, --clamp and --approach shape poses: name the "
                    "gripper that they are for, --gripper panda"
                )
            return None
        if intrinsics is None:
            raise InputError("poses need intrinsics: give --camera FILE with fx, fy, cx, cy, ...")
        if robot_pose and not hand_eye:
            raise InputError("--robot-pose needs --hand-eye FILE, written by graspling calibrate")
        matrix = None
        if hand_eye:
            calibration = HandEye.load(hand_eye)
            if calibration.setup == "eye-in-hand" and not robot_pose:
                raise InputError(
                    f"{hand_eye}: the camera is in the hand; give --robot-pose FILE with the "
                    "hand's pose when the frame was taken, 4 x 4"
                )
            if calibration.setup == "eye-to-hand" and robot_pose:
                raise InputError(
                    f"{hand_eye}: the camera stands beside the robot, so that the hand's pose says "
                    "nothing; leave --robot-pose out"
                )
            if calibration.setup == "eye-in-hand" and frames > 1:
                raise InputError(
                    f"--robot-pose: one pose of the hand for {frames} frames, but the camera "
                    f"({hand_eye}) moves with the hand: give one frame at a time, each with the "
                    "pose when it was taken"
                )
            pose = _robot_pose(robot_pose) if robot_pose else None
            matrix = calibration.robot_from_camera(pose)
            if approach == "gravity":
                _check_looks_down(matrix, [hand_eye, *filter(None, [robot_pose])])
        elif approach == "gravity":
            raise InputError(
                "--approach gravity needs --hand-eye FILE: which way is down is known in the "
                "robot's frame (-z of its base)"
            )
        return cls(Gripper.load(gripper), intrinsics, approach, clamp, matrix)

    def __call__(self, grasps: Grasps, depth: NDArray[np.float32] | None) -> GraspPoses:
        """Poses in the robot's frame where it is known.

        Raises:
            InputError: there is no depth, or of another size than the intrinsics say.
        """
        if depth is None:
            raise InputError("poses need depth: give --depth FILE as well")
        self.intrinsics.check_size(depth)
        gravity = None
        if self.approach == "gravity" and self.robot_from_camera is not None:
            gravity = -self.robot_from_camera[2, :3]
        poses = grasps.to_poses(
            depth,
            self.intrinsics,
            self.gripper,
            approach=self.approach,
            gravity=gravity,
            clamp=self.clamp,
        )
        return poses if self.robot_from_camera is None else poses.transform(self.robot_from_camera)

    def to_dict(self, poses: GraspPoses) -> dict[str, Any]:
        """For JSON."""
        frame = PoseFrame("camera" if self.robot_from_camera is None else "robot")
        return frame.records(poses, self.gripper)


def _check_looks_down(robot_from_camera: Floats, files: list[str]) -> None:
    """Raises InputError when the optical axis is too far from the robot's -z."""
    away = np.degrees(np.arccos(np.clip(-robot_from_camera[2, 2], -1, 1)))
    if away > STEEPEST_DEG:
        raise InputError(
            f"{' and '.join(files)}: by {'them' if len(files) > 1 else 'it'} the camera looks "
            f"{away:.0f} degrees away from straight down (-z of the robot's base), and --approach "
            f"gravity needs {STEEPEST_DEG} or less; are the poses right?"
        )


def _robot_pose(path: str) -> Floats:
    if Path(path).suffix.lower() == ".csv":
        document: Any = {"poses": csv_records(Path(path))}
    else:
        document = read_document(path, "robot pose file")
    if isinstance(document, Mapping) and "base_from_hand" in document:
        document = document["base_from_hand"]
    poses = document.get("poses") if isinstance(document, Mapping) else document
    if isinstance(poses, list) and not _is_matrix(poses):
        if len(poses) != 1:
            raise InputError(
                f"robot pose file {path}: holds {len(poses)} poses, expected one, of the hand when "
                "the frame was taken"
            )
        document = poses[0]
    try:
        return in_metres(pose_of(document), "the pose")
    except InputError as error:
        raise InputError(f"robot pose file {path}: {error}") from None


def _is_matrix(rows: list[Any]) -> bool:
    """Rows of numbers, one pose, rather than a list of poses."""
    flat = [value for row in rows for value in (row if isinstance(row, list) else [row])]
    return bool(flat) and not any(isinstance(value, list | Mapping) for value in flat)


def pose_rows(name: str, poses: GraspPoses) -> list[list[object]]:
    """Rows for a table: place of the tool centre point and width in millimetres, or the reason."""
    rows: list[list[object]] = []
    for rank, good in enumerate(poses.valid):
        if good:
            x, y, z = (f"{value * 1e3:.0f}" for value in poses.pose[rank, :3, 3])
            rows.append([name, rank + 1, x, y, z, f"{poses.width[rank] * 1e3:.0f}", ""])
        else:
            rows.append([name, rank + 1, None, None, None, None, poses.reason[rank]])
    return rows


POSE_HEADERS = ("image", "rank", "x mm", "y mm", "z mm", "width mm", "no pose because")
