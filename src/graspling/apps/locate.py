"""Poses for the grasps of a frame, where the frame has what they need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.card import Card
from graspling.frames import valid_depth
from graspling.grasps import Grasps
from graspling.gripper import Gripper
from graspling.hand_eye import HandEye
from graspling.opencv import one_thread
from graspling.plane import fit_plane
from graspling.poses import GraspPoses
from graspling.sources.base import Frame


@dataclass(frozen=True, eq=False)
class Locator:
    """Grasps of frames to poses of one gripper; see :meth:`graspling.Grasps.to_poses`.

    Attributes:
        gripper: what grasps.
        clamp: open as far as the gripper can for a grasp that is wider, instead of refusing it.
    """

    gripper: Gripper
    clamp: bool = False

    def __call__(self, frame: Frame, grasps: Grasps) -> GraspPoses:
        """A row a grasp; without a pose where :func:`lack_for_poses` says why.

        Raises:
            InputError: the intrinsics are those of another image size.
        """
        if frame.depth is None or frame.intrinsics is None:
            count = len(grasps)
            none, no = np.full(count, np.nan), np.zeros(count, bool)
            pose, contacts = np.full((count, 4, 4), np.nan), np.full((count, 2, 3), np.nan)
            reason = (lack_for_poses(frame),) * count
            return GraspPoses(pose, none, grasps.quality, no, reason, contacts)
        return grasps.to_poses(frame.depth, frame.intrinsics, self.gripper, clamp=self.clamp)


def lack_for_poses(frame: Frame) -> str:
    """What a frame lacks for poses; "" when nothing."""
    if frame.depth is None:
        return "the frame has no depth"
    return "" if frame.intrinsics is not None else "its camera's intrinsics are not known"


@dataclass(frozen=True, eq=False)
class PoseFrame:
    """The frame in which poses are told.

    Attributes:
        name: "camera", "robot" (its base) or "hand" (of a camera that moves with it).
        from_camera: (4, 4) metres; None for the camera's own.
    """

    name: str = "camera"
    from_camera: ArrayLike | None = None

    @classmethod
    def of(cls, hand_eye: HandEye) -> PoseFrame:
        """The robot's frame of a camera that stands still; the hand's of one in the hand, because
        a stream does not say where the hand was."""
        name = "robot" if hand_eye.setup == "eye-to-hand" else "hand"
        return cls(name, hand_eye.transform)

    def records(self, poses: GraspPoses, gripper: Gripper) -> dict[str, Any]:
        """``gripper``, ``pose_frame`` and ``poses`` for JSON."""
        told = poses if self.from_camera is None else poses.transform(self.from_camera)
        return {
            "gripper": gripper.name,
            "pose_frame": self.name,
            "poses": told.to_records(gripper),
        }


class HeightWatch:
    """Says once when the camera stands at a height that the model did not learn from.

    Args:
        card: of the model that looked at the last frame.
        report: gets the line.
        often: look at every frame until there is something to say; by default the first frame
            with depth (that shows a table, where there are intrinsics) speaks for all.
    """

    def __init__(
        self, card: Callable[[], Card], report: Callable[[str], None], *, often: bool = False
    ) -> None:
        self._card, self._report, self._often = card, report, often
        self._done = False

    @one_thread()
    def __call__(self, frame: Frame) -> None:
        """Look at a frame."""
        if self._done or frame.depth is None:
            return
        card, camera, plane = self._card(), frame.intrinsics, None
        if card.height_range is None:
            return
        if camera is not None and frame.depth.shape == (camera.height, camera.width):
            plane = fit_plane(camera.rectify(frame.depth), camera.rectified)
        seen = plane is not None
        if plane is not None:
            line = card.height_warning(plane.height)
        else:
            distance = _typical(frame.depth)
            line = card.height_warning(distance, typical_depth=True) if distance else None
            seen = camera is None and distance is not None
        if line is not None:
            self._report(f"{frame.name}: {line}")
        self._done = line is not None or (seen and not self._often)


def _typical(depth: NDArray[np.float32]) -> float | None:
    """Median of what is known of a depth frame (H, W), metres; None when nothing is."""
    some = np.ascontiguousarray(depth[::4, ::4])
    known = some[valid_depth(some) > 0]
    return float(np.median(known)) if known.size else None
