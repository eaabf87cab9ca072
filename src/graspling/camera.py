"""The camera in one place: intrinsics, registration of depth to colour, and poses of grasps.

Camera frame: x right, y down, z forward along the optical axis, metres. Pixels: u right, v down,
integers at pixel centres. Depth is z, not the distance to the camera; 0 means missing.
"""

from graspling.intrinsics import Intrinsics
from graspling.poses import GraspPoses, to_poses
from graspling.registration import register_depth

__all__ = ["GraspPoses", "Intrinsics", "register_depth", "to_poses"]
