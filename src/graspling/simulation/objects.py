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
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from graspling.errors import InputError
from graspling.gripper import Gripper
from graspling.simulation.parts import Part, VisualMesh

__all__ = ["ObjectModel", "ObjectSource", "Part", "ProceduralObjects", "VisualMesh", "procedural"]

Floats = NDArray[np.float64]
Subset = Literal["train", "test", "all"]

NUMBERS = 1_000_000  # objects of each kind that an id can name
REFERENCE_OPENING = 0.080  # metres; the kinds are drawn for a gripper that opens this far
_TEST_EVERY = 5
_DENSITY = (150.0, 900.0)  # kg / m3: between filled foam and plastic with some metal
_MASS = (0.008, 0.6)  # kg; a hand with 40 N and friction 0.6 holds about 2 kg against gravity
_FRICTION = (0.4, 0.8)


@dataclass(frozen=True, eq=False)
class ObjectModel:
    """A rigid object.

    Attributes:
        id: says which object it is, for ever.
        kind: its family ("mug"), or "mesh".
        parts: convex parts, in a frame whose origin is their middle, see :func:`centred`.
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

    def height_below(self, rotation: Floats) -> float:
        """How far the object reaches below its origin when turned by (3, 3), metres, exactly."""
        down = -np.asarray(rotation)[2]
        return max(part.reach(down) for part in self.parts)


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
    """The parts, shifted so that the mean of their positions, by volume, is the origin.

    That is the centre of mass where no part is a mesh. A mesh part's position is the middle of its
    bounding box, so for a wedge or a tube the origin is up to 15 mm off; the engine takes the true
    one. Another origin would change data of an existing seed.
    """
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
