"""Which images a run works on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from graspling.datasets import open_dataset, specs_of
from graspling.datasets.joined import contents_of, parts_of
from graspling.datasets.sample import Dataset
from graspling.datasets.splits import Splits, label_fraction
from graspling.errors import InputError
from graspling.image import Preparation
from graspling.training.batches import check_images
from graspling.training.recipe import Recipe

# Images whose labels are all read before the training: it takes no more than seconds.
_FEW = 2000


@dataclass(frozen=True)
class Part:
    """The ids that a run works on, and where they come from.

    Attributes:
        train: whose labels are used.
        val: to validate on.
        split: where they come from.
        rest: of the training part beyond the recipe's fraction: images whose labels are not used.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    split: Splits | None
    rest: tuple[str, ...] = ()


def choose_ids(dataset: Dataset, recipe: Recipe) -> Part:
    """Training and validation ids that the recipe asks for."""
    split = dataset.split(recipe.split) if recipe.split not in ("", "all") else None
    train: tuple[str, ...] = dataset.ids
    val: tuple[str, ...] = ()
    if split is not None:
        fold = split.fold(recipe.fold)
        train, val = fold.train, fold.val
    most = recipe.limit or None
    train, val = train[:most], val[:most]
    rest: tuple[str, ...] = ()
    if recipe.fraction < 1:
        whole, train = train, tuple(label_fraction(train, recipe.fraction, recipe.seed))
        chosen = set(train)
        rest = tuple(i for i in whole if i not in chosen)
    return Part(train, val, split, rest)


def preparation_of(recipe: Recipe) -> Preparation:
    """How its images are prepared."""
    return Preparation(
        modality=recipe.modality, size=recipe.size, crop=recipe.crop, scale_cue=recipe.scale_cue
    )


def kept_apart(dataset: Dataset, recipe: Recipe) -> set[str]:
    """Objects that training must not see, as :func:`graspling.datasets.joined.contents_of` names
    them: those of the validation and test parts, in a split whose training part shows none of
    them."""
    if recipe.split in ("", "all"):
        return set()
    fold, shown = dataset.split(recipe.split).fold(recipe.fold), contents_of(dataset)
    seen, judged = (
        {name for i in ids for name in shown.get(i, ())}
        for ids in (fold.train, fold.val + fold.test)
    )
    return judged if seen.isdisjoint(judged) else set()


def open_data(recipe: Recipe, folder: Path) -> tuple[Dataset, Part]:
    """The data set and what a recipe takes of it, after a look at the first image of each of the
    data sets that are joined in it.

    Args:
        folder: of the run.

    Raises:
        InputError: they cannot be used, lack an image that the recipe's networks look at, or lie
            in the run's folder.
    """
    dataset = open_dataset(recipe.data)
    if any(folder.resolve() == one.root.resolve() for one in parts_of(dataset)):
        raise InputError(f"--out {folder}: the data lie there; give the run a folder of its own")
    part = choose_ids(dataset, recipe)
    specs = specs_of(recipe.data)
    for number, spec in enumerate(specs):
        own = (i for i in part.train if len(specs) == 1 or i.startswith(f"{number}/"))
        first = next(own, None)
        if first is not None:
            check_images(dataset[first], recipe.modality, f"data {spec}: image {first!r}")
    _look(dataset, part, recipe.data)
    return dataset, part


def _look(dataset: Dataset, part: Part, data: str) -> None:
    """What would end the run in its middle, or make it worthless, and is known at once."""
    gone = [path for i in part.train + part.val for path in dataset.files(i) if not path.is_file()]
    if gone:
        raise InputError(
            f"data {data}: {len(gone)} of its files are missing, such as {gone[0]}; graspling data "
            "check lists all"
        )
    if len(part.train) <= _FEW:  # so that dataset.complaint knows them before the training
        for sample_id in part.train:
            dataset.labels(sample_id)
    if part.train and not any(len(dataset.labels(i).grasps or ()) for i in part.train):
        raise InputError(
            f"data {data}: none of the {len(part.train)} images to train on has a grasp"
            + (f"; {dataset.complaint}" if dataset.complaint else "")
        )
