"""The training loop: one function, readable from top to bottom.

`train` is all there is to training; what a step minimises is a lesson (graspling.training.lessons):
the labels alone, a teacher beside them, or images without labels. What it writes into its output
folder:

- ``recipe.yaml``: the resolved settings,
- ``log.jsonl``: one line an epoch (losses, learning rate, images/s, share of time spent waiting
  for data) and one a validation,
- ``last.safetensors``: the state to resume from, every few minutes and at the end,
- ``best.safetensors``: the weights with the best validation score, with their card,
- ``predictions.png``: a look at what the network says, now and then.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch
import yaml
from torch import Tensor, nn
from tqdm import tqdm

from graspling.errors import GrasplingError, InputError
from graspling.files import write_text
from graspling.networks import build
from graspling.networks.base import GraspNetwork
from graspling.training.batches import Batch, Batches
from graspling.training.checkpoint import initialise, make_card, save_checkpoint, validated
from graspling.training.distillation.build import make_batches, make_lesson
from graspling.training.lessons import Lesson
from graspling.training.log import Log
from graspling.training.losses import GraspLoss, check_loss
from graspling.training.optimise import (
    average_decay,
    learning_rate,
    make_optimiser,
    resolve_precision,
    update_average,
)
from graspling.training.pace import Pace
from graspling.training.part import Part, open_data, preparation_of
from graspling.training.processes import start
from graspling.training.processor import use_processor
from graspling.training.recipe import Recipe
from graspling.training.state import Progress, load_state, precision_of, save_state
from graspling.training.validation import picture, validate


def train_step(
    network: GraspNetwork,
    batch: Batch,
    lesson: Lesson,
    optimiser: torch.optim.Optimizer,
    mean: Callable[[Tensor], Tensor] = lambda values: values,
    clip: float = Recipe.clip,
) -> dict[str, float]:
    """Forward, backward, update. Returns the losses, their ``mean`` over the processes; raises
    when they are not finite. ``clip``: see Recipe."""
    loss, parts = lesson(network, batch)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    if clip:
        nn.utils.clip_grad_norm_([*network.parameters(), *lesson.extra.parameters()], clip)
    optimiser.step()
    values = mean(torch.stack([loss.detach(), *(part.detach() for part in parts.values())]))
    losses = dict(zip(["loss", *parts], values.tolist(), strict=True))
    if not math.isfinite(losses["loss"]):
        raise GrasplingError(
            "training diverged: the loss is not finite; lower lr or use precision fp32"
        )
    return losses


def train(
    recipe: Recipe,
    out: str | Path,
    *,
    resume: bool = False,
    devices: int = 1,
    nodes: int = 1,
    go_on: str = "",
) -> Path:
    """Train a network; returns the checkpoint to use.

    Ctrl-C saves the state after the step or validation under way; a second one, or a kill, loses
    at most ``checkpoint_seconds``. With ``resume``, the run goes on and ends with the same weights
    as one that was never interrupted.
    ``devices`` and ``nodes`` divide the work, not the result (see graspling.training.processes);
    the first process writes, and ``out`` must be seen by all. ``go_on`` says after Ctrl-C what
    makes a run go on that is part of another one; by default ``--resume --out OUT``.

    Raises:
        InputError: the recipe or data cannot be used, or ``out`` holds another run.
    """
    folder = Path(out)
    last, best = folder / "last.safetensors", folder / "best.safetensors"
    if last.exists() and not resume:
        raise InputError(f"{folder} holds a run already; use --resume, or another --out")
    dataset, part = open_data(recipe, folder)
    torch.manual_seed(recipe.seed)
    preparation = preparation_of(recipe)
    network = build(recipe.network, recipe.modality, **recipe.variant)
    network.check_size(recipe.size, recipe.size)  # the first step would, when the run has a folder
    check_loss(recipe.loss, recipe.network, network)
    before = [initialise(network, recipe.init)] if recipe.init else []
    team = start(devices, nodes, min(recipe.batch, max(len(part.train), 1)))
    use_processor(recipe.threads)
    precision = precision_of(last) or resolve_precision(recipe.precision, team.device)
    precision = "bf16" if team.any(precision == "bf16") else "fp32"
    network.to(team.device).channels_last()
    average = copy.deepcopy(network).requires_grad_(False) if recipe.ema else None
    judged = average or network
    criterion = GraspLoss(recipe.loss, team.mean)
    batches = make_batches(
        recipe, dataset, part.train, part.rest, preparation, (team.rank, team.count)
    )
    lesson = make_lesson(recipe, network, average, batches, criterion, precision)
    # what learns and is saved; adapters only where there are any
    adapters = any(True for _ in lesson.extra.parameters())
    learner = nn.ModuleList([network, lesson.extra]) if adapters else network
    steps = recipe.epochs * len(batches)
    optimiser = make_optimiser(recipe, learner, steps)
    settings = recipe.to_dict()
    progress = Progress(precision=precision)
    if last.exists():
        progress = load_state(last, learner, average, optimiser, lesson.told_apart(settings))
    trained = cast(GraspNetwork, team.wrap(network))
    complaint = dataset.complaint
    if team.first:
        tqdm.write(_images(recipe, part, batches), file=sys.stderr)
        for doubt in filter(None, (complaint, lesson.doubt)):
            tqdm.write(f"graspling: warning: {doubt}", file=sys.stderr)
        write_text(folder / "recipe.yaml", yaml.safe_dump(settings, sort_keys=False))
        log = Log(folder, progress.step, ended=progress.batch == 0)
        card = make_card(recipe, network, preparation, dataset, part.train, part.split)
        # by its run, or the models of two runs could not be told apart, nor from a shipped one
        card = dataclasses.replace(
            lesson.describe(card),
            name=f"{card.name}-{folder.resolve().name}",
            trained_on=card.trained_on.after(*before, *lesson.before, *batches.seen_unlabelled),
        )

    def save() -> None:
        if team.first:
            told = lesson.told_apart(settings)
            save_state(last, learner, average, optimiser, progress, told)

    def judge(final: bool) -> None:
        """Validate and keep the weights, where it is time to, and draw what they say."""
        if part.val and (final or progress.epoch % recipe.validate_every == 0):
            found = validate(
                judged,
                dataset,
                part.val,
                preparation,
                recipe.decoding,
                GraspLoss(recipe.loss),  # this process judges alone
                recipe.encoding,
            )
            log.write("validation", step=progress.step, epoch=progress.epoch, **vars(found))
            pace.show(val=f"{found.accuracy:.3f}", loss=f"{found.loss:.4f}")
            if progress.is_better(found.accuracy, found.loss, found.n):
                save_checkpoint(best, judged, validated(card, found))
        elif final:
            save_checkpoint(best, judged, card)
        if recipe.picture_every and (final or progress.epoch % recipe.picture_every == 0):
            shown = (part.val or part.train)[:12]
            drawn = folder / "predictions.png"
            picture(drawn, judged, dataset, shown, preparation, recipe.decoding)
            lesson.draw(folder, judged, dataset, shown, preparation)

    pace = Pace(
        progress,
        folder,
        epochs=recipe.epochs,
        steps=steps,
        images=min(recipe.batch, len(part.train)),
        save=save,
        every=recipe.checkpoint_seconds,
        anyone=team.any,
        first=team.first,
        go_on=go_on,
    )
    with pace:
        while progress.epoch < recipe.epochs:
            network.train()
            waited = batches.seconds_waited
            pace.epoch()
            for batch in batches.epoch(progress.epoch, progress.batch):
                for group in optimiser.param_groups:
                    group["lr"] = learning_rate(recipe, progress.step, steps)
                team.seed(recipe.seed, progress.step)
                losses = train_step(
                    trained, batch.to(team.device), lesson, optimiser, team.mean, recipe.clip
                )
                progress.step_done(losses)
                if average is not None:
                    update_average(average, network, average_decay(recipe, progress.step))
                pace.step()
            if team.first:
                log.write(
                    "epoch",
                    epoch=progress.epoch + 1,
                    step=progress.step,
                    **lesson.summary(progress.means()),
                    lr=optimiser.param_groups[0]["lr"],
                    precision=precision,
                    images_per_second=pace.images_per_second,
                    waiting_share=(batches.seconds_waited - waited) / pace.elapsed,
                    seconds=progress.seconds,
                )
            progress.epoch_done()
            if team.first:
                judge(final=progress.epoch == recipe.epochs)
            pace.check()
    if team.first and dataset.complaint != complaint:
        tqdm.write(f"graspling: warning: {dataset.complaint}", file=sys.stderr)
    team.finish()
    return best


def _images(recipe: Recipe, part: Part, batches: Batches) -> str:
    """What a run learns from and is judged by, and what a distillation could use and does not."""
    without = sum(len(seen.ids) for seen in batches.seen_unlabelled)
    further = f"{without} without, " if without else ""
    unused = ""
    if part.rest and recipe.distill is not None and not recipe.distill.hidden:
        unused = f"; {len(part.rest)} more are not used, see distill.hidden"
    return f"images: {len(part.train)} with labels, {further}{len(part.val)} to validate on{unused}"
