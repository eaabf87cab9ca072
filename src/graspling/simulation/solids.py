"""Words for drawing objects: solids in millimetres, and random sizes.

The kinds in ``kinds_*.py`` speak in full sizes and millimetres, for a gripper that opens 80 mm
(``objects.REFERENCE_OPENING``); each word gives parts in metres with MuJoCo's half sizes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.simulation.parts import Part, Shape
from graspling.simulation.rotation import about, quaternion, towards

Floats = NDArray[np.float64]
Point = Sequence[float] | Floats
_MM = 0.001
_X_AXIS, _Y_AXIS = about("y", np.pi / 2), about("x", -np.pi / 2)
_AXES = {"x": _X_AXIS, "y": _Y_AXIS, "z": np.eye(3)}


class Draw:
    """Random numbers by what they mean.

    Args:
        rng: seeded by the object's id.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def __call__(self, low: float, high: float) -> float:
        """Uniform between two numbers."""
        return float(self.rng.uniform(low, high))

    def whole(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return bool(self.rng.random() < probability)

    def grip(self, low: float = 12, high: float = 66) -> float:
        """A width to take the object by: nine in ten fit an opening of 80 mm, the rest do not."""
        return self(low, high) if self.chance(0.9) else self(82, 115)


def box(x: float, y: float, z: float, at: Point = (0, 0, 0), turn: ArrayLike | None = None) -> Part:
    """Edge lengths."""
    return _part("box", (x / 2, y / 2, z / 2), at, turn)


def cylinder(radius: float, length: float, at: Point = (0, 0, 0), axis: str = "z") -> Part:
    """Along an axis."""
    return _part("cylinder", (radius, length / 2, 0), at, _AXES[axis])


def capsule(radius: float, length: float, at: Point = (0, 0, 0), axis: str = "z") -> Part:
    """Along an axis, ``length`` over all."""
    return _part("capsule", (radius, max(length / 2 - radius, 0.1), 0), at, _AXES[axis])


def ellipsoid(x: float, y: float, z: float, at: Point = (0, 0, 0)) -> Part:
    """Full axes."""
    return _part("ellipsoid", (x / 2, y / 2, z / 2), at, None)


def rod(start: Point, end: Point, radius: float) -> Part:
    """A capsule between the centres of its caps."""
    a, b = np.asarray(start, float), np.asarray(end, float)
    length = float(np.linalg.norm(b - a))
    return _part("capsule", (radius, length / 2, 0), (a + b) / 2, towards(b - a))


def tube(start: Point, end: Point, radius: float) -> Part:
    """A cylinder from one point to another."""
    a, b = np.asarray(start, float), np.asarray(end, float)
    length = float(np.linalg.norm(b - a))
    return _part("cylinder", (radius, length / 2, 0), (a + b) / 2, towards(b - a))


def bar(start: Point, end: Point, width: float, height: float) -> Part:
    """A box from one point to another, both at the same height; ``height`` is along z."""
    a, b = np.asarray(start, float), np.asarray(end, float)
    along = b - a
    turn = about("z", float(np.arctan2(along[1], along[0])))
    length = float(np.linalg.norm(along))
    return _part("box", (length / 2, width / 2, height / 2), (a + b) / 2, turn)


def loft(bottom: ArrayLike, top: ArrayLike, height: float, at: Point = (0, 0, 0)) -> Part:
    """Convex solid between two convex polygons (N, 2), counter-clockwise, N corners each.

    Corner k is joined to corner k; the solid is centred at ``at`` along z.
    """
    low, high = np.asarray(bottom, float), np.asarray(top, float)
    n = len(low)
    points = np.concatenate(
        [
            np.column_stack([low, np.full(n, -height / 2)]),
            np.column_stack([high, np.full(n, height / 2)]),
        ]
    )
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    faces = [(0, k + 1, k) for k in range(1, n - 1)]
    faces += [(n, n + k, n + k + 1) for k in range(1, n - 1)]
    for k in range(n):
        after = (k + 1) % n
        faces += [(k, after, n + after), (k, n + after, n + k)]
    vertices = (points - middle) * _MM
    half = tuple(float(value) for value in np.abs(vertices).max(axis=0))
    x, y, z = (float(value) * _MM for value in np.asarray(at, float) + middle)
    return Part(
        "mesh",
        (half[0], half[1], half[2]),
        (x, y, z),
        vertices=vertices,
        faces=np.array(faces, np.int32),
    )


def prism(polygon: ArrayLike, height: float, at: Point = (0, 0, 0)) -> Part:
    """A convex polygon (N, 2), counter-clockwise, with a height along z."""
    return loft(polygon, polygon, height, at)


def regular(corners: int, radius: float, turn: float = 0.0) -> Floats:
    """(N, 2) corners of a regular polygon on a circle."""
    angle = turn + 2 * np.pi * np.arange(corners) / corners
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def staves(
    outer: float, inner: float, height: float, at: Point = (0, 0, 0), count: int = 14
) -> list[Part]:
    """A round wall of boxes along z, between two radii."""
    parts = []
    middle, wall = (outer + inner) / 2, outer - inner
    for k in range(count):
        angle = 2 * np.pi * k / count
        across = 2 * outer * np.tan(np.pi / count)
        x, y = middle * np.cos(angle), middle * np.sin(angle)
        shift = np.asarray(at, float) + (x, y, 0)
        parts.append(box(wall, across, height, shift, about("z", angle)))
    return parts


def flared(
    low: float, high: float, wall: float, height: float, at: Point = (0, 0, 0), count: int = 14
) -> list[Part]:
    """A wall of boxes whose outer radius goes from ``low`` at the bottom to ``high``."""
    slope = np.arctan2(high - low, height)
    parts = []
    for k in range(count):
        angle = 2 * np.pi * k / count
        across = 2 * max(low, high) * np.tan(np.pi / count)
        middle = (low + high) / 2 - wall / 2
        shift = np.asarray(at, float) + (middle * np.cos(angle), middle * np.sin(angle), 0)
        turn = about("z", angle) @ about("y", slope)
        parts.append(box(wall, across, height / np.cos(slope), shift, turn))
    return parts


def arc(
    radius: float, start: float, end: float, thick: float, count: int, at: Point = (0, 0, 0)
) -> list[Part]:
    """Capsules along a circle in the plane z = 0, angles in radians, radius of its middle line."""
    angle = np.linspace(start, end, count + 1)
    points = np.asarray(at, float) + radius * np.stack(
        [np.cos(angle), np.sin(angle), np.zeros(count + 1)], axis=1
    )
    return [rod(points[k], points[k + 1], thick) for k in range(count)]


def group(number: int, *parts: Part | Sequence[Part]) -> list[Part]:
    """Parts that look alike."""
    flat = [p for entry in parts for p in ([entry] if isinstance(entry, Part) else entry)]
    return [part.grouped(number) for part in flat]


def _part(kind: Shape, size: Point, at: ArrayLike, turn: ArrayLike | None) -> Part:
    a, b, c = (float(value) * _MM for value in size)
    x, y, z = (float(value) * _MM for value in np.asarray(at, float))
    w, i, j, k = (1.0, 0.0, 0.0, 0.0) if turn is None else map(float, quaternion(turn))
    return Part(kind, (a, b, c), (x, y, z), (w, i, j, k))
