"""The ChArUco board: its picture for the printer, and where it is in an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.errors import InputError
from graspling.intrinsics import Intrinsics
from graspling.opencv import one_thread

Floats = NDArray[np.float64]

_LEAST_CORNERS = 6
_LEAST_CELL = 3  # pixels a cell of a marker
_LEAST_SPREAD = 0.15  # of the second axis of the corners found, in squares: not all in one row


@dataclass(frozen=True, eq=False)
class View:
    """A board in one image.

    Attributes:
        camera_from_board: (4, 4) metres.
        points: (K, 3) corners on the board, metres; rays: (K, 2) where they are seen, x / z and
            y / z without lens distortion.
        pixels: (K, 2) where they are seen in the image, (u, v).
        error_px: root mean square distance between corners seen and those of this pose.
    """

    camera_from_board: Floats
    points: Floats
    rays: Floats
    pixels: Floats
    error_px: float


@dataclass(frozen=True)
class Board:
    """A ChArUco board: ``columns`` x ``rows`` squares, the side of a square and of a marker in
    metres, and OpenCV's name of the markers' dictionary.

    Raises:
        InputError: a size that no board has, or no such dictionary.
    """

    columns: int = 7
    rows: int = 5
    square: float = 0.035
    marker: float = 0.026
    dictionary: str = "DICT_5X5_100"

    def __post_init__(self) -> None:
        if min(self.columns, self.rows) < 3 or not 0 < self.marker < self.square < 1:
            raise InputError(
                f"board of {self.columns} x {self.rows} squares of {self.square:g} m with markers "
                f"of {self.marker:g} m: expected 3 x 3 squares or more, markers smaller than "
                "squares, metres"
            )
        known = [name for name in dir(cv2.aruco) if name.startswith("DICT_")]
        if self.dictionary not in known:
            raise InputError(f"dictionary {self.dictionary!r}: expected one of {', '.join(known)}")
        markers = int(self._dictionary.bytesList.shape[0])
        if self.columns * self.rows // 2 > markers:
            raise InputError(
                f"a board of {self.columns} x {self.rows} squares needs "
                f"{self.columns * self.rows // 2} markers; {self.dictionary} has {markers}"
            )

    @property
    def _dictionary(self) -> Any:
        return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))

    @property
    def _board(self) -> Any:
        size = (self.columns, self.rows)
        return cv2.aruco.CharucoBoard(size, self.square, self.marker, self._dictionary)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height, metres."""
        return self.columns * self.square, self.rows * self.square

    def image(self, pixels_per_metre: float, margin: float = 0.0) -> NDArray[np.uint8]:
        """The board in grey, with a white ``margin`` in metres around it.

        The board's point (x, y) lies at the pixel ((x + margin) s - 0.5, (y + margin) s - 0.5).

        Raises:
            InputError: the markers would have too few pixels.
        """
        cells = int(self._dictionary.markerSize) + 2  # with the border
        if self.marker * pixels_per_metre < _LEAST_CELL * cells:
            raise InputError(
                f"a marker of {self.marker * 1e3:g} mm would be "
                f"{self.marker * pixels_per_metre:.0f} pixels wide, expected {_LEAST_CELL * cells} "
                "or more; give a larger --dpi or --marker"
            )
        width, height = (round(side * pixels_per_metre) for side in self.size)
        inner = np.asarray(self._board.generateImage((width, height), marginSize=0), np.uint8)
        pad = round(margin * pixels_per_metre)
        return np.pad(inner, pad, constant_values=255)

    @one_thread()
    def find(self, grey: NDArray[np.uint8], intrinsics: Intrinsics) -> View | None:
        """Where the board is in an image (H, W), or None when fewer than 6 corners, or corners of
        one line alone, are seen.

        Raises:
            InputError: the image has another size than the intrinsics say.
        """
        if grey.shape != (intrinsics.height, intrinsics.width):
            raise InputError(
                f"the image has {grey.shape[1]} x {grey.shape[0]} pixels, its intrinsics are for "
                f"{intrinsics.width} x {intrinsics.height}"
            )
        board = self._board
        corners, ids, _, _ = cv2.aruco.CharucoDetector(board).detectBoard(grey)
        if ids is None or len(ids) < _LEAST_CORNERS:
            return None
        points = np.asarray(board.getChessboardCorners(), np.float64)[ids.ravel()]
        spread = np.linalg.svd(points[:, :2] - points[:, :2].mean(axis=0), compute_uv=False)
        if spread[1] / np.sqrt(len(points)) < _LEAST_SPREAD * self.square:
            return None
        pixels = np.asarray(corners, np.float64).reshape(-1, 2)
        rays = np.ascontiguousarray(intrinsics.deproject(pixels[:, 0], pixels[:, 1], 1.0)[:, :2])
        none = np.zeros(0)
        _, turns, shifts, _ = cv2.solvePnPGeneric(
            points, rays, np.eye(3), none, flags=cv2.SOLVEPNP_IPPE
        )
        best: View | None = None
        for turn, shift in zip(turns, shifts, strict=True):  # a plane has two poses
            turn, shift = cv2.solvePnPRefineLM(points, rays, np.eye(3), none, turn, shift)
            pose = np.eye(4)
            pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(turn)[0], shift.ravel()
            seen = intrinsics.project(points @ pose[:3, :3].T + pose[:3, 3])
            error = float(np.sqrt(((seen - pixels) ** 2).sum(axis=1).mean()))
            if np.isfinite(error) and (best is None or error < best.error_px):
                best = View(pose, points, rays, pixels, error)
        return best
