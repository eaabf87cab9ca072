"""Between ROS topics and the watching loop, without ROS: messages in, frames out, answers back."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from graspling.apps.locate import lack_for_poses
from graspling.apps.ros_messages import Floats, Hand, grasp_message, image_message, pose_array
from graspling.apps.watch import Answer
from graspling.errors import InputError
from graspling.poses import GraspPoses
from graspling.sources.base import Frame, Source
from graspling.sources.match import Match, Matcher
from graspling.sources.ros_images import (
    check_aligned,
    depth_of,
    intrinsics_of,
    rgb_of,
    stamp_seconds,
)

_REMEDY = "take the topic of the aligned depth, or set use_colour or use_depth to false"


@dataclass(frozen=True, eq=False)
class RosFrame(Frame):
    """A frame with the header of its message, whose stamp is kept to the nanosecond."""

    header: Any = None


class Topics(Source):
    """Image messages as a source: the callbacks of the subscriptions fill it from any thread.

    Args:
        colour, depth: which of the two are used; both are matched by their time stamps, and must be
            of the same frame: depth with the pixels of the colour image.
        slop: largest difference of the stamps, seconds.
        rectified: the images were rectified, so P of camera_info holds.
    """

    def __init__(
        self, *, colour: bool, depth: bool, slop: float = 0.02, rectified: bool = False
    ) -> None:
        if not colour and not depth:
            raise InputError("neither colour nor depth is to be used; name a topic")
        self.name = "topics"
        self._both, self._rectified = colour and depth, rectified
        self._matcher: Matcher[Any, Any] = Matcher(slop)
        self._info: Any = None
        # of one: what nobody has taken when the next one comes is of no use any more
        self._waiting: queue.Queue[Match[Any, Any]] = queue.Queue(maxsize=1)
        self._closed = False
        self._lock = threading.Lock()

    def on_info(self, message: Any) -> None:
        """A camera_info came."""
        self._info = message

    def on_colour(self, message: Any) -> None:
        """A colour image came."""
        time = stamp_seconds(message)
        with self._lock:
            alone = [Match(time, message, None)]
            self._add(self._matcher.add_first(time, message) if self._both else alone)

    def on_depth(self, message: Any) -> None:
        """A depth image came."""
        time = stamp_seconds(message)
        with self._lock:
            alone = [Match(time, None, message)]
            self._add(self._matcher.add_second(time, message) if self._both else alone)

    def _add(self, matches: Sequence[Match[Any, Any]]) -> None:
        for match in matches:
            with suppress(queue.Empty):
                self._waiting.get_nowait()
            self._waiting.put_nowait(match)

    @property
    def live(self) -> bool:  # type: ignore[override]  # here it can change
        """Until it is closed."""
        return not self._closed

    def close(self) -> None:
        """No frame is wanted any more: the source ends."""
        self._closed = True

    def frames(self) -> Iterator[Frame]:
        """See :class:`Source`; images are decoded here, not in the callbacks."""
        while not self._closed:
            try:
                match = self._waiting.get(timeout=0.1)
            except queue.Empty:
                continue
            yield self._frame(match)

    def _frame(self, match: Match[Any, Any]) -> Frame:
        name = f"{match.time:.6f}"
        message = match.second if match.first is None else match.first
        try:
            rgb = None if match.first is None else rgb_of(match.first)
            depth = None if match.second is None else depth_of(match.second)
            if self._both:
                check_aligned(match.first, match.second, _REMEDY)
            info = self._info
            camera = None if info is None else intrinsics_of(info, rectified=self._rectified)
        except InputError as error:
            return RosFrame(name, time=match.time, fault=str(error), header=message.header)
        return RosFrame(name, rgb, depth, match.time, camera, header=message.header)


def why_no_pose(answer: Answer) -> str:
    """Why there is no pose of the grasp that is followed, one line; "" where there is one, or no
    grasp. What a frame lacks for any pose is told without a grasp, too."""
    if answer.tracked is None:
        return ""
    lack = lack_for_poses(answer.frame)
    if lack:
        no_depth = answer.frame.depth is None
        remedy = "use_depth" if no_depth else "that camera_info comes and its K is not 0"
        return f"no poses: {lack}; check {remedy}"
    if answer.poses is None or not len(answer.poses) or answer.poses.valid[0]:
        return ""
    return f"no pose of the followed grasp: {answer.poses.reason[0]}"


class Publisher:
    """A view that publishes answers.

    Args:
        types: message classes, see :data:`graspling.apps.ros_messages.MESSAGES`.
        hand: for the grasp message.
        poses, grasp, image: publish a PoseArray of the poses, that of the followed grasp as a
            moveit_msgs/Grasp, and the annotated image; None publishes none.
        own: the PoseArray holds poses of the gripper's own frame, the one its driver moves;
            otherwise those of the point between the pads.
        move: from the header of a frame to another frame: the transform (4, 4) and its header;
            None when it is not known now.
    """

    def __init__(
        self,
        types: Any,
        hand: Hand,
        *,
        poses: Callable[[Any], None] | None = None,
        grasp: Callable[[Any], None] | None = None,
        image: Callable[[Any], None] | None = None,
        own: bool = False,
        move: Callable[[Any], tuple[Floats, Any] | None] | None = None,
    ) -> None:
        self._types, self._hand, self._own, self._move = types, hand, own, move
        self._poses, self._grasp, self._image = poses, grasp, image

    def show(self, answer: Answer) -> bool:
        """Publish one answer. Without any pose the PoseArray is empty, so that nobody goes on with
        an old one. Where the followed grasp has no pose there is no grasp: that of another one
        would send an arm elsewhere on its way."""
        assert isinstance(answer.frame, RosFrame)
        poses, header = self._moved(answer)
        if self._poses is not None:
            matrices: Any = []
            if poses is not None:
                there = poses[poses.valid]
                matrices = there.gripper_poses(self._hand.gripper) if self._own else there.pose
            self._poses(pose_array(self._types, header, matrices))
        if self._grasp is not None and poses is not None and len(poses) and poses.valid[0]:
            track = None if answer.tracked is None else answer.tracked.number
            width, quality = float(poses.width[0]), float(poses.quality[0])
            self._grasp(
                grasp_message(self._types, header, poses.pose[0], width, quality, self._hand, track)
            )
        if self._image is not None and answer.picture is not None:
            self._image(image_message(self._types, answer.frame.header, answer.picture))
        return True

    def _moved(self, answer: Answer) -> tuple[GraspPoses | None, Any]:
        """The poses in the frame that is asked for, and its header."""
        assert isinstance(answer.frame, RosFrame)
        header = answer.frame.header
        if answer.poses is None or self._move is None:
            return answer.poses, header
        found = self._move(header)
        if found is None:
            return None, header
        matrix, header = found
        return answer.poses.transform(matrix), header

    def close(self) -> None:
        """Nothing is open."""
