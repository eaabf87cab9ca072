"""`graspling distill` and `graspling semi`: learning from a teacher and from unlabelled images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graspling.cli.lab import needs_lab
from graspling.cli.output import say
from graspling.cli.parse import File, Folder, Number, Text, Texts
from graspling.cli.train import Training, recipe_changes, recipe_of, shortened
from graspling.errors import InputError

if TYPE_CHECKING:
    from graspling.training.recipe import Recipe


@dataclass(frozen=True)
class Semi(Training):
    """Train with images without labels beside those with labels."""

    unlabelled: Texts = ()
    """Images without labels: folders of frames or data sets KIND:FOLDER."""
    fraction: Number = None
    """Share of the training part whose labels are used."""


@dataclass(frozen=True)
class Distill(Semi):
    """Train a student by a teacher. A recipe holds every setting; options replace some of them."""

    teacher: File = ""
    """Checkpoint (.safetensors) or name of a shipped model."""
    student: Text = ""
    """Network to train, as graspling models lists them; by default the recipe's."""
    alpha: Number = None
    """Share of the distillation in the loss, 0 to 1."""
    cache: Folder = ""
    """Folder to keep the teacher's outputs in; for recipes with views or without augmentation."""


def distill(options: Distill) -> None:
    """Resolve the recipe and distil."""
    with needs_lab():
        from graspling.training.loop import train as run
    recipe, out = _resolve(options, "distill")
    say(f"written: {run(recipe, out, resume=options.resume)}")


def semi(options: Semi) -> None:
    """Resolve the recipe and train."""
    with needs_lab():
        from graspling.training.distillation.phases import semi_supervise
    recipe, out = _resolve(options, "semi")
    say(f"written: {semi_supervise(recipe, out, resume=options.resume)}")


def _resolve(options: Semi, kind: str) -> tuple[Recipe, Path]:
    """The recipe with the options in it, and the folder of the run."""
    from graspling.training.recipe import TAUGHT, load_recipe, recipe_names

    source, out = recipe_of(options)
    is_file = Path(source).suffix in (".yaml", ".yml")
    if not is_file and source not in recipe_names() + recipe_names(TAUGHT):
        fitting = [name for name in recipe_names(TAUGHT) if name.startswith(kind)]
        question = f"no recipe {source!r}; " if source else "which recipe? "
        raise InputError(f"{question}choose one of {', '.join(fitting)} or a .yaml file")
    settings = load_recipe(source).to_dict()
    if settings[kind] is None:
        other = next((k for k in ("distill", "semi") if settings[k] is not None), "train")
        raise InputError(f"the recipe {source} has no part {kind!r}; use graspling {other}")
    changes = recipe_changes(options, settings)
    if options.unlabelled:
        changes["unlabelled"] = list(options.unlabelled)
    if options.fraction is not None:
        changes["fraction"] = options.fraction
    if isinstance(options, Distill):
        if options.student:
            changes["network"] = options.student
        given = {"teacher": options.teacher, "alpha": options.alpha, "cache": options.cache}
        inner: Any = changes.get("distill", settings["distill"])
        if not isinstance(inner, dict):
            raise InputError(f"distill is {inner!r}, expected its settings, such as distill.alpha")
        changes["distill"] = inner | {k: v for k, v in given.items() if v not in ("", None)}
    recipe = load_recipe(source, **changes)
    if not recipe.data:
        raise InputError("which data? give --data KIND:FOLDER, for example cornell:FOLDER")
    return shortened(options, recipe) if options.quick else recipe, out
