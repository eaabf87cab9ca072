"""`graspling train`: a recipe, a data set, a folder for what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graspling.camera_files import parse_yaml
from graspling.cli.lab import needs_lab
from graspling.cli.output import say, warn
from graspling.cli.parse import Data, Folder, Integer, NameWord, Text, Texts
from graspling.errors import InputError


@dataclass(frozen=True)
class Training:
    """What every kind of training can be told."""

    recipe: NameWord = ""
    """Name of a recipe of the package or a .yaml file; with --resume and no file the run's own."""
    data: Data = ""
    """The data set, for example cornell:FOLDER."""
    out: Folder = ""
    """Folder for the run; by default runs/RECIPE."""
    init: Text = ""
    """Fine-tune: a shipped model or a checkpoint to start from."""
    resume: bool = False
    """Go on with the run in --out."""
    split: Text = ""
    """Split of the data set, name or JSON file."""
    fold: Integer = None
    """Fold of the split."""
    epochs: Integer = None
    """Passes over the data."""
    seed: Integer = None
    """Of everything random."""
    quick: bool = False
    """Two epochs of a few small images, to see that everything works."""
    set: Texts = ()
    """Other settings, name=value; a dot goes deeper: lr=0.001 augmentation.rotation_deg=90."""


@dataclass(frozen=True)
class Train(Training):
    """Train a network. A recipe holds every setting; options here replace some of them."""

    devices: int = 1
    """GPUs of each machine (on the CPU: processes); they share each batch."""
    nodes: int = 1
    """Machines; start the same command on each, see docs/cli.md."""


def train(options: Train) -> None:
    """Resolve the recipe and train."""
    with needs_lab():
        from graspling.training.loop import train as run
        from graspling.training.processes import first
        from graspling.training.recipe import TAUGHT, load_recipe, recipe_names
        from graspling.training.robust.tasks import task_names, task_settings
    source, out = recipe_of(options)
    if options.resume and not source:
        raise InputError("--resume: which run? give --out FOLDER")
    own = [*recipe_names(), *task_names()]
    named = Path(source).suffix in (".yaml", ".yml") or source in [*own, *recipe_names(TAUGHT)]
    if not named:
        question = f"no recipe {source!r}; " if source else "which recipe? "
        raise InputError(f"{question}choose one of {', '.join(own)} or a .yaml file")
    settings = task_settings(source)
    if settings is not None:
        _train_task(options, source, settings, out)
        return
    recipe = load_recipe(source, **recipe_changes(options, load_recipe(source).to_dict()))
    if recipe.distill or recipe.semi:
        verb = "distill" if recipe.distill else "semi"
        raise InputError(f"the recipe {source} needs more than labels; use graspling {verb}")
    if not recipe.data:
        raise InputError("which data? give --data KIND:FOLDER, for example cornell:FOLDER")
    best = run(
        shortened(options, recipe) if options.quick else recipe,
        out,
        resume=options.resume,
        devices=options.devices,
        nodes=options.nodes,
    )
    if first():
        say(f"written: {best}")


def _train_task(options: Train, source: str, settings: dict[str, Any], out: Path) -> None:
    """A critic, or a network that says one grasp."""
    from graspling.training.robust.loop import run
    from graspling.training.robust.tasks import make_task, task_recipe

    where = f"recipe {source}"
    full = task_recipe(settings, where).to_dict()
    recipe = task_recipe({**settings, **recipe_changes(options, full)}, where)
    if not recipe.data:
        raise InputError(f"which data? {recipe.data_wanted}")
    if (options.devices, options.nodes) != (1, 1):
        raise InputError(f"recipe {source}: runs in one process; leave out --devices and --nodes")
    task = make_task(shortened(options, recipe) if options.quick else recipe)
    say(f"written: {run(task, out, resume=options.resume)}")


def shortened(options: Training, recipe: Any) -> Any:
    """The run of a few small images, and a line where it is not what was asked for."""
    quick = recipe.quick()
    before, now = recipe.to_dict(), quick.to_dict()
    replaced([name for name in recipe_changes(options, before) if before[name] != now[name]])
    return quick


def replaced(asked: list[str]) -> None:
    """Say which settings that were asked for --quick does not heed."""
    if asked:
        warn(f"--quick has its own {', '.join(asked)}, yours do not count")


def recipe_of(options: Training) -> tuple[str, Path]:
    """Name or file of the recipe, empty if none is named, and the folder of the run. A run that
    goes on has its own recipe, unless a file was given."""
    source = options.recipe
    out = Path(options.out or Path("runs") / Path(source).stem)
    if options.resume and (source or options.out):
        own = out / "recipe.yaml"
        if not own.exists():
            raise InputError(f"there is no run in {out} to go on with")
        if Path(source).suffix not in (".yaml", ".yml"):
            _check_same(source, own)
            source = str(own)
    return source, out


def _check_same(name: str, own: Path) -> None:
    """Refuse a recipe's name beside a run that does something else: the run goes on by its own."""
    from graspling.training.recipe import TAUGHT, read_settings, recipe_names

    if name not in recipe_names() + recipe_names(TAUGHT):
        return  # none, or a task's, or a name that is refused elsewhere
    asked, begun = read_settings(name), read_settings(own)
    terms, known = (((s.get("distill") or {}).get("terms") or {}) for s in (asked, begun))
    if terms and known:  # any student may learn by these
        told = f"learns by {', '.join(known)}, the recipe {name} by {', '.join(terms)}"
        same = terms.keys() <= known.keys()
    else:
        told = f"trains {begun.get('network')}, the recipe {name} is of {asked['network']}"
        same = terms or asked["network"] == begun.get("network")
    if not same:
        raise InputError(
            f"the run in {own.parent} {told}; leave the recipe out to go on with the run, or give "
            "another --out"
        )


def recipe_changes(options: Training, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of the recipe that the options replace, nested as in the recipe."""
    names = ("data", "init", "split", "fold", "epochs", "seed")
    changes = {name: getattr(options, name) for name in names}
    changes = {name: value for name, value in changes.items() if value not in ("", None)}
    for assignment in options.set:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise InputError(f"--set {assignment!r}: expected name=value")
        *groups, name = path.split(".")
        place, known = changes, settings
        for depth, group in enumerate(groups):
            inner = place.get(group, known.get(group))
            if inner is None and group in known:
                whole = ".".join(groups[: depth + 1])
                raise InputError(
                    f"--set {assignment!r}: {whole!r} is not set in this recipe; set it as a "
                    f"whole: --set '{whole}={{{name}: {text}}}'"
                )
            if not isinstance(inner, dict):
                groups_here = [k for k, v in known.items() if isinstance(v, dict)]
                within = f"those of {groups[depth - 1]!r}" if depth else "groups"
                there = f"; {within} are {', '.join(groups_here)}" if groups_here else ""
                if groups[:depth] == ["distill", "terms"]:
                    whole = f"{'.'.join(groups[: depth + 1])}={{compare: outputs, {name}: {text}}}"
                    there += f"; a new one is set as a whole: --set '{whole}'"
                raise InputError(f"--set {assignment!r}: {group!r} is no group of settings{there}")
            place[group] = dict(inner)
            place, known = place[group], inner
        place[name] = parse_yaml(text, f"--set {assignment!r}: not YAML") if text else ""
    return changes
