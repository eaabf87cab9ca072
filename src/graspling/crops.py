"""What a robustness critic looks at: small depth crops, centred and turned to a grasp.

As in Dex-Net 2.0 (Mahler et al. 2017, section IV): 32 x 32 pixels, the grasp's centre in the
middle, the opening along the rows. A crop is three times as wide as the gripper opens (GQ-STN,
section V-B: w = s / 3), so the plates stand at one and two thirds of every crop. Beside the crop a
critic is told the depth z of the gripper and its opening, in metres: in Dex-Net 2.0 the opening is
always 5 cm, here it differs from grasp to grasp and a crop does not show it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.errors import InputError
from graspling.grasps import Grasps
from graspling.holes import fill_holes

Floats = NDArray[np.float32]

SIZE = 32  # pixels
SPAN = 3.0  # sides of a crop in openings
_ROWS = 32000  # OpenCV cannot remap more at once


@dataclass(frozen=True, eq=False)
class Crops:
    """What a critic is given of N grasps.

    Attributes:
        image: (N, 32, 32) depth, metres along the camera's axis.
        pose: (N, 2) depth z of the gripper (its tool centre point) and its opening, metres.
    """

    image: Floats
    pose: Floats

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, rows: slice | NDArray[np.intp] | NDArray[np.bool_]) -> Crops:
        return Crops(self.image[rows], self.pose[rows])


class Cropper:
    """Cuts crops out of one frame.

    Where a crop is coarser than the frame, means of 2^k x 2^k pixels are sampled instead of single
    pixels, so that nothing thin is lost; in between, bilinear. Beyond the border the frame is
    repeated.

    Args:
        depth: (H, W) metres, 0 = missing; holes are filled.

    Raises:
        InputError: there is no depth at all.
    """

    def __init__(self, depth: ArrayLike) -> None:
        self.levels = [fill_holes(depth)]

    @property
    def depth(self) -> Floats:
        """(H, W) metres, without holes."""
        return self.levels[0]

    def __call__(self, grasps: Grasps, z: ArrayLike, focal: float) -> Crops:
        """Crops and poses of N grasps.

        Args:
            grasps: in pixels of the frame.
            z: (N,) depth of the gripper, metres.
            focal: of the frame, pixels; the opening in metres is width z / focal.
        """
        depth = np.asarray(z, np.float64)
        if depth.shape != (len(grasps),):
            raise InputError(f"z has shape {depth.shape}, expected one for each of {len(grasps)}")
        pose = np.stack([depth, grasps.width * depth / focal], axis=1)
        return Crops(self.images(grasps), pose.astype(np.float32))

    def images(self, grasps: Grasps) -> Floats:
        """(N, 32, 32) depth, metres."""
        found = np.empty((len(grasps), SIZE, SIZE), np.float32)
        pitch = grasps.width * (SPAN / SIZE)  # pixels of the frame a pixel of the crop
        level = np.floor(np.log2(np.maximum(pitch, 1))).astype(int)
        for number in np.unique(level):
            rows = np.flatnonzero(level == number)
            source = self._level(int(number))
            for start in range(0, len(rows), _ROWS // SIZE):
                some = rows[start : start + _ROWS // SIZE]
                u, v = _grid(grasps[some], 0.5 ** int(number))
                found[some] = cv2.remap(
                    source, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
                ).reshape(-1, SIZE, SIZE)
        return found

    def _level(self, number: int) -> Floats:
        while len(self.levels) <= number:
            last = self.levels[-1]
            height, width = last.shape
            even = cv2.copyMakeBorder(last, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
            size = (even.shape[1] // 2, even.shape[0] // 2)
            half = cv2.resize(even, size, interpolation=cv2.INTER_AREA)
            self.levels.append(np.asarray(half, np.float32))
        return self.levels[number]


def _grid(grasps: Grasps, scale: float) -> tuple[Floats, Floats]:
    """(N * 32, 32) u and v of the pixels of each crop in a frame shrunk by ``scale``."""
    steps = (np.arange(SIZE) + 0.5) / SIZE - 0.5
    along, aside = steps[None, None, :], steps[None, :, None]
    side = SPAN * grasps.width[:, None, None]
    cos, sin = (f(grasps.angle)[:, None, None] for f in (np.cos, np.sin))
    u = grasps.u[:, None, None] + side * (cos * along - sin * aside)
    v = grasps.v[:, None, None] + side * (sin * along + cos * aside)
    shape = (-1, SIZE)
    return (
        ((u + 0.5) * scale - 0.5).astype(np.float32).reshape(shape),
        ((v + 0.5) * scale - 0.5).astype(np.float32).reshape(shape),
    )
