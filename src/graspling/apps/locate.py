"""Poses for the grasps of a frame, where the frame has what they need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from graspling.card import Card
from graspling.grasps import Grasps
from graspling.gripper import Gripper
from graspling.plane import fit_plane
from graspling.poses import GraspPoses
from graspling.sources.base import Frame


@dataclass(frozen=True, eq=False)
class Locator:
    """Grasps of frames to poses of one gripper; see :meth:`graspling.Grasps.to_poses`.

    Attributes:
        gripper: what grasps.
        clamp: open as far as the gripper can for a grasp that is wider, instead of refusing it.
        robot_from_camera: (4, 4) hand-eye transform, metres; None leaves the camera frame.
    """

    gripper: Gripper
    clamp: bool = False
    robot_from_camera: ArrayLike | None = None

    def __call__(self, frame: Frame, grasps: Grasps) -> GraspPoses | None:
        """A row a grasp; None for a frame without depth or intrinsics.

        Raises:
            InputError: the intrinsics are those of another image size.
        """
        if frame.depth is None or frame.intrinsics is None:
            return None
        poses = grasps.to_poses(frame.depth, frame.intrinsics, self.gripper, clamp=self.clamp)
        if self.robot_from_camera is None:
            return poses
        return poses.transform(self.robot_from_camera)


class HeightWatch:
    """Says once when the camera stands at a height that the model did not learn from.

    Args:
        card: of the model that looked at the last frame.
        report: gets the line.
    """

    def __init__(self, card: Callable[[], Card], report: Callable[[str], None]) -> None:
        self._card, self._report = card, report
        self._done = False

    def __call__(self, frame: Frame) -> None:
        """Look at the first frame that shows a table, with intrinsics; at no other."""
        if self._done or frame.depth is None or frame.intrinsics is None:
            return
        camera = frame.intrinsics
        if frame.depth.shape != (camera.height, camera.width):
            return
        plane = fit_plane(camera.rectify(frame.depth), camera.rectified)
        if plane is None:
            return
        self._done = True
        line = self._card().height_warning(plane.height)
        if line is not None:
            self._report(line)


def pose_records(poses: GraspPoses) -> list[dict[str, Any]]:
    """One dictionary a grasp for JSON: the pose as four rows and the opening in metres, or the
    reason why there is none."""
    return [
        {
            "pose": np.round(poses.pose[row], 6).tolist(),
            "width_m": round(float(poses.width[row]), 6),
        }
        if poses.valid[row]
        else {"pose": None, "reason": poses.reason[row]}
        for row in range(len(poses.valid))
    ]
