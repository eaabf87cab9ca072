"""The training loop: one function, readable from top to bottom.

`train` is all there is to supervised training. What it writes into its output folder:

- ``recipe.yaml``: the resolved settings,
- ``log.jsonl``: one line an epoch (losses, learning rate, images/s, share of time spent waiting
  for data) and one a validation,
- ``last.safetensors``: the state to resume from, every few minutes and at the end,
- ``best.safetensors``: the weights with the best validation score, with their card,
- ``predictions.png``: a look at what the network says, now and then.
"""

from __future__ import annotations

import copy
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from torch import nn
from tqdm import tqdm

from graspling.datasets import open_dataset
from graspling.datasets.sample import Dataset
from graspling.datasets.splits import Splits, label_fraction
from graspling.errors import GrasplingError, InputError
from graspling.files import write_text
from graspling.image import Preparation
from graspling.networks import build
from graspling.networks.base import GraspNetwork
from graspling.training.batches import Batch, Batches
from graspling.training.checkpoint import initialise, make_card, save_checkpoint, validated
from graspling.training.log import Log
from graspling.training.losses import GraspLoss
from graspling.training.optimise import learning_rate, make_optimiser, update_average
from graspling.training.recipe import Recipe
from graspling.training.state import Progress, load_state, save_state
from graspling.training.validation import picture, validate


@dataclass(frozen=True)
class Part:
    """The ids that a run works on, and where they come from."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    split: Splits | None


def choose_ids(dataset: Dataset, recipe: Recipe) -> Part:
    """Training and validation ids that the recipe asks for."""
    split = dataset.split(recipe.split) if recipe.split not in ("", "all") else None
    train: tuple[str, ...] = dataset.ids
    val: tuple[str, ...] = ()
    if split is not None:
        fold = split.fold(recipe.fold)
        train, val = fold.train, fold.val
    if recipe.fraction < 1:
        train = tuple(label_fraction(train, recipe.fraction, recipe.seed))
    most = recipe.limit or None
    return Part(train[:most], val[:most], split)


def train_step(
    network: GraspNetwork,
    batch: Batch,
    criterion: GraspLoss,
    optimiser: torch.optim.Optimizer,
    precision: str,
) -> dict[str, float]:
    """Forward, backward, update. Returns the losses; raises when they are not finite."""
    device = batch.image.device.type
    with torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bf16"):
        raw = network(batch.image)
    loss, parts = criterion(raw, network.activate(raw), batch.target, batch.inside, batch.ignored)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimiser.step()
    losses = {"loss": loss.item()} | {name: part.item() for name, part in parts.items()}
    if not math.isfinite(losses["loss"]):
        raise GrasplingError(
            "training diverged: the loss is not finite; lower lr or use precision fp32"
        )
    return losses


def train(recipe: Recipe, out: str | Path, *, resume: bool = False) -> Path:
    """Train a network; returns the checkpoint to use.

    Ctrl-C saves the state first; a killed process loses at most ``checkpoint_seconds``. With
    ``resume``, the run goes on and ends with the same weights as one that was never interrupted.

    Raises:
        InputError: the recipe or data cannot be used, or ``out`` holds another run.
    """
    folder = Path(out)
    last, best = folder / "last.safetensors", folder / "best.safetensors"
    if last.exists() and not resume:
        raise InputError(f"{folder} holds a run already; use --resume, or another --out")
    dataset = open_dataset(recipe.data)
    part = choose_ids(dataset, recipe)
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    preparation = Preparation(modality=recipe.modality, size=recipe.size, crop=recipe.crop)
    network = build(recipe.network, recipe.modality)
    if recipe.init:
        initialise(network, recipe.init)
    network.to(device).channels_last()
    average = copy.deepcopy(network).requires_grad_(False) if recipe.ema else None
    judged = average or network
    optimiser = make_optimiser(recipe, network)
    criterion = GraspLoss(recipe.loss)
    batches = Batches(
        dataset,
        part.train,
        preparation,
        recipe.augmentation,
        size=recipe.batch,
        taper=recipe.taper,
        seed=recipe.seed,
    )
    settings = recipe.to_dict()
    progress = Progress()
    if last.exists():
        progress = load_state(last, network, average, optimiser, settings)
    write_text(folder / "recipe.yaml", yaml.safe_dump(settings, sort_keys=False))
    log = Log(folder, progress.step, ended=progress.batch == 0)
    card = make_card(recipe, network, preparation, dataset, part.train, part.split)

    def save() -> None:
        save_state(last, network, average, optimiser, progress, settings)

    steps = recipe.epochs * len(batches)
    bar = tqdm(
        total=steps * recipe.batch,
        initial=progress.step * recipe.batch,
        unit="img",
        # in a file, a line now and then
        mininterval=0.2 if sys.stderr.isatty() else 30,
    )
    saved = began = time.monotonic()
    earlier = progress.seconds
    try:
        while progress.epoch < recipe.epochs:
            network.train()
            waited, started, done = batches.seconds_waited, time.monotonic(), 0
            for batch in batches.epoch(progress.epoch, progress.batch):
                for group in optimiser.param_groups:
                    group["lr"] = learning_rate(recipe, progress.step, steps)
                losses = train_step(
                    network, batch.to(device), criterion, optimiser, recipe.precision
                )
                progress.step += 1
                progress.batch += 1
                done += 1
                if average is not None:
                    update_average(average, network, recipe.ema, progress.step)
                for name, value in losses.items():
                    progress.losses[name] = progress.losses.get(name, 0.0) + value
                bar.update(len(batch.image))
                progress.seconds = earlier + time.monotonic() - began
                if time.monotonic() - saved > recipe.checkpoint_seconds:
                    save()
                    saved = time.monotonic()
            elapsed = max(time.monotonic() - started, 1e-9)
            log.write(
                "epoch",
                epoch=progress.epoch + 1,
                step=progress.step,
                **{k: v / max(progress.batch, 1) for k, v in progress.losses.items()},
                lr=optimiser.param_groups[0]["lr"],
                images_per_second=done * recipe.batch / elapsed,
                waiting_share=(batches.seconds_waited - waited) / elapsed,
                seconds=progress.seconds,
            )
            progress.epoch, progress.batch, progress.losses = progress.epoch + 1, 0, {}
            final = progress.epoch == recipe.epochs
            if part.val and (final or progress.epoch % recipe.validate_every == 0):
                found = validate(
                    judged, dataset, part.val, preparation, recipe.decoding, criterion, recipe.taper
                )
                log.write("validation", step=progress.step, epoch=progress.epoch, **vars(found))
                bar.set_postfix(val=f"{found.accuracy:.3f}", loss=f"{found.loss:.4f}")
                if progress.is_better(found.accuracy, found.loss, found.n):
                    save_checkpoint(best, judged, validated(card, found))
            elif final:
                save_checkpoint(best, judged, card)
            if recipe.picture_every and (final or progress.epoch % recipe.picture_every == 0):
                shown = (part.val or part.train)[:12]
                picture(
                    folder / "predictions.png", judged, dataset, shown, preparation, recipe.decoding
                )
    except KeyboardInterrupt:
        save()
        bar.close()
        tqdm.write(f"stopped at epoch {progress.epoch + 1}; go on with --resume --out {folder}")
        raise
    save()
    bar.close()
    return best
