"""The node: subscriptions fill a source, the loop of `graspling watch` looks, a view publishes.

ROS is touched in this file alone. Everything else (matching, conversion, tracking, poses) is in the
package graspling and is tested there without ROS.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import rclpy
import rclpy.logging
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from graspling.apps.locate import HeightWatch, Locator
from graspling.apps.ros_messages import MESSAGES, Hand, matrix_of, rigid
from graspling.apps.ros_topics import Publisher, Topics, why_no_pose
from graspling.apps.watch import Answer, Meter, watch
from graspling.detector import load
from graspling.errors import GrasplingError, InputError
from graspling.gripper import Gripper
from graspling.sources.stream import Patience, Stream
from graspling.tracking import Tracker

# A transform comes a little later than the image that it belongs to; the thread that spins takes it
# in while the one that looks waits for it.
TRANSFORM_WAIT = 0.1  # seconds

# Every parameter with its default; the README of this package says what they mean.
PARAMETERS: dict[str, Any] = {
    "model": "",
    "top": 5,
    "threshold": -1.0,
    "roi": [0],
    "threads": 1,
    "use_colour": True,
    "use_depth": True,
    "compressed_colour": False,
    "compressed_depth": False,
    "rectified": False,
    "slop": 0.02,
    "steadiness": 0.7,
    "gripper": "panda",
    "clamp": False,
    "target_frame": "",
    "own_frame": False,
    "parent_link": "",
    "parent_from_own": [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
    "finger_joints": [""],
    "joint_open": 0.04,
    "joint_closed": 0.0,
    "approach": 0.10,
    "retreat": 0.10,
}


class GraspsNode(Node):
    """Subscribes to colour, depth and camera_info; publishes poses, a grasp and a picture."""

    def __init__(self) -> None:
        super().__init__("grasps")
        values = {
            name: self.declare_parameter(name, default).value
            for name, default in PARAMETERS.items()
        }
        self._values = SimpleNamespace(**values)
        p = self._values
        self._gripper = Gripper.load(p.gripper)
        self._detector = load(p.model or None, threads=p.threads)
        self._detector.warm_up(rgb=p.use_colour, depth=p.use_depth)
        self._tracker = Tracker(self._detector, steadiness=p.steadiness)
        self._topics = Topics(
            colour=p.use_colour, depth=p.use_depth, slop=p.slop, rectified=p.rectified
        )
        kinds = {False: Image, True: CompressedImage}
        for used, name, kind, call in (
            (p.use_colour, "colour", kinds[p.compressed_colour], self._topics.on_colour),
            (p.use_depth, "depth", kinds[p.compressed_depth], self._topics.on_depth),
            (True, "camera_info", CameraInfo, self._topics.on_info),
        ):
            if used:
                self.create_subscription(kind, name, call, qos_profile_sensor_data)
        self._move = self._listen(p.target_frame) if p.target_frame else None
        self._publisher = self._publishers()

    def run(self) -> None:
        """Look at the newest frames until the node is shut down."""
        p = self._values
        how: dict[str, Any] = {
            "top": p.top,
            "threshold": None if p.threshold < 0 else p.threshold,
            "roi": list(p.roi) if len(p.roi) == 4 else None,
        }
        with Stream(
            self._topics,
            patience=Patience(reopen=float("inf")),
            report=self.get_logger().warning,
        ) as stream:
            watch(
                stream,
                lambda frame: self._tracker.update(
                    frame.rgb, frame.depth, focal=frame.focal, **how
                ),
                [self._publisher],
                Meter(),
                hopeless=None,
                locate=Locator(self._gripper, p.clamp),
                check=HeightWatch(lambda: self._detector.card, self.get_logger().warning),
                report=self.get_logger().warning,
                status=self._tell,
            )

    def _tell(self, answer: Answer) -> None:
        """Now and then, why there is no pose of the grasp that is followed."""
        line = why_no_pose(answer)
        if line:
            self.get_logger().warning(line, throttle_duration_sec=5.0)

    def close(self) -> None:
        """End :meth:`run`."""
        self._topics.close()

    # ---- what comes out -----------------------------------------------------------------------

    def _publishers(self) -> Publisher:
        p = self._values
        types = SimpleNamespace()
        for name, where in MESSAGES.items():
            package, kind = where.split("/")
            try:
                setattr(types, name, getattr(importlib.import_module(f"{package}.msg"), kind))
            except ImportError:
                if name != "Grasp":
                    raise
                self.get_logger().warning("moveit_msgs is not installed: no topic grasp")
        place = list(p.parent_from_own)
        hand = Hand(
            self._gripper,
            p.parent_link,
            rigid(place[:3], place[3:]),
            tuple(joint for joint in p.finger_joints if joint),
            p.joint_open,
            p.joint_closed,
            p.approach,
            p.retreat,
        )
        grasp = (
            self.create_publisher(types.Grasp, "~/grasp", 1) if hasattr(types, "Grasp") else None
        )
        return Publisher(
            types,
            hand,
            poses=self.create_publisher(types.PoseArray, "~/poses", 1).publish,
            grasp=None if grasp is None else grasp.publish,
            image=self.create_publisher(types.Image, "~/image", 1).publish,
            own=p.own_frame,
            move=self._move,
        )

    def _listen(self, target: str) -> Callable[[Any], tuple[Any, Any] | None]:
        """Poses to the frame ``target`` at the time of the image, by tf2."""
        from std_msgs.msg import Header
        from tf2_ros import Buffer, TransformException, TransformListener

        buffer = Buffer()
        self._listener = TransformListener(buffer, self)

        def move(header: Any) -> tuple[Any, Any] | None:
            try:
                found = buffer.lookup_transform(
                    target,
                    header.frame_id,
                    Time.from_msg(header.stamp),
                    timeout=Duration(seconds=TRANSFORM_WAIT),
                )
            except TransformException as error:
                self.get_logger().warning(f"no poses: {error}", throttle_duration_sec=2.0)
                return None
            return matrix_of(found.transform), Header(stamp=header.stamp, frame_id=target)

        return move


def main() -> None:
    """Entry point of ``ros2 run graspling_ros grasps``."""
    rclpy.init()
    try:
        node = GraspsNode()
    except GrasplingError as error:
        rclpy.logging.get_logger("grasps").fatal(str(error))
        rclpy.try_shutdown()
        raise SystemExit(1) from None
    # Callbacks in a thread of their own: they only put messages down; looking never delays them.
    spinning = threading.Thread(target=_spin, args=(node,), daemon=True)
    spinning.start()
    try:
        node.run()
    except KeyboardInterrupt:
        pass
    except InputError as error:
        node.get_logger().fatal(str(error))
        raise SystemExit(1) from None
    finally:
        node.close()
        rclpy.try_shutdown()
        spinning.join(2.0)
        node.destroy_node()


def _spin(node: GraspsNode) -> None:
    try:
        rclpy.spin(node)
    except ExternalShutdownException:
        pass
    finally:
        node.close()


if __name__ == "__main__":
    main()
