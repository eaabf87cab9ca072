"""The two phases of semi-supervised training: with labels alone, then with all images."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import yaml
from tqdm import tqdm

from graspling.errors import InputError
from graspling.files import write_text
from graspling.training.distillation.build import make_pool
from graspling.training.distillation.settings import SemiSettings
from graspling.training.log import read_log
from graspling.training.loop import train
from graspling.training.part import open_data
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
    semi = recipe.semi
    if semi is None:
        raise InputError("the recipe has no part 'semi'; expected its settings")
    folder = Path(out)
    last = folder / "last.safetensors"
    # gone on with by its folder alone, the second phase names what the first one left there
    begun = (folder / PRETRAINED / "last.safetensors").exists()
    named = Path(recipe.init).parts[-2:] == (PRETRAINED, "best.safetensors")
    if semi.pretrain and (not recipe.init or (named and begun and last.exists())):
        epochs = semi.pretrain
        first = dataclasses.replace(
            recipe, semi=None, unlabelled=(), unlabelled_batch=0, init="", epochs=epochs
        )
        start = folder / PRETRAINED
        if (begun or last.exists()) and not resume:
            raise InputError(f"{folder} holds a run already; use --resume, or another --out")
        # what only the second phase needs is looked at before the first one takes its hours
        dataset, part = open_data(recipe, folder)
        make_pool(recipe, dataset, part.rest)
        if not last.exists():
            # the run can be gone on with by its folder alone from now on
            settings = yaml.safe_dump(recipe.to_dict(), sort_keys=False)
            write_text(folder / "recipe.yaml", settings)
        train(first, start, resume=begun, go_on=f"--resume --out {folder}")
        recipe = dataclasses.replace(recipe, init=str(start / "best.safetensors"))
    # after a stop in the first phase there is nothing of the second one to go on with
    best = train(recipe, folder, resume=resume and last.exists())
    _warn_if_unused(folder, semi)
    return best


def _warn_if_unused(folder: Path, semi: SemiSettings) -> None:
    """A run that accepted no pseudo-label is a supervised one, and nothing else shows it."""
    epochs = [record for record in read_log(folder / "log.jsonl") if record["kind"] == "epoch"]
    # at 1 none is asked for: labels alone, in the same two phases
    if semi.confidence < 1 and not any(epoch.get("accepted") for epoch in epochs):
        tqdm.write(
            "graspling: warning: no pseudo-label was accepted, so the images without labels taught "
            f"nothing; lower semi.confidence ({semi.confidence:g}) or train longer before "
            f"(semi.pretrain, {semi.pretrain} epochs)",
            file=sys.stderr,
        )
