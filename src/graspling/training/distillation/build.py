"""From a recipe to the batches and the lesson that it asks for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graspling.datasets.augment import Augmentation
from graspling.datasets.joined import parts_of
from graspling.datasets.sample import Dataset
from graspling.errors import InputError
from graspling.files import check_writable
from graspling.image import Preparation
from graspling.networks.base import GraspNetwork
from graspling.training.batches import Batches
from graspling.training.distillation.lesson import Distillation
from graspling.training.distillation.mixed import MixedBatches
from graspling.training.distillation.pool import Pool, open_pool
from graspling.training.distillation.semi import SemiSupervision
from graspling.training.distillation.teacher import OutputCache, Teacher
from graspling.training.lessons import Lesson
from graspling.training.losses import GraspLoss
from graspling.training.part import kept_apart, preparation_of
from graspling.training.processor import workers
from graspling.training.recipe import Recipe


def make_batches(
    recipe: Recipe,
    dataset: Dataset,
    ids: Sequence[str],
    rest: Sequence[str],
    preparation: Preparation,
    share: tuple[int, int] = (0, 1),
) -> Batches:
    """Batches of the labelled ids, with unlabelled images where the recipe has any.

    Args:
        ids: of the training part whose labels are used.
        rest: of the training part whose labels are not.
        share: (rank, count) of one process of several.

    Raises:
        InputError: several processes for a recipe that knows but one, or images without labels for
            one that cannot use them; or as make_pool.
    """
    if share[1] > 1 and (recipe.semi or recipe.distill):
        raise InputError("distill and semi train in one process; leave out --devices and --nodes")
    distill = recipe.distill
    if distill is not None and not distill.hidden:
        rest = ()
    if recipe.unlabelled and distill is None and recipe.semi is None:
        raise InputError(
            "images without labels are of use to `graspling semi` and `graspling distill` alone"
        )
    images = (dataset, ids, preparation, recipe.augmentation)
    how: dict[str, Any] = {
        "size": recipe.batch,
        "encoding": recipe.encoding,
        "hidden_focal": recipe.hidden_focal,
        "seed": recipe.seed,
        "workers": workers(recipe.workers),
        "steps": recipe.steps,
        "views": distill.views if distill else 0,
    }
    if recipe.semi is None and not (distill is not None and (rest or recipe.unlabelled)):
        return Batches(*images, share=share, **how)
    return MixedBatches(
        *images,
        pool=make_pool(recipe, dataset, rest),
        count=recipe.unlabelled_batch or recipe.batch,
        weak=recipe.semi.weak if recipe.semi else None,
        strong=recipe.semi.strong if recipe.semi else None,
        **how,
    )


def make_pool(recipe: Recipe, dataset: Dataset, rest: Sequence[str]) -> Pool:
    """The images without labels that a recipe learns from.

    Raises:
        InputError: there are none, or as graspling.training.distillation.pool.open_pool.
    """
    preparation = preparation_of(recipe)
    apart = kept_apart(dataset, recipe)
    pool = open_pool(dataset, recipe.data, rest, recipe.unlabelled, preparation, apart)
    if not len(pool):
        raise InputError(
            "no image without labels: give --unlabelled IMAGES, or set fraction below 1 to hide "
            "the labels of the rest"
        )
    return pool


def make_lesson(
    recipe: Recipe,
    network: GraspNetwork,
    average: GraspNetwork | None,
    batches: Batches,
    criterion: GraspLoss,
    precision: str,
) -> Lesson:
    """What the steps of this recipe minimise.

    Raises:
        InputError: as its class.
    """
    if recipe.semi is not None:
        assert average is not None and isinstance(batches, MixedBatches)
        return SemiSupervision(recipe.semi, average, recipe.decoding, criterion, precision)
    if recipe.distill is not None:
        settings = recipe.distill
        teacher = Teacher(settings.teacher, recipe.modality)
        teacher.check(batches.preparation)
        cache = None
        if settings.cache:
            try:
                check_writable(Path(settings.cache) / "maps.npy")
            except InputError as error:
                raise InputError(f"distill: cache: {error}; give --cache another folder") from None
            if not settings.views and recipe.augmentation != Augmentation():
                raise InputError(
                    "distill: a cache needs views above 0, or a recipe without augmentation: "
                    "otherwise the teacher never sees an image twice"
                )
            batches.views = settings.views or 1  # without augmentation all views are one
            how = (batches.preparation, recipe.augmentation, recipe.hidden_focal, recipe.seed)
            sources = [*parts_of(batches.dataset)]
            if isinstance(batches, MixedBatches):
                sources += batches.pool.sources
            # the same words may name another folder elsewhere, or other images by now
            where = [(str(source.root.resolve()), _state(source)) for source in sources]
            told = (recipe.data, recipe.unlabelled, where, precision)
            cache = OutputCache(settings.cache, teacher.digest, (*how, *told))
        return Distillation(settings, network, teacher, criterion, precision, recipe.size, cache)
    return Lesson(criterion, precision)


def _state(dataset: Dataset) -> str:
    """What changes with the images of a data set."""
    if dataset.identity:
        return dataset.identity
    files = {f for i in (*dataset.ids, *dataset.unlabelled_ids) for f in dataset.files(i)}
    stats = [(file.name, file.stat()) for file in sorted(files) if file.exists()]
    told = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    return hashlib.sha256(repr(told).encode()).hexdigest()
