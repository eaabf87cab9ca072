"""Learning on the job: a robot meets new objects and retrains between grasps.

The extra experiment of KufeNet's slides ("An Interesting Experimental Setup"): pre-train on a
quarter of the old domain; then rounds: grasp n new images *before* training on them (that is the
score), then train on 200 seen images drawn at random and the n new ones. A grasp takes 30 s: n is
20 if training took at most 10 minutes, and otherwise the number of images that went by meanwhile,
seconds / 30. A network that trains faster keeps up with the new objects.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graspling.datasets import Dataset, open_dataset
from graspling.datasets.generated import Generated
from graspling.datasets.joined import parts_of
from graspling.datasets.splits import Fold, Splits, label_fraction
from graspling.detector import load
from graspling.errors import InputError
from graspling.evaluation.evaluate import evaluate
from graspling.files import write_text
from graspling.training.log import read_log
from graspling.training.loop import train
from graspling.training.recipe import Recipe

_VALIDATION = 0.1


@dataclass(frozen=True)
class ContinualSettings:
    """The experiment, with the slides' numbers.

    Attributes:
        old: data set of the first domain.
        new: of the second one.
        share: of the old domain that is trained on first.
        images: of the new domain that are met in all.
        batch: new images of a round that was in time.
        replay: seen images in each round's training.
        grasp_seconds: that a grasp takes.
        epochs: of each round's training.
        rate: its learning rate, as share of the recipe's, kept constant.
        hold_out: kinds of generated objects that the old domain must not show; new images show
            at least as many objects of these as of others.
        seed: of the order of the new images and of the replay.
    """

    old: str
    new: str
    share: float = 0.25
    images: int = 97
    batch: int = 20
    replay: int = 200
    grasp_seconds: float = 30.0
    epochs: int = 5
    rate: float = 0.3
    hold_out: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("images", "batch", "replay", "epochs", "grasp_seconds", "rate"):
            if getattr(self, name) <= 0:
                raise InputError(f"continual: {name} is {getattr(self, name)}, expected above 0")
        if not 0 < self.share <= 1:
            raise InputError(f"continual: share is {self.share}, expected more than 0 to 1")


@dataclass(frozen=True)
class Round:
    """One round: ``right`` of ``n`` new images before training, then ``seconds`` of training."""

    n: int
    right: int
    seconds: float


def next_batch(seconds: float, settings: ContinualSettings) -> int:
    """How many new images the next round has, after a training of so many seconds."""
    if seconds <= settings.batch * settings.grasp_seconds:
        return settings.batch
    return math.ceil(seconds / settings.grasp_seconds)


def learn_on_the_job(recipe: Recipe, settings: ContinualSettings, out: Path) -> list[Round]:
    """One network through all rounds. What is finished in ``out`` is not done again.

    Args:
        recipe: of the pre-training; its data and split are replaced.

    Raises:
        InputError: the domains have too few images, or ``out`` holds rounds of other settings.
    """
    both = f"{settings.old} + {settings.new}"
    old, new = open_dataset(settings.old), open_dataset(settings.new)
    for side, spec, dataset in (("old", settings.old, old), ("new", settings.new, new)):
        if len(parts_of(dataset)) > 1:
            raise InputError(
                f"--{side} {spec}: {len(parts_of(dataset))} data sets; expected one for each side"
            )
    seen, waiting = domains(old, new, settings)
    _same_as_before(out / "settings.json", recipe, settings, (old, new))
    rng = np.random.default_rng(settings.seed)
    waiting = [waiting[i] for i in rng.permutation(len(waiting))][: settings.images]
    count = max(round(_VALIDATION * len(seen)), 1)
    _fold(out / "pretrain.json", seen[count:], seen[:count])
    first = dataclasses.replace(
        recipe, data=both, split=str(out / "pretrain.json"), fold=0, limit=0, fraction=1.0
    )
    model = _run(first, out / "pretrain")

    rounds: list[Round] = []
    seen = seen[count:]
    n = settings.batch
    while waiting:
        number = len(rounds) + 1
        fresh, waiting = waiting[:n], waiting[n:]
        folder = out / f"round-{number}"
        draw = np.random.default_rng([settings.seed, number])
        replay = draw.choice(len(seen), min(settings.replay, len(seen)), replace=False)
        written = folder / "round.json"
        if not written.exists():
            result = evaluate(load(model), new, [i.partition("/")[2] for i in fresh])
            _fold(folder / "ids.json", [*(seen[i] for i in replay), *fresh], [])
            step = dataclasses.replace(
                first,
                split=str(folder / "ids.json"),
                init=str(model),
                epochs=settings.epochs,
                steps=0,
                lr=recipe.lr * settings.rate,
                schedule="constant",
                seed=recipe.seed + number,
            )
            _run(step, folder)
            right = sum(result.verdicts.values())
            done = Round(len(fresh), right, _seconds(folder))
            write_text(written, json.dumps(asdict(done)) + "\n")
        rounds.append(Round(**json.loads(written.read_text("utf-8"))))
        model = folder / "best.safetensors"
        seen = seen + fresh
        n = next_batch(rounds[-1].seconds, settings)
    return rounds


def domains(old: Dataset, new: Dataset, settings: ContinualSettings) -> tuple[list[str], list[str]]:
    """Ids of both domains in the joined data set: the old share, and the new images that can be
    judged and are not among them."""
    held = set(settings.hold_out)
    if held:
        known = {k for side in (old, new) for i in side.ids for k in _kinds(side, i)}
        if unknown := [kind for kind in settings.hold_out if kind not in known]:
            raise InputError(
                f"--hold-out {' '.join(unknown)}: neither --old nor --new shows such objects; "
                f"expected some of {', '.join(sorted(known))}"
            )
    first = [i for i in old.ids if not held or not held & set(_kinds(old, i))]
    second = [i for i in new.ids if len(new.labels(i).grasps or ())]
    if held:
        second = [i for i in second if 2 * sum(k in held for k in _kinds(new, i)) >= _size(new, i)]
    fit = " fit --hold-out" if held else ""
    # one to train on and one to validate on, after the share, which is rounded up
    least = max(math.floor(1 / settings.share) + 1, 2)
    if len(first) < least:
        raise InputError(
            f"--old {settings.old}: {len(first)} labelled images{fit}, expected at least {least}, "
            f"since a share of {settings.share:g} is trained on first; give more data"
        )
    chosen = label_fraction(first, settings.share, settings.seed)
    if old.identity == new.identity and (old.identity or old.root.resolve() == new.root.resolve()):
        second = sorted(set(second) - set(chosen))
    if len(second) < settings.images:
        raise InputError(
            f"--new {settings.new}: {len(second)} labelled images{fit}, expected at least "
            f"{settings.images}; give more data or a smaller --images"
        )
    return [f"0/{i}" for i in chosen], [f"1/{i}" for i in second]


def _same_as_before(
    file: Path, recipe: Recipe, settings: ContinualSettings, domains: Sequence[Dataset]
) -> None:
    """Write down what the rounds in this folder depend on, or refuse others."""
    data = [[one.identity, *one.ids] for one in domains]
    now = {
        **{key: list(v) if isinstance(v, tuple) else v for key, v in asdict(settings).items()},
        **{f"recipe {key}": value for key, value in recipe.to_dict().items()},
        "images of both data sets": hashlib.sha256(repr(data).encode()).hexdigest()[:16],
    }
    begun = any(file.parent.rglob("last.safetensors"))  # else there is nothing to be spoilt
    if not file.exists() or not begun:
        write_text(file, json.dumps(now, indent=1) + "\n")
        return
    before = json.loads(file.read_text("utf-8"))
    for key in now:
        if before.get(key) != now[key]:
            raise InputError(
                f"{file.parent} holds rounds with {key} {before.get(key)!r}, now it is "
                f"{now[key]!r}; use the old settings or another --out"
            )


def _kinds(dataset: Dataset, sample_id: str) -> list[str]:
    if not isinstance(dataset, Generated):
        raise InputError(f"continual: {dataset.name} does not know kinds; leave out --hold-out")
    return [name.rsplit("-", 1)[0] for name in dataset.contents[sample_id]]


def _size(dataset: Dataset, sample_id: str) -> int:
    return max(len(_kinds(dataset, sample_id)), 1)


def _fold(path: Path, train_ids: Sequence[str], val_ids: Sequence[str]) -> None:
    """A split file of one fold."""
    Splits("continual", 0, "image id", (Fold(tuple(train_ids), tuple(val_ids), ()),)).save(path)


def _run(recipe: Recipe, folder: Path) -> Path:
    """Train, or go on, or take what is there."""
    begun = (folder / "last.safetensors").exists()
    return train(recipe, folder, resume=begun, go_on="the same command")


def _seconds(folder: Path) -> float:
    """Training time of a run, validation left out as far as the log tells it."""
    rows = [row for row in read_log(folder / "log.jsonl") if row["kind"] == "epoch"]
    return float(rows[-1]["seconds"])


def summary(rounds: Sequence[Round]) -> dict[str, Any]:
    """Totals of one network."""
    return {
        "right": sum(r.right for r in rounds),
        "images": sum(r.n for r in rounds),
        "minutes": sum(r.seconds for r in rounds) / 60,
        "rounds": [asdict(r) for r in rounds],
    }
