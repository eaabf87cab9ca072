"""Hand-eye calibration: a ChArUco board, robot poses, and where the camera is between them."""

from graspling.calibration.board import Board, View
from graspling.calibration.solve import Solution, calibrate

__all__ = ["Board", "Solution", "View", "calibrate"]
