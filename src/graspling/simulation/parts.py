"""Convex parts and visual meshes: what objects are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.simulation.rotation import matrix, quaternion

Floats = NDArray[np.float64]
Shape = Literal["box", "cylinder", "capsule", "ellipsoid", "mesh"]
_SMOOTH = np.cos(np.deg2rad(35))


@dataclass(frozen=True, eq=False)
class Part:
    """One convex part of an object, metres, in the object's frame.

    Attributes:
        kind: "box", "cylinder", "capsule", "ellipsoid" or "mesh" (a convex hull).
        size: (3,) MuJoCo's half sizes: box x, y, z; cylinder and capsule radius, half length
            along z (a capsule's without its caps), 0; ellipsoid radii; of a mesh half its
            bounding box.
        position: (3,) of its centre.
        quaternion: (4,) wxyz.
        vertices, faces: of a mesh, (V, 3) in the part's frame with the bounding box centred, and
            (F, 3) triangles, counter-clockwise seen from outside.
        group: parts of one group look alike (a hammer's head and its handle do not).
    """

    kind: Shape
    size: tuple[float, float, float]
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    quaternion: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)
    vertices: Floats | None = None
    faces: NDArray[np.int32] | None = None
    group: int = 0

    @property
    def volume(self) -> float:
        """Cubic metres."""
        a, b, c = self.size
        if self.kind == "mesh":
            assert self.vertices is not None and self.faces is not None
            p, q, r = np.moveaxis(self.vertices[self.faces], 1, 0)
            return float(np.einsum("ni,ni->n", p, np.cross(q, r)).sum()) / 6
        return {
            "box": 8 * a * b * c,
            "cylinder": 2 * np.pi * a * a * b,
            "capsule": np.pi * a * a * (2 * b + 4 / 3 * a),
            "ellipsoid": 4 / 3 * np.pi * a * b * c,
        }[self.kind]

    @cached_property
    def triangles(self) -> tuple[Floats, Floats]:
        """Of a mesh: corners (F, 3, 3) in the part's frame, and unit normals at these corners
        (F, 3, 3), smooth across edges of less than 35 degrees."""
        assert self.vertices is not None and self.faces is not None
        corners = self.vertices[self.faces]
        flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        area = np.linalg.norm(flat, axis=1, keepdims=True)
        unit = flat / np.maximum(area, 1e-12)
        normals = np.empty_like(corners)
        for corner in range(3):
            touching = (self.faces[None] == self.faces[:, corner][:, None, None]).any(axis=2)
            alike = touching & (unit @ unit.T > _SMOOTH)
            normals[:, corner] = alike @ flat
        return corners, normals / np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-12)

    def surface(self) -> Floats:
        """(V, 3) points whose convex hull is the part, round ones within 1 % of their radius,
        in the object's frame."""
        size = np.array(self.size)
        if self.kind == "mesh":
            assert self.vertices is not None
            points = self.vertices
        elif self.kind == "box":
            points = _CORNERS * size
        elif self.kind == "cylinder":
            points = _RIMS * size[[0, 0, 1]]
        elif self.kind == "capsule":
            points = _BALL * size[0] + np.sign(_BALL[:, 2:]) * [0, 0, size[1]]
        else:
            points = _BALL * size
        return points @ matrix(self.quaternion).T + self.position

    def reach(self, direction: Floats) -> float:
        """Largest x . direction over the points x of the part, for a unit vector (3,), metres."""
        turn = matrix(self.quaternion)
        d, size = direction @ turn, np.array(self.size)
        if self.kind == "mesh":
            assert self.vertices is not None
            own = (self.vertices @ d).max()
        elif self.kind == "box":
            own = np.abs(d) @ size
        elif self.kind == "cylinder":
            own = size[0] * np.hypot(d[0], d[1]) + size[1] * abs(d[2])
        elif self.kind == "capsule":
            own = size[0] + size[1] * abs(d[2])
        else:
            own = np.linalg.norm(d * size)
        return float(own + direction @ np.array(self.position))

    def scaled(self, factor: float) -> Part:
        """The part in an object that is ``factor`` times as large."""
        a, b, c = (value * factor for value in self.size)
        x, y, z = (value * factor for value in self.position)
        vertices = None if self.vertices is None else self.vertices * factor
        return replace(self, size=(a, b, c), position=(x, y, z), vertices=vertices)

    def moved(self, shift: Sequence[float] | Floats) -> Part:
        """The part shifted by (3,) metres."""
        x, y, z = (float(a + b) for a, b in zip(self.position, shift, strict=True))
        return replace(self, position=(x, y, z))

    def turned(self, rotation: ArrayLike) -> Part:
        """The part turned about the object's origin by (3, 3)."""
        x, y, z = map(float, np.asarray(rotation) @ self.position)
        w, i, j, k = map(float, quaternion(np.asarray(rotation) @ matrix(self.quaternion)))
        return replace(self, position=(x, y, z), quaternion=(w, i, j, k))

    def grouped(self, number: int) -> Part:
        """The part in a group of parts that look alike."""
        return replace(self, group=number)


@dataclass(frozen=True, eq=False)
class VisualMesh:
    """What a camera sees of an object whose parts only approximate it.

    Attributes:
        vertices: (V, 3) metres in the object's frame.
        faces: (F, 3) triangles, counter-clockwise seen from outside.
        uv: (V, 2) texture coordinates with v upwards, or None.
        texture: (H, W, 3) uint8 RGB, or None.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    uv: NDArray[np.float32] | None = None
    texture: NDArray[np.uint8] | None = None


def _ball_points() -> Floats:
    """(V, 3) on the unit sphere, on rings, none on the equator (for the caps of a capsule)."""
    rings = []
    for latitude in np.deg2rad([8, 24, 40, 56, 72]):
        count = max(6, round(22 * np.cos(latitude)))
        turn = 2 * np.pi * np.arange(count) / count
        flat = np.cos(latitude)
        ring = np.stack([flat * np.cos(turn), flat * np.sin(turn)], axis=1)
        rings += [np.column_stack([ring, np.full(count, s * np.sin(latitude))]) for s in (1, -1)]
    return np.concatenate([*rings, [[0, 0, 1], [0, 0, -1]]])


_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
_TURNS = 2 * np.pi * np.arange(24) / 24
_RIMS = np.concatenate(
    [np.stack([np.cos(_TURNS), np.sin(_TURNS), np.full(24, s)], axis=1) for s in (-1.0, 1.0)]
)
_BALL = _ball_points()
