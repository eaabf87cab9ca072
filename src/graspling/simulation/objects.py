"""Objects to grasp: convex parts joined, with mass and friction; where they come from.

An object's id is all that it takes to make it again. Of a procedural object it is kind and number,
such as "mug-000123": both together seed its parameters, so the same id is the same object on every
machine, and a data set stores ids instead of meshes. Training and test objects are disjoint
because their numbers are: every fifth number is a test object.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from graspling.errors import InputError
from graspling.gripper import Gripper
from graspling.simulation.rotation import matrix

Floats = NDArray[np.float64]
Shape = Literal["box", "cylinder", "capsule", "ellipsoid", "mesh"]
Subset = Literal["train", "test", "all"]

NUMBERS = 1_000_000  # objects of each kind that an id can name
REFERENCE_OPENING = 0.080  # metres; the kinds are drawn for a gripper that opens this far
_TEST_EVERY = 5
_DENSITY = (150.0, 900.0)  # kg / m3: between filled foam and plastic with some metal
_MASS = (0.008, 0.6)  # kg; a hand with 40 N and friction 0.6 holds about 2 kg against gravity
_FRICTION = (0.4, 0.8)


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

    def scaled(self, factor: float) -> Part:
        """The part in an object that is ``factor`` times as large."""
        a, b, c = (value * factor for value in self.size)
        x, y, z = (value * factor for value in self.position)
        vertices = None if self.vertices is None else self.vertices * factor
        return replace(self, size=(a, b, c), position=(x, y, z), vertices=vertices)

    def moved(self, shift: Sequence[float]) -> Part:
        """The part shifted by (3,) metres."""
        x, y, z = (float(a + b) for a, b in zip(self.position, shift, strict=True))
        return replace(self, position=(x, y, z))


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


@dataclass(frozen=True, eq=False)
class ObjectModel:
    """A rigid object.

    Attributes:
        id: says which object it is, for ever.
        kind: its family ("mug"), or "mesh".
        parts: convex parts, in a frame whose origin is the centre of mass.
        mass: kilograms.
        friction: Coulomb's coefficient against table and other objects.
        visual: a mesh that is seen instead of the parts, or None.
    """

    id: str
    kind: str
    parts: tuple[Part, ...]
    mass: float
    friction: float = 0.6
    visual: VisualMesh | None = None

    @cached_property
    def surface(self) -> Floats:
        """(V, 3) points that span the parts, metres in the object's frame."""
        return np.concatenate([part.surface() for part in self.parts])

    @cached_property
    def radius(self) -> float:
        """Of a sphere about the origin that holds the object, metres."""
        return float(np.linalg.norm(self.surface, axis=1).max()) * 1.01


class ObjectSource(Protocol):
    """Where scenes take their objects from."""

    def sample(self, rng: np.random.Generator) -> ObjectModel:
        """Any of its objects."""
        ...

    def get(self, object_id: str) -> ObjectModel:
        """The object of that id; InputError when there is none."""
        ...


def procedural(object_id: str, gripper: Gripper) -> ObjectModel:
    """The procedural object of an id, sized for a gripper: most can be taken, some cannot.

    Args:
        object_id: kind and number, such as "mug-000123".

    Raises:
        InputError: no such kind, or no number.
    """
    return _procedural(object_id, gripper.opening)


@lru_cache(maxsize=512)
def _procedural(object_id: str, opening: float) -> ObjectModel:
    from graspling.simulation.kinds import KINDS, Draw

    kind, number = _parse(object_id, KINDS)
    rng = np.random.default_rng([zlib.crc32(kind.encode()), number])
    parts = centred([part.scaled(opening / REFERENCE_OPENING) for part in KINDS[kind](Draw(rng))])
    density = float(np.exp(rng.uniform(*np.log(_DENSITY))))
    mass = float(np.clip(density * sum(part.volume for part in parts), *_MASS))
    return ObjectModel(object_id, kind, parts, mass, float(rng.uniform(*_FRICTION)))


def _parse(object_id: str, kinds: dict[str, Callable[..., Any]]) -> tuple[str, int]:
    match = re.fullmatch(r"([a-z_]+)-(\d{6})", object_id)
    if match is None or match[1] not in kinds:
        raise InputError(
            f"object {object_id!r}: expected a kind and six digits, such as mug-000123; "
            f"the kinds are {', '.join(kinds)}"
        )
    return match[1], int(match[2])


def centred(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts, shifted so that their common centre of mass is the origin."""
    volumes = np.array([part.volume for part in parts])
    centre = volumes @ np.array([part.position for part in parts]) / volumes.sum()
    return tuple(part.moved(-centre) for part in parts)


def in_subset(object_id: str, part: Subset) -> bool:
    """Whether a procedural object belongs to the training, test or all objects, by its number."""
    test = int(object_id.rsplit("-", 1)[-1]) % _TEST_EVERY == _TEST_EVERY - 1
    return part == "all" or (part == "test") == test


class ProceduralObjects:
    """Unlimited objects of the kinds in ``kinds.py``.

    Args:
        gripper: they are sized for its opening.
        part: "train", "test" (disjoint from it) or "all".
        kinds: those to take, by default all of them alike.

    Raises:
        InputError: no such part or kind.
    """

    def __init__(
        self, gripper: Gripper, part: Subset = "all", kinds: Sequence[str] | None = None
    ) -> None:
        from graspling.simulation.kinds import KINDS

        unknown = [kind for kind in kinds or () if kind not in KINDS]
        if unknown:
            raise InputError(f"no kind of object {unknown[0]!r}; expected {', '.join(KINDS)}")
        if part not in ("train", "test", "all"):
            raise InputError(f"part {part!r}: expected train, test or all")
        self.gripper, self.part = gripper, part
        self.kinds = tuple(kinds or KINDS)

    def sample(self, rng: np.random.Generator) -> ObjectModel:
        """A random kind, a random number."""
        kind = self.kinds[rng.integers(len(self.kinds))]
        while True:
            object_id = f"{kind}-{rng.integers(NUMBERS):06d}"
            if in_subset(object_id, self.part):
                return self.get(object_id)

    def get(self, object_id: str) -> ObjectModel:
        """The object of that id, of whichever part."""
        return procedural(object_id, self.gripper)


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
