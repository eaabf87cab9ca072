"""Which objects belong to which part of a data set: pools that share no object.

A frame shows many objects, so a split by objects cannot be made after the fact: with a few dozen
meshes every scene would be tied to every other. It is made when the objects are drawn: a scene
takes all of its objects from one pool.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Sequence

import numpy as np

from graspling.errors import InputError
from graspling.simulation.objects import ObjectModel, ObjectSource, in_subset

POOLS = ("train", "val", "test")
# Of ten scenes, in this order, so that any run of ten has all three.
_DEAL = ("train", "train", "val", "train", "train", "test", "train", "train", "train", "test")
# Of the training objects, those whose number divided by five leaves this modulo eight validate.
_VAL_EVERY, _VAL_REST = 8, 3
_MOST_DRAWS = 10_000


def pool_of_scene(scene: int, part: str) -> str:
    """The pool from which a scene takes its objects: ``part`` itself unless that is "mixed"."""
    return _DEAL[scene % len(_DEAL)] if part == "mixed" else part


def pool_of_procedural(object_id: str) -> str:
    """70 of 100 numbers train, 10 validate, 20 test (those of ``objects.in_subset``)."""
    if in_subset(object_id, "test"):
        return "test"
    number = int(object_id.rsplit("-", 1)[-1])
    return "val" if number // 5 % _VAL_EVERY == _VAL_REST else "train"


def pools_of(object_ids: Sequence[str]) -> dict[str, str]:
    """The same shares of a fixed list of objects: dealt in an order that is random but fixed.

    Raises:
        InputError: too few to fill all pools.
    """
    # by checksum, so that the order of the files says nothing; neighbours may be alike
    ranked = sorted(object_ids, key=lambda name: (zlib.crc32(name.encode()), name))
    found = {name: _DEAL[rank % len(_DEAL)] for rank, name in enumerate(ranked)}
    if set(POOLS) - set(found.values()):
        raise InputError(
            f"{len(ranked)} objects are too few for training, validation and test objects; "
            "expected 6 or more, or use them all with --part all"
        )
    return found


class Pool:
    """The objects of a source that belong to some pools.

    Args:
        source: draws objects.
        pool_of: says of an object id to which pool it belongs.
        wanted: the pools.
    """

    def __init__(
        self, source: ObjectSource, pool_of: Callable[[str], str], wanted: Collection[str]
    ) -> None:
        self.source, self.pool_of, self.wanted = source, pool_of, wanted

    def sample(self, rng: np.random.Generator) -> ObjectModel:
        """Any of its objects."""
        for _ in range(_MOST_DRAWS):
            found = self.source.sample(rng)
            if self.pool_of(found.id) in self.wanted:
                return found
        raise InputError("no object of this pool was found; use --part all")

    def get(self, object_id: str) -> ObjectModel:
        """The object of that id, whether it belongs here or not."""
        return self.source.get(object_id)
