"""The node with stand-ins for rclpy: topics in, topics out."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import yaml
from ros_fakes import camera_info, compressed, header, image
from tiny_model import tiny_card, tiny_onnx

from graspling.apps.ros_messages import MESSAGES, Hand, matrix_of, rigid
from graspling.apps.ros_topics import Publisher, RosFrame, Topics
from graspling.apps.watch import Answer
from graspling.camera import GraspPoses
from graspling.detector import Detection
from graspling.errors import InputError
from graspling.grasps import Grasps
from graspling.gripper import Gripper
from graspling.tracking import Tracked

ros = pytest.importorskip("ros_types", reason="rosbags is not installed (extra ros)")

PACKAGE = Path(__file__).resolve().parents[2] / "ros2" / "graspling_ros"
FOCAL, SIDE = 350.0, 128


class Ros:
    """All of ROS that the node touches; ``sent`` is what it published, by topic."""

    def __init__(self, parameters: dict) -> None:
        self.parameters, self.sent, self.calls = parameters, {}, {}
        self.lines: list[str] = []
        self.throttles: dict[str, float] = {}
        self.transform, self.waits = None, []
        self.node = None
        self.down = threading.Event()
        self.arrived = threading.Condition()
        world = self

        class Logger:
            def warning(self, line: str, throttle_duration_sec: float = 0.0) -> None:
                world.lines.append(line)
                world.throttles[line] = throttle_duration_sec

            fatal = info = warning

        class Node:
            def __init__(self, name: str) -> None:
                world.node = self

            def declare_parameter(self, name, default):
                return SimpleNamespace(value=world.parameters.get(name, default))

            def create_subscription(self, kind, name, call, quality):
                world.calls[name] = (kind.__name__, call)

            def create_publisher(self, kind, name, depth):
                def publish(message) -> None:
                    assert isinstance(message, kind)
                    with world.arrived:
                        world.sent.setdefault(name, []).append(ros.over_the_wire(message))
                        world.arrived.notify_all()

                return SimpleNamespace(publish=publish)

            def get_logger(self):
                return Logger()

            def destroy_node(self) -> None:
                world.lines.append("destroyed")

        class TransformException(Exception):
            pass

        class Buffer:
            def lookup_transform(self, target, source, when, timeout):
                world.waits.append(timeout.seconds)
                if world.transform is None:
                    raise TransformException(f"{target} is not known")
                return SimpleNamespace(transform=world.transform)

        def module(name: str, **content) -> None:
            made = ModuleType(name)
            vars(made).update(content)
            self.modules[name] = made

        def messages(package: str, *kinds: str) -> None:
            module(package)
            module(f"{package}.msg", **{kind: ros.message(f"{package}/{kind}") for kind in kinds})

        self.modules: dict[str, ModuleType] = {}
        module(
            "rclpy", init=lambda: None, spin=lambda n: self.down.wait(), try_shutdown=self.down.set
        )
        module("rclpy.executors", ExternalShutdownException=type("Down", (Exception,), {}))
        module("rclpy.duration", Duration=SimpleNamespace)
        module("rclpy.node", Node=Node)
        module("rclpy.qos", qos_profile_sensor_data=None)
        module("rclpy.time", Time=SimpleNamespace(from_msg=lambda stamp: stamp))
        module("rclpy.logging", get_logger=lambda name: Logger())
        self.modules["rclpy"].logging = self.modules["rclpy.logging"]
        module("tf2_ros", Buffer=Buffer, TransformException=TransformException)
        self.modules["tf2_ros"].TransformListener = lambda buffer, node: None
        messages("sensor_msgs", "Image", "CompressedImage", "CameraInfo")
        messages("geometry_msgs", "Pose", "PoseArray")
        messages("trajectory_msgs", "JointTrajectoryPoint")
        messages("std_msgs", "Header")
        if not parameters.get("without_moveit"):
            messages("moveit_msgs", "Grasp")
        else:
            self.modules["moveit_msgs"] = self.modules["moveit_msgs.msg"] = None

    def wait(self, topic: str, count: int) -> list:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.sent.get(topic, [])) >= count, 30), topic
            return self.sent[topic]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Starts the node's main in a thread; ends it after the test."""
    running = []

    def begin(**parameters):
        model = tiny_onnx(tmp_path / "m.onnx", tiny_card("depth", threshold=0.3), angle=0.3)
        world = Ros({"model": str(model), **parameters})
        for name, module in world.modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        spec = importlib.util.spec_from_file_location("node", PACKAGE / "graspling_ros" / "node.py")
        node = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(node)
        thread = threading.Thread(target=node.main, daemon=True)
        thread.start()
        running.append((world, thread))
        while world.node is None or len(world.calls) < 2:
            assert thread.is_alive(), world.lines
            time.sleep(0.01)
        return world, node

    yield begin
    for world, thread in running:
        world.down.set()
        thread.join(10)
        assert not thread.is_alive()
        assert "destroyed" in world.lines


def block(u: int = 70, v: int = 60) -> np.ndarray:
    """A table at 0.7 m with a block of 5 cm on it, in millimetres."""
    depth = np.full((SIDE, SIDE), 700, np.uint16)
    depth[v - 6 : v + 7, u - 6 : u + 7] = 650
    return depth


def info(stamp: float):
    k = [FOCAL, 0, 63.5, 0, FOCAL, 63.5, 0, 0, 1]
    return camera_info(stamp, width=SIDE, height=SIDE, k=np.array(k))


def typed_header(stamp: float):
    """The header of a message as ROS itself makes it, for it is published again."""
    plain = header(stamp)
    time_kind = ros.message("builtin_interfaces/Time")
    made = time_kind(sec=plain.stamp.sec, nanosec=plain.stamp.nanosec)
    return ros.message("std_msgs/Header")(stamp=made, frame_id=plain.frame_id)


def send(world: Ros, stamp: float, depth: np.ndarray) -> None:
    world.calls["camera_info"][1](info(stamp))
    colour = image(np.zeros((SIDE, SIDE, 3), np.uint8), "bgr8", stamp)
    for topic, message in (("colour", colour), ("depth", image(depth, "16UC1", stamp))):
        message.header = typed_header(stamp)
        world.calls[topic][1](message)


def test_depth_comes_in_and_poses_go_out(start):
    world, _ = start(top=1)
    send(world, 5.25, block())
    (poses,) = world.wait("~/poses", 1)
    assert poses.header.stamp.sec == 5 and poses.header.stamp.nanosec == 250_000_000
    assert poses.header.frame_id == "camera_color_optical_frame"
    (pose,) = poses.poses
    where = np.array([pose.position.x, pose.position.y, pose.position.z])
    expected = (np.array([70, 60]) - 63.5) / FOCAL * 0.65
    np.testing.assert_allclose(where[:2], expected, atol=0.004)
    assert 0.64 < where[2] < 0.70
    (grasp,) = world.wait("~/grasp", 1)
    parent = grasp.grasp_pose.pose.position
    assert parent.z == pytest.approx(where[2] - 0.1034, abs=1e-6)
    (picture,) = world.wait("~/image", 1)
    assert picture.encoding == "rgb8" and picture.header.stamp.sec == 5


def test_without_a_grasp_the_poses_are_empty(start):
    world, _ = start()
    send(world, 1.0, np.full((SIDE, SIDE), 700, np.uint16))
    (poses,) = world.wait("~/poses", 1)
    assert poses.poses == [] and "~/grasp" not in world.sent
    send(world, 2.0, np.zeros((SIDE, SIDE), np.uint16))  # no depth at all: a fault, not the end
    assert world.wait("~/poses", 2)[1].poses == []
    send(world, 3.0, block())
    assert len(world.wait("~/poses", 3)[2].poses) == 1
    assert any("missing" in line for line in world.lines)


def test_poses_in_the_frame_of_the_robot(start):
    moved = rigid((1, 2, 3), (1, 0, 0, 0))  # half a turn about x: the camera looks down
    shift, turn = SimpleNamespace(x=1.0, y=2.0, z=3.0), SimpleNamespace(x=1.0, y=0.0, z=0.0, w=0.0)
    world, _ = start(target_frame="base", top=1)
    send(world, 1.0, block())
    assert world.wait("~/poses", 1)[0].poses == []  # the transform is not known yet
    assert any("base is not known" in line for line in world.lines)
    assert world.waits == [0.1]  # the transform may come a little after the image
    world.transform = SimpleNamespace(translation=shift, rotation=turn)
    send(world, 2.0, block())
    poses = world.wait("~/poses", 2)[1]
    assert poses.header.frame_id == "base" and poses.header.stamp.sec == 2
    (pose,) = poses.poses
    found = matrix_of(SimpleNamespace(translation=pose.position, rotation=pose.orientation))
    np.testing.assert_allclose(found[:3, 2], moved[:3, 2], atol=1e-9)
    assert found[2, 3] == pytest.approx(3 - 0.67, abs=0.03)


def test_it_tells_why_there_is_no_pose_and_not_with_every_frame(start):
    world, _ = start(top=1)
    listen = world.calls["camera_info"]
    world.calls["camera_info"] = ("CameraInfo", lambda message: None)
    listen[1](camera_info(1.0, width=SIDE, height=SIDE, k=np.zeros(9)))  # nobody calibrated it
    send(world, 1.0, block())
    assert world.wait("~/poses", 1)[-1].poses == []
    k = np.array([FOCAL / 5, 0, 63.5, 0, FOCAL / 5, 63.5, 0, 0, 1])
    listen[1](camera_info(2.0, width=SIDE, height=SIDE, k=k))
    send(world, 2.0, block())
    assert world.wait("~/poses", 2)[-1].poses == []
    world.calls["camera_info"] = listen
    send(world, 3.0, block())
    assert len(world.wait("~/poses", 3)[-1].poses) == 1
    told = [line for line in world.lines if line.startswith("no pose")]
    reason = "no poses: its camera's intrinsics are not known"
    assert told[0] == f"{reason}; check that camera_info comes and its K is not 0"
    assert told[1].startswith("no pose of the followed grasp: too wide")
    assert len(told) == 2 and all(world.throttles[line] > 0 for line in told)


def test_the_gripper_s_own_frame_and_no_moveit(start):
    world, _ = start(own_frame=True, without_moveit=True, top=1)
    send(world, 1.0, block())
    (pose,) = world.wait("~/poses", 1)[0].poses
    assert 0.64 - 0.1034 < pose.position.z < 0.70 - 0.1034
    assert "~/grasp" not in world.sent
    assert any("moveit_msgs is not installed" in line for line in world.lines)


def test_depth_alone_and_compressed(start):
    world, _ = start(use_colour=False, compressed_depth=True, top=1)
    assert set(world.calls) == {"depth", "camera_info"}
    assert world.calls["depth"][0] == "CompressedImage"
    message = compressed(block(), "16UC1; compressedDepth png", head=bytes(12))
    message.header = typed_header(4.0)
    world.calls["camera_info"][1](info(4.0))
    world.calls["depth"][1](message)
    assert len(world.wait("~/poses", 1)[0].poses) == 1


def test_wrong_parameters_end_the_node_with_a_line(tmp_path, monkeypatch):
    world = Ros({"gripper": "tongs"})
    for name, module in world.modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("node", PACKAGE / "graspling_ros" / "node.py")
    node = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(node)
    with pytest.raises(SystemExit):
        node.main()
    assert any("'tongs'" in line for line in world.lines)


def test_parameters_are_those_of_the_file_and_of_the_readme(start):
    _, node = start()
    document = yaml.safe_load((PACKAGE / "config" / "grasps.yaml").read_text())
    values = document["grasps"]["ros__parameters"]
    assert set(values) == set(node.PARAMETERS)
    for name, value in values.items():
        assert type(value) is type(node.PARAMETERS[name]), name
    readme = (PACKAGE / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in node.PARAMETERS)


# ---- what is published, without a node ----------------------------------------------------------


def published(poses: GraspPoses, track: int | None = 7) -> tuple[list, list]:
    """What a publisher makes of these poses: PoseArray, Grasp."""
    types = SimpleNamespace(**{name: ros.message(where) for name, where in MESSAGES.items()})
    arrays, grasps = [], []
    publisher = Publisher(
        types, Hand(Gripper.load("panda")), poses=arrays.append, grasp=grasps.append
    )
    frame = RosFrame("a", header=typed_header(1.0))
    table = Grasps.from_arrays(np.arange(len(poses)), 0.0, 0.0, 9.0)
    tracked = Tracked(Detection(table, np.zeros((4, 8, 8), np.float32), {}, "m"), track, 5)
    publisher.show(Answer(0, frame, tracked, 0.0, poses=poses))
    return arrays, grasps


def two_poses(valid: list[bool]) -> GraspPoses:
    pose = np.tile(np.eye(4), (2, 1, 1))
    pose[:, :3, 3] = [[0.0, 0, 0.6], [0.2, 0, 0.6]]
    contacts, reason = np.zeros((2, 2, 3)), tuple("" if good else "none" for good in valid)
    good = np.array(valid)
    return GraspPoses(pose, np.full(2, 0.05), np.array([0.9, 0.6]), good, reason, contacts)


def test_the_grasp_is_the_followed_one_or_none():
    (array,), (grasp,) = published(two_poses([True, True]))
    assert len(array.poses) == 2 and grasp.id == "graspling_7" and grasp.grasp_quality == 0.9
    # the followed grasp has no pose in one frame: nobody is sent to the other one
    (array,), grasps = published(two_poses([False, True]))
    assert len(array.poses) == 1 and not grasps
    (array,), grasps = published(two_poses([False, False]))
    assert not array.poses and not grasps
    assert published(two_poses([True, False]), None)[1][0].id == "graspling"


# ---- topics without a node ----------------------------------------------------------------------


def test_only_the_newest_pair_waits():
    topics = Topics(colour=True, depth=True)
    for stamp in (1.0, 2.0, 3.0):
        topics.on_depth(image(block(), "16UC1", stamp))
        topics.on_colour(image(np.zeros((SIDE, SIDE, 3), np.uint8), "rgb8", stamp + 0.01))
    topics.on_depth(image(block(), "16UC1", 4.0))
    frame = next(topics.frames())
    assert frame.time == pytest.approx(3.01) and frame.intrinsics is None
    assert frame.header.stamp.sec == 3
    assert frame.depth[60, 70] == pytest.approx(0.65)


def test_depth_that_is_not_aligned_is_a_fault():
    topics = Topics(colour=True, depth=True)
    colour = image(np.zeros((SIDE, SIDE, 3), np.uint8), "rgb8", 1.0)
    depth = image(block(), "16UC1", 1.0)
    depth.header.frame_id = "camera_depth_optical_frame"
    topics.on_colour(colour)
    topics.on_depth(depth)
    fault = next(topics.frames()).fault
    assert "camera_depth_optical_frame" in fault and "camera_color_optical_frame" in fault
    assert "aligned depth" in fault and "use_colour" in fault
    alone = Topics(colour=False, depth=True)
    alone.on_depth(depth)
    assert not next(alone.frames()).fault


def test_an_odd_camera_info_is_a_fault():
    topics = Topics(colour=False, depth=True)
    topics.on_info(camera_info(1.0, width=SIDE, height=SIDE, k=np.eye(3).ravel()))
    topics.on_depth(image(block(), "16UC1", 1.0))
    assert "no lens is that wide" in next(topics.frames()).fault


def test_an_odd_image_is_a_fault():
    topics = Topics(colour=True, depth=False)
    topics.on_colour(image(block(), "yuv422", 1.0))
    assert "yuv422" in next(topics.frames()).fault
    topics.close()
    assert list(topics.frames()) == [] and not topics.live
    with pytest.raises(InputError, match="name a topic"):
        Topics(colour=False, depth=False)
