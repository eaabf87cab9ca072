"""`graspling continual`: networks that learn new objects between grasps, compared."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graspling.cli.lab import needs_lab
from graspling.cli.output import refuse_overlap, say, table, write_json
from graspling.cli.parse import Data, Folder, Integer, Json, Text, Texts
from graspling.cli.train import replaced
from graspling.curves import chart
from graspling.errors import InputError
from graspling.pictures import write_picture


@dataclass(frozen=True)
class Continual:
    """Pre-train on an old domain; then grasp new images, train on them, and so on."""

    old: Data = ""
    """The old domain, for example generated:FOLDER,scene=single."""
    new: Data = ""
    """The new domain, for example generated:FOLDER,scene=cluttered."""
    networks: Texts = ("kufenet_15k", "grconvnet_c32", "ggcnn")
    """Networks to compare."""
    recipe: Text = "grconvnet_c16"
    """Recipe of the training; its network and data are replaced."""
    modality: Text = "rgbd"
    """rgb, depth or rgbd."""
    size: Integer = None
    """Side of the input, pixels."""
    images: int = 97
    """New images that are met in all."""
    epochs: int = 5
    """Epochs of each round's training."""
    pretrain: Integer = None
    """Epochs of the pre-training; by default the recipe's."""
    hold_out: Texts = ()
    """Kinds of generated objects that only the new domain shows."""
    threads: Integer = None
    """Processor threads."""
    out: Folder = "runs/continual"
    """Folder of the runs, with continual.png; what is finished there is not done again."""
    seed: int = 0
    """Of everything random."""
    quick: bool = False
    """A few small images, to see that everything works."""
    json: Json = ""


def continual(options: Continual) -> None:
    """Run all networks, print the table, draw the plot."""
    with needs_lab():
        from torch import device

        from graspling.networks import build
        from graspling.training.distillation.continual import (
            ContinualSettings,
            learn_on_the_job,
            summary,
        )
        from graspling.training.losses import check_loss
        from graspling.training.recipe import load_recipe
    if not options.old or not options.new:
        raise InputError("which data? give --old KIND:FOLDER and --new KIND:FOLDER")
    refuse_overlap([options.json], [], f"{options.old} + {options.new}")
    changes: dict[str, Any] = {"seed": options.seed, "picture_every": 0}
    given = {"modality": options.modality, "size": options.size, "epochs": options.pretrain}
    given["threads"] = options.threads
    changes |= {name: value for name, value in given.items() if value not in ("", None)}
    settings = ContinualSettings(
        old=options.old,
        new=options.new,
        images=options.images,
        epochs=options.epochs,
        hold_out=options.hold_out,
        seed=options.seed,
    )
    if options.quick:
        # steps: as quick on many images as on few
        changes |= {"size": 96, "epochs": 1, "batch": 4, "steps": 8}
        few = min(options.images, 6)
        settings = dataclasses.replace(settings, images=few, batch=3, replay=4, epochs=1)
        own = {"size": 96, "pretrain": 1, "images": few, "epochs": 1}
        usual = (getattr(Continual, name) for name in own)
        both = zip(own.items(), usual, strict=True)
        replaced([n for (n, v), default in both if getattr(options, n) not in (v, default)])
    recipes = {n: load_recipe(options.recipe, **changes, network=n) for n in options.networks}
    for network, recipe in recipes.items():
        with device("meta"):  # refused now, and not when the others are through
            check_loss(recipe.loss, network, build(network, recipe.modality, **recipe.variant))
    found: dict[str, dict[str, Any]] = {}
    for network, recipe in recipes.items():
        found[network] = summary(learn_on_the_job(recipe, settings, Path(options.out) / network))
    rows = [
        [name, f"{row['right']}/{row['images']}", len(row["rounds"]), row["minutes"]]
        for name, row in found.items()
    ]
    say(
        table(["network", "right before training", "rounds", "minutes of training"], rows),
        json_target=options.json,
    )
    picture = Path(options.out) / "continual.png"
    curves = {name: _course(row["rounds"]) for name, row in found.items()}
    drawn = chart(curves, x="new images met", y="right", title="grasped before training on them")
    write_picture(picture, drawn)
    say(f"written: {picture}", json_target=options.json)
    write_json(found, options.json)


def _course(rounds: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """How many were right after how many images."""
    points = [(0.0, 0.0)]
    for row in rounds:
        points.append((points[-1][0] + row["n"], points[-1][1] + row["right"]))
    return points
