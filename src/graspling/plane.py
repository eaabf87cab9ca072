"""The plane that most of a depth frame lies on: the table.

In a depth image a plane is linear in the inverse depth (1/z = a u + b v + c), in which the noise of
stereo and pattern sensors is even, so the fit needs no points in space.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.errors import InputError
from graspling.frames import unmasked, valid_depth
from graspling.intrinsics import Intrinsics

Floats = NDArray[np.float64]

_POINTS = 3000  # of the frame that take part in the fit
_DRAWS = 160
_BAND = 0.006  # metres from the plane that count as on it, at the frame's median depth
_LEAST_SHARE = 0.15  # of the points on it, or there is no table
_STEEPEST = np.cos(np.deg2rad(60))


@dataclass(frozen=True)
class Plane:
    """The points with normal . p = offset, camera frame.

    Attributes:
        normal: (3,) unit vector from the table towards the camera (z < 0).
        offset: metres, < 0; its size is the camera's height over the plane.
        noise: standard deviation of the depth around it, metres; 0 when it was not measured.
    """

    normal: tuple[float, float, float]
    offset: float
    noise: float = 0.0

    @classmethod
    def of(cls, plane: ArrayLike) -> Plane:
        """From (nx, ny, nz, offset) with n . p = offset, any length and sign of n.

        Raises:
            InputError: not four finite numbers, or a plane that holds the optical axis or the
                camera itself.
        """
        try:
            values = np.array(plane, dtype=np.float64)
        except (TypeError, ValueError):
            values = np.zeros(0)
        size = float(np.linalg.norm(values[:3])) if values.shape == (4,) else 0.0
        if not np.isfinite(values).all() or not size or not values[3] * values[2] > 0:
            raise InputError(
                f"table: got {plane!r}, expected nx, ny, nz, offset of a plane before the camera: "
                "n . p = offset in metres in the camera frame"
            )
        values = values / size * -np.sign(values[2])
        return cls((float(values[0]), float(values[1]), float(values[2])), float(values[3]))

    @property
    def height(self) -> float:
        """Of the camera over the plane, metres."""
        return -self.offset

    def depth(self, intrinsics: Intrinsics, u: ArrayLike, v: ArrayLike) -> Floats:
        """z of the plane at pixels, metres; infinite where it is not before the camera."""
        nx, ny, nz = self.normal
        x = (np.asarray(u, np.float64) - intrinsics.cx) / intrinsics.fx
        y = (np.asarray(v, np.float64) - intrinsics.cy) / intrinsics.fy
        slope = nx * x + ny * y + nz
        with np.errstate(divide="ignore"):
            return np.asarray(np.where(slope < 0, self.offset / slope, np.inf))


def fit_plane(depth: ArrayLike, intrinsics: Intrinsics) -> Plane | None:
    """The plane on which most of a frame's depth lies, within 60 degrees of facing the camera, or
    None when less than 15 % lies on any.

    Args:
        depth: (H, W) metres, 0 = missing.
    """
    metres = np.asarray(unmasked(depth), dtype=np.float32)
    rng = np.random.default_rng(0)  # the same frame gives the same plane
    step = max(1, int(np.sqrt(metres.size / _POINTS)))
    v, u = np.nonzero(valid_depth(np.ascontiguousarray(metres[::step, ::step])))
    v, u = v * step, u * step
    if len(u) < 50:
        return None
    z = metres[v, u].astype(np.float64)
    x, y = (u - intrinsics.cx) / intrinsics.fx, (v - intrinsics.cy) / intrinsics.fy
    rows, inverse = np.stack([x, y, np.ones_like(x)], axis=1), 1 / z
    band = _BAND / float(np.median(z)) ** 2
    triples = rng.integers(len(z), size=(_DRAWS, 3))
    matrices = rows[triples]
    good = np.abs(np.linalg.det(matrices)) > 1e-6
    if not good.any():
        return None
    planes = np.linalg.solve(matrices[good], inverse[triples][good][..., None])[..., 0]
    # 1/z = a x + b y + c is the plane with the normal -(a, b, c) and the offset -1
    planes = planes[planes[:, 2] > _STEEPEST * np.linalg.norm(planes, axis=1)]
    if not len(planes):
        return None
    votes = planes.astype(np.float32) @ rows.T.astype(np.float32)  # 1/z is about 1, the band 0.01
    votes -= inverse.astype(np.float32)
    near = np.abs(votes, out=votes) < np.float32(band)
    on = near[np.count_nonzero(near, axis=1).argmax()]
    if on.mean() < _LEAST_SHARE:
        return None
    for _ in range(4):
        plane = np.linalg.lstsq(rows[on], inverse[on], rcond=None)[0]
        away = rows @ plane - inverse
        spread = 1.4826 * float(np.median(np.abs(away[on])))
        on = np.abs(away) < min(max(3 * spread, band / 30), band)
        if on.sum() < 20:
            return None
    noise = 1.4826 * float(np.median(np.abs(away[on] * z[on] ** 2)))
    size = float(np.linalg.norm(plane))
    normal = tuple(float(value) for value in -plane / size)
    return Plane((normal[0], normal[1], normal[2]), -1 / size, noise)
