"""The two phases of semi-supervised training: with labels alone, then with all images."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from graspling.errors import InputError
from graspling.training.loop import train
from graspling.training.recipe import Recipe

# Where the supervised phase is written, inside the run's folder.
PRETRAINED = "pretrained"


def semi_supervise(recipe: Recipe, out: str | Path, *, resume: bool = False) -> Path:
    """Supervised training on the labelled share, then the mean teacher (LiteGrasp, III-C).

    The first phase is left out when the recipe has an ``init`` or no ``semi.pretrain``; otherwise
    it is a run of its own in ``out/pretrained``. Both resume.

    Returns:
        The checkpoint to use: the teacher's best weights.

    Raises:
        InputError: as graspling.training.loop.train; or the recipe has no ``semi``.
    """
    if recipe.semi is None:
        raise InputError("the recipe has no part 'semi'; expected its settings")
    folder = Path(out)
    if recipe.semi.pretrain and not recipe.init:
        first = dataclasses.replace(
            recipe, semi=None, unlabelled=(), epochs=recipe.semi.pretrain, unlabelled_batch=0
        )
        start = folder / PRETRAINED
        begun = (start / "last.safetensors").exists()
        if begun and not resume:
            raise InputError(f"{folder} holds a run already; use --resume, or another --out")
        train(first, start, resume=begun)
        recipe = dataclasses.replace(recipe, init=str(start / "best.safetensors"))
    # after a stop in the first phase there is nothing of the second one to go on with
    return train(recipe, folder, resume=resume and (folder / "last.safetensors").exists())
