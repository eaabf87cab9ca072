"""Grasps as ROS 2 messages: pure functions, without ROS.

The message classes are handed in (``types``, with the names of :data:`MESSAGES`), so the functions
run with those of ``rclpy`` and with stand-ins alike. Images that come in are read by
:mod:`graspling.sources.ros_images`.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.errors import InputError
from graspling.gripper import Gripper
from graspling.pictures import Picture

Floats = NDArray[np.float64]

# name in ``types``: package and class
MESSAGES = {
    "Image": "sensor_msgs/Image",
    "Pose": "geometry_msgs/Pose",
    "PoseArray": "geometry_msgs/PoseArray",
    "JointTrajectoryPoint": "trajectory_msgs/JointTrajectoryPoint",
    "Grasp": "moveit_msgs/Grasp",
}


@dataclass(frozen=True, eq=False)
class Hand:
    """What a motion planner has to know of the gripper beyond its shape.

    Attributes:
        gripper: its description.
        parent: name of the end effector's parent link, the last link of the arm.
        parent_from_own: (4, 4) the gripper's own frame in the parent link. For a Franka Hand on
            ``panda_link8`` a turn by -45 degrees about z.
        joints: names of the finger joints.
        open_at, closed_at: their position when the pads are ``gripper.opening`` and 0 apart;
            in between it is taken as linear.
        approach, retreat: how far the hand moves straight before and after, metres.
    """

    gripper: Gripper
    parent: str = ""
    parent_from_own: Floats = field(default_factory=lambda: np.eye(4))
    joints: tuple[str, ...] = ()
    open_at: float = 0.04
    closed_at: float = 0.0
    approach: float = 0.10
    retreat: float = 0.10

    @property
    def parent_from_house(self) -> Floats:
        """(4, 4) points in the gripper's house frame to the parent link, metres."""
        return np.asarray(self.parent_from_own @ self.gripper.own_from_house)

    def joint_position(self, width: float) -> float:
        """Of each finger joint when the pads are ``width`` metres apart."""
        share = min(max(width / self.gripper.opening, 0.0), 1.0)
        return float(self.closed_at + share * (self.open_at - self.closed_at))


def pose_message(types: Any, matrix: ArrayLike) -> Any:
    """A geometry_msgs/Pose of a rigid transform (4, 4)."""
    transform = np.asarray(matrix, dtype=np.float64)
    message = types.Pose()
    position, turn = message.position, message.orientation
    position.x, position.y, position.z = (float(value) for value in transform[:3, 3])
    turn.x, turn.y, turn.z, turn.w = quaternion(transform[:3, :3])
    return message


def pose_array(types: Any, header: Any, matrices: Iterable[ArrayLike]) -> Any:
    """A geometry_msgs/PoseArray, in the order given."""
    message = types.PoseArray()
    message.header = header
    message.poses = [pose_message(types, matrix) for matrix in matrices]
    return message


def image_message(types: Any, header: Any, picture: Picture) -> Any:
    """A sensor_msgs/Image with the encoding rgb8 of a picture (H, W, 3), red first."""
    message = types.Image()
    message.header = header
    message.height, message.width = (int(size) for size in picture.shape[:2])
    message.encoding, message.is_bigendian = "rgb8", 0
    message.step = 3 * message.width
    # rclpy takes an array.array as it is and looks at each byte of anything else
    message.data = array("B", np.ascontiguousarray(picture, dtype=np.uint8).tobytes())
    return message


def grasp_message(
    types: Any,
    header: Any,
    house_pose: ArrayLike,
    width: float,
    quality: float,
    hand: Hand,
    track: int | None = None,
) -> Any:
    """A moveit_msgs/Grasp.

    Its pose is that of the end effector's parent link, not of the point between the pads
    (moveit_msgs/Grasp.msg). The hand approaches along its own approach and goes back the same way.

    Args:
        house_pose: (4, 4) of the gripper's house frame in the frame of the header, metres.
        width: opening to approach with, metres.
        quality: in [0, 1].
        hand: joints and frames.
        track: number of the grasp that is followed; the id is then ``graspling_3``.
    """
    message = types.Grasp()
    message.id = "graspling" if track is None else f"graspling_{track}"
    message.grasp_pose.header = header
    own = np.asarray(house_pose, dtype=np.float64) @ np.linalg.inv(hand.parent_from_house)
    message.grasp_pose.pose = pose_message(types, own)
    message.grasp_quality = float(quality)
    message.max_contact_force = float(hand.gripper.max_force)
    for posture, opening in (
        (message.pre_grasp_posture, width),
        (message.grasp_posture, hand.gripper.min_opening),
    ):
        point = types.JointTrajectoryPoint()
        point.positions = [hand.joint_position(opening)] * len(hand.joints)
        posture.joint_names = list(hand.joints)
        posture.points = [point] if hand.joints else []
    forward = hand.parent_from_house[:3, 2]
    for move, sign, distance in (
        (message.pre_grasp_approach, 1.0, hand.approach),
        (message.post_grasp_retreat, -1.0, hand.retreat),
        (message.post_place_retreat, -1.0, hand.retreat),
    ):
        move.direction.header.frame_id = hand.parent
        vector = move.direction.vector
        vector.x, vector.y, vector.z = (float(sign * value) for value in forward)
        move.desired_distance, move.min_distance = float(distance), float(distance / 2)
    return message


def quaternion(rotation: ArrayLike) -> tuple[float, float, float, float]:
    """Unit quaternion (x, y, z, w), w >= 0, of a rotation (3, 3).

    The largest of the four components is taken from the diagonal, which is stable everywhere
    (Shepperd 1978).
    """
    r = np.asarray(rotation, dtype=np.float64)
    if r.shape != (3, 3) or not np.isfinite(r).all():
        raise InputError(f"rotation: got shape {r.shape}, expected finite numbers (3, 3)")
    x2, y2, z2 = np.diag(r)
    squares = np.array([1 + x2 - y2 - z2, 1 - x2 + y2 - z2, 1 - x2 - y2 + z2, 1 + x2 + y2 + z2])
    largest = int(np.argmax(squares))
    difference = np.array([r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]])
    if largest == 3:
        parts = np.append(difference, squares[3])
    else:
        parts = np.append((r + r.T)[largest], difference[largest])
        parts[largest] = squares[largest]
    parts /= np.linalg.norm(parts) * (-1 if parts[3] < 0 else 1)
    x, y, z, w = (float(part) for part in parts)
    return x, y, z, w


def matrix_of(transform: Any) -> Floats:
    """(4, 4) of a geometry_msgs/Transform (translation, rotation)."""
    shift, turn = transform.translation, transform.rotation
    return rigid((shift.x, shift.y, shift.z), (turn.x, turn.y, turn.z, turn.w))


def rigid(shift: Sequence[float], turn: Sequence[float]) -> Floats:
    """(4, 4) of a shift (3,) in metres and a quaternion (x, y, z, w) of any length but 0.

    Raises:
        InputError: not three and four finite numbers, or a quaternion of length 0.
    """
    values = np.array([*shift, *turn], dtype=np.float64)
    length = math.hypot(*values[3:])
    if len(shift) != 3 or len(turn) != 4 or not np.isfinite(values).all() or length == 0:
        raise InputError(f"transform {list(shift)}, {list(turn)}: expected x y z and a quaternion")
    x, y, z, w = values[3:] / length
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = values[:3]
    return matrix
