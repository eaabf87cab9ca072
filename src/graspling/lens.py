"""Lens distortion of normalised image coordinates (x / z, y / z), there and back.

Models: "brown_conrady", with OpenCV's 4, 5, 8, 12 or 14 coefficients k1 k2 p1 p2 k3 ... (ROS calls
it plumb_bob or rational_polynomial); and "equidistant", OpenCV's fish-eye with 4.

RealSense's "inverse_brown_conrady" and "modified_brown_conrady" are "brown_conrady" here: whatever
the names say, its library distorts by these coefficients when it projects, with a formula that
differs by hundredths of a pixel for the lenses of its cameras.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.errors import InputError

Floats = NDArray[np.float64]

COUNTS = {
    "brown_conrady": (4, 5, 8, 12, 14),
    "equidistant": (4,),
}
_ALIASES = {
    "": "brown_conrady",
    "plumb_bob": "brown_conrady",
    "rational_polynomial": "brown_conrady",
    "inverse_brown_conrady": "brown_conrady",
    "modified_brown_conrady": "brown_conrady",
    "fisheye": "equidistant",
    "kannala_brandt4": "equidistant",
}
_STEPS = 100
_CLOSE = 1e-5  # of a coordinate that is there again, x / z: hundredths of a pixel


def lens_model(name: str, coefficients: tuple[float, ...]) -> str:
    """The name above for one that ROS or RealSense use.

    Raises:
        InputError: no such model, or another number of coefficients.
    """
    plain = name.rpartition(".")[2].strip().lower().replace(" ", "_").replace("-", "_")
    model = _ALIASES.get(plain, plain)
    if model not in COUNTS:
        raise InputError(
            f"distortion model {name!r} is not known; expected one of {', '.join(COUNTS)}, "
            "plumb_bob, rational_polynomial: or rectify the images"
        )
    if len(coefficients) not in COUNTS[model]:
        numbers = " or ".join(map(str, COUNTS[model]))
        raise InputError(f"distortion: {len(coefficients)} coefficients, {model} has {numbers}")
    return model


def distort(points: Floats, model: str, coefficients: tuple[float, ...]) -> Floats:
    """Straight normalised coordinates (..., 2) to where the lens puts them."""
    flat = np.ascontiguousarray(points, np.float64).reshape(-1, 2)
    if not len(flat):
        return points
    k = np.array(coefficients)
    if model == "equidistant":
        out = cv2.fisheye.distortPoints(flat[:, None], np.eye(3), k)
    else:
        out = _brown(flat, k)
    return np.asarray(out, np.float64).reshape(np.shape(points))


def undistort(points: Floats, model: str, coefficients: tuple[float, ...]) -> Floats:
    """The inverse of :func:`distort`; NaN where there is none, beyond a strong lens's field."""
    flat = np.ascontiguousarray(points, np.float64).reshape(-1, 2)
    if not len(flat):
        return points
    k = np.array(coefficients)
    if model == "equidistant":
        out = cv2.fisheye.undistortPoints(flat[:, None], np.eye(3), k)
    else:
        out = _brown_inverse(flat, k)
    straight = np.array(out, np.float64).reshape(-1, 2)
    off = np.abs(distort(straight, model, coefficients) - flat).max(axis=1)
    straight[~(off < _CLOSE)] = np.nan
    return straight.reshape(np.shape(points))


def _brown(points: Floats, coefficients: Floats) -> Floats:
    cube = np.column_stack([points, np.ones(len(points))])
    still = np.zeros(3)
    out, _ = cv2.projectPoints(cube, still, still, np.eye(3), coefficients)
    return np.asarray(out, np.float64).reshape(-1, 2)


def _brown_inverse(points: Floats, coefficients: Floats) -> Floats:
    """Fixed-point iteration, to 1e-11: OpenCV's own stops after five steps."""
    out = points.copy()
    left = np.arange(len(points))  # at the rim of a strong lens points need, or use up, all steps
    for _ in range(_STEPS):
        away = points[left] - _brown(out[left], coefficients)
        out[left] += away
        left = left[(np.abs(away) > 1e-11).any(axis=1)]  # what is no number never gets nearer
        if not len(left):
            break
    return out
