from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graspling.apps.ros_messages import (
    MESSAGES,
    Hand,
    grasp_message,
    image_message,
    matrix_of,
    pose_array,
    pose_message,
    quaternion,
    rigid,
)
from graspling.errors import InputError
from graspling.gripper import Gripper, shipped_grippers
from graspling.sources.ros_images import rgb_of

ros = pytest.importorskip("ros_types", reason="rosbags is not installed (extra ros)")

TYPES = SimpleNamespace(**{name: ros.message(where) for name, where in MESSAGES.items()})
TURN = rigid((0, 0, 0), (0, 0, -np.sin(np.pi / 8), np.cos(np.pi / 8)))  # -45 degrees about z


def header(frame_id: str = "camera"):
    return ros.message("std_msgs/Header")(
        stamp=ros.message("builtin_interfaces/Time")(sec=12, nanosec=345), frame_id=frame_id
    )


def pose(x: float = 0.1, y: float = -0.2, z: float = 0.6, about: float = 0.4) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(about), -np.sin(about)], [np.sin(about), np.cos(about)]]
    matrix[:3, 3] = x, y, z
    return matrix


def transform_of(message) -> np.ndarray:
    return matrix_of(SimpleNamespace(translation=message.position, rotation=message.orientation))


# ---- rotations ----------------------------------------------------------------------------------

component = st.floats(-1, 1, allow_subnormal=False)


@given(st.tuples(component, component, component, component))
def test_rotation_to_quaternion_and_back(values):
    length = float(np.linalg.norm(values))
    if length < 1e-3:
        return
    rotation = rigid((0, 0, 0), values)[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    found = np.array(quaternion(rotation))
    assert found[3] >= 0 and np.linalg.norm(found) == pytest.approx(1)
    expected = np.array(values) / length
    assert min(np.abs(found - expected).max(), np.abs(found + expected).max()) < 1e-9


def test_known_turns():
    assert quaternion(np.eye(3)) == (0, 0, 0, 1)
    assert quaternion(np.diag([1.0, -1, -1])) == pytest.approx((1, 0, 0, 0))
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # 90 degrees about z
    assert quaternion(quarter) == pytest.approx((0, 0, np.sqrt(0.5), np.sqrt(0.5)))
    for bad in (np.eye(4), np.full((3, 3), np.nan)):
        with pytest.raises(InputError, match="rotation"):
            quaternion(bad)
    for shift, turn in (((0, 0), (0, 0, 0, 1)), ((0, 0, 0), (0, 0, 0, 0))):
        with pytest.raises(InputError, match="quaternion"):
            rigid(shift, turn)


# ---- messages -----------------------------------------------------------------------------------


def test_poses_survive_the_wire():
    matrices = [pose(), pose(z=0.9, about=-2.0)]
    message = ros.over_the_wire(pose_array(TYPES, header(), matrices))
    assert message.header.frame_id == "camera" and message.header.stamp.nanosec == 345
    for sent, matrix in zip(message.poses, matrices, strict=True):
        np.testing.assert_allclose(transform_of(sent), matrix, atol=1e-12)
    assert ros.over_the_wire(pose_array(TYPES, header(), [])).poses == []
    np.testing.assert_allclose(transform_of(pose_message(TYPES, pose())), pose(), atol=1e-12)


def test_a_picture_survives_the_wire():
    picture = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    message = ros.over_the_wire(image_message(TYPES, header(), picture[:, ::-1]))
    np.testing.assert_array_equal(rgb_of(message), picture[:, ::-1])


@pytest.mark.parametrize("name", shipped_grippers())
@pytest.mark.parametrize("parent_from_own", [np.eye(4), TURN], ids=["same", "turned"])
def test_the_pose_is_that_of_the_parent_link(name, parent_from_own):
    gripper = Gripper.load(name)
    hand = Hand(gripper, "flange", parent_from_own)
    message = ros.over_the_wire(grasp_message(TYPES, header(), pose(), 0.05, 0.7, hand))
    assert message.grasp_pose.header.frame_id == "camera"
    parent = transform_of(message.grasp_pose.pose)
    # From the parent link through the gripper's own frame to the pads: back at the grasp.
    pads = parent @ parent_from_own @ [*gripper.tcp, 1]
    np.testing.assert_allclose(pads[:3], pose()[:3, 3], atol=1e-9)
    opening = parent[:3, :3] @ parent_from_own[:3, :3] @ gripper.opening_axis
    np.testing.assert_allclose(opening, pose()[:3, 0], atol=1e-9)
    assert np.linalg.norm(parent[:3, 3] - pose()[:3, 3]) == pytest.approx(
        np.linalg.norm(gripper.tcp)
    )
    # The hand comes along the approach of the grasp and leaves the other way.
    for move, sign in ((message.pre_grasp_approach, 1), (message.post_grasp_retreat, -1)):
        assert move.direction.header.frame_id == "flange"
        vector = move.direction.vector
        along = parent[:3, :3] @ [vector.x, vector.y, vector.z]
        np.testing.assert_allclose(along, sign * pose()[:3, 2], atol=1e-9)
        assert 0 < move.min_distance < move.desired_distance


def test_a_franka_hand_on_its_flange():
    """Franka's description: the hand is turned by -45 degrees on panda_link8, the pads 103.4 mm
    below it; the fingers open along the hand's y."""
    hand = Hand(Gripper.load("panda"), "panda_link8", TURN)
    down = pose(0.4, 0.0, 0.5, about=0.0)
    message = grasp_message(TYPES, header(), down, 0.06, 0.9, hand)
    link8 = transform_of(message.grasp_pose.pose)
    np.testing.assert_allclose(link8[:3, 3], [0.4, 0.0, 0.5 - 0.1034], atol=1e-9)
    # own y = house x, own frame turned by -45 degrees in link8: y of link8 lies at 45 degrees
    own_y = link8[:3, :3] @ [np.sin(np.pi / 4), np.cos(np.pi / 4), 0]
    np.testing.assert_allclose(own_y, [1, 0, 0], atol=1e-9)


def test_fingers_open_linearly():
    gripper = Gripper.load("panda")
    hand = Hand(gripper, joints=("left", "right"), open_at=0.04, closed_at=0.0)
    message = ros.over_the_wire(grasp_message(TYPES, header(), pose(), 0.05, 0.7, hand))
    before, after = message.pre_grasp_posture, message.grasp_posture
    assert before.joint_names == after.joint_names == ["left", "right"]
    assert before.points[0].positions.tolist() == pytest.approx([0.025, 0.025])
    assert after.points[0].positions.tolist() == [0, 0]
    assert message.grasp_quality == 0.7 and message.max_contact_force == gripper.max_force
    revolute = Hand(gripper, joints=("knuckle",), open_at=0.0, closed_at=0.8)
    assert revolute.joint_position(0.0) == 0.8
    assert revolute.joint_position(gripper.opening) == 0.0
    assert revolute.joint_position(1.0) == 0.0
    bare = grasp_message(TYPES, header(), pose(), 0.05, 0.7, Hand(gripper))
    assert bare.pre_grasp_posture.points == []


def test_with_the_messages_of_ros_where_it_is_installed():
    pytest.importorskip("rclpy", reason="ROS 2 is not installed")
    from importlib import import_module

    from rclpy.serialization import deserialize_message, serialize_message

    types = SimpleNamespace()
    for name, where in MESSAGES.items():
        package, kind = where.split("/")
        try:
            setattr(types, name, getattr(import_module(f"{package}.msg"), kind))
        except ImportError:
            assert name == "Grasp", f"{package} is not installed"
    real = import_module("std_msgs.msg").Header(frame_id="camera")
    sent = pose_array(types, real, [pose()])
    found = deserialize_message(serialize_message(sent), types.PoseArray)
    np.testing.assert_allclose(transform_of(found.poses[0]), pose(), atol=1e-12)
    picture = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    sent = image_message(types, real, picture)
    found = deserialize_message(serialize_message(sent), types.Image)
    np.testing.assert_array_equal(rgb_of(found), picture)
    if hasattr(types, "Grasp"):
        hand = Hand(Gripper.load("panda"), "panda_link8", TURN, ("left", "right"))
        sent = grasp_message(types, real, pose(), 0.05, 0.7, hand)
        found = deserialize_message(serialize_message(sent), types.Grasp)
        assert found.grasp_quality == 0.7
