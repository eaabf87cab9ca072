"""Start the node with the parameters of config/grasps.yaml and the topics of a RealSense."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

_TOPICS = {
    "colour": "/camera/camera/color/image_raw",
    "depth": "/camera/camera/aligned_depth_to_color/image_raw",
    "camera_info": "/camera/camera/color/camera_info",
}


def generate_launch_description() -> LaunchDescription:
    share = Path(get_package_share_directory("graspling_ros"))
    arguments = [
        DeclareLaunchArgument("params", default_value=str(share / "config" / "grasps.yaml")),
        *(DeclareLaunchArgument(name, default_value=topic) for name, topic in _TOPICS.items()),
    ]
    node = Node(
        package="graspling_ros",
        executable="grasps",
        name="grasps",
        output="screen",
        parameters=[LaunchConfiguration("params")],
        remappings=[(name, LaunchConfiguration(name)) for name in _TOPICS],
    )
    return LaunchDescription([*arguments, node])
