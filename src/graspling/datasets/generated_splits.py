"""Splits of generated data, whose objects come from pools of which no two share an object.

``object-wise`` follows the pools that the objects were drawn from (train, val and test); data of
one pool are dealt in groups. ``scene-wise`` keeps the views of a scene together. ``last-400`` (or
another number) validates by the last scenes, as many as have 400 frames, and trains on all others
that share no object with them, for data that are judged by another data set.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from graspling.datasets.splits import PARTS, Fold, Splits, object_wise
from graspling.errors import InputError

if TYPE_CHECKING:
    from graspling.datasets.generated import Generated


def split(dataset: Generated, name: str) -> Splits | None:
    """The split of a name, or None where it is none of these.

    Raises:
        InputError: if the data set is too small for it, or its scenes share their objects.
    """
    if name == "scene-wise":
        try:
            folds = object_wise({i: scene_of(i) for i in dataset.ids})
        except InputError as error:
            raise InputError(str(error).replace("object", "scene")) from None
        return Splits("scene-wise", folds.seed, "scene", folds.folds)
    if last := re.fullmatch(r"last-(\d+)", name):
        return _last(dataset, name, int(last[1]))
    return _by_pool(dataset) if name == "object-wise" else None


def scene_of(sample_id: str) -> str:
    """The scene of a frame, which its views share."""
    return sample_id.rpartition("-")[0]


def _last(dataset: Generated, name: str, frames: int) -> Splits:
    """The last scenes for validation, the others to train on."""
    if not 0 < frames < len(dataset.ids):
        raise InputError(f"split {name}: {dataset.name} has {len(dataset.ids)} frames, give fewer")
    first = scene_of(dataset.ids[-frames])
    val = tuple(i for i in dataset.ids if scene_of(i) >= first)
    kept_apart = {dataset.objects[i] for i in val}
    train = tuple(i for i in dataset.ids if dataset.objects[i] not in kept_apart)
    if not train:
        raise InputError(
            f"split {name}: every scene of {dataset.name} shares objects with the last ones, as "
            "those of a few meshes do; use scene-wise"
        )
    return _one_fold(dataset, name, Fold(train, val, ()))


def _by_pool(dataset: Generated) -> Splits | None:
    """The parts as drawn, or None when the data do not have all three."""
    train, val, test = (tuple(i for i in dataset.ids if dataset.pools[i] == part) for part in PARTS)
    if not (train and val and test):
        return None
    return _one_fold(dataset, "object-wise", Fold(train, val, test))


def _one_fold(dataset: Generated, name: str, fold: Fold) -> Splits:
    return Splits(name, dataset.manifest.settings.seed, "object id", (fold,))
