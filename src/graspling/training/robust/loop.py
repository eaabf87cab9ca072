"""The loop for what is no dense network: critics and networks that say one grasp.

The same folder as `train` writes (``recipe.yaml``, ``log.jsonl``, ``last.safetensors``,
``best.safetensors``) and the same resuming; what is learned from what is a :class:`Task`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
import yaml
from torch import Tensor, nn

from graspling.errors import GrasplingError, InputError
from graspling.files import write_text
from graspling.training.log import Log
from graspling.training.pace import Pace
from graspling.training.state import Progress, load_state, save_state


@dataclass(frozen=True)
class Found:
    """A validation: what the best weights are chosen by, and what the log is told beside.

    Attributes:
        accuracy: higher is better, in [0, 1].
        loss: decides among accuracies that chance cannot tell apart.
        n: on how many.
        more: other numbers.
    """

    accuracy: float
    loss: float
    n: int
    more: Mapping[str, float] = field(default_factory=dict)


class Task(Protocol):
    """What is trained, on what, and how it is judged."""

    optimiser: torch.optim.Optimizer
    settings: dict[str, Any]
    epochs: int
    validate_every: int
    checkpoint_seconds: float
    batch: int
    precision: str  # fp32 or bf16

    @property
    def network(self) -> nn.Module:
        """What learns."""
        ...

    def __len__(self) -> int:
        """Batches an epoch."""
        ...

    def batches(self, epoch: int, start: int) -> Iterator[Any]:
        """Those of an epoch from number ``start`` on; depends on nothing else."""
        ...

    def rate(self, step: int, epoch: int) -> float:
        """Learning rate."""
        ...

    def loss(self, batch: Any, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss and its parts for the log."""
        ...

    def validate(self) -> Found:
        """Judge the network as it is."""
        ...

    def forget_best(self, epoch: int) -> bool:
        """Whether what was best before this epoch was judged by another measure."""
        ...

    def save(self, path: Path, found: Found) -> None:
        """Write weights and card."""
        ...


def run(task: Task, out: str | Path, *, resume: bool = False) -> Path:
    """Train; returns the checkpoint to use. Interrupting and resuming are as in ``loop.train``.

    Raises:
        InputError: ``out`` holds another run.
        GrasplingError: the loss is not finite.
    """
    folder = Path(out)
    last, best = folder / "last.safetensors", folder / "best.safetensors"
    if last.exists() and not resume:
        raise InputError(f"{folder} holds a run already; use --resume, or another --out")
    progress = Progress()
    network, optimiser = task.network, task.optimiser
    if last.exists():
        progress = load_state(last, network, None, optimiser, task.settings, kind=None)
    # the one that the run began in, on whatever machine it goes on
    progress.precision = task.precision = progress.precision or task.precision
    write_text(folder / "recipe.yaml", yaml.safe_dump(task.settings, sort_keys=False))
    log = Log(folder, progress.step, ended=progress.batch == 0)

    def save() -> None:
        save_state(last, network, None, optimiser, progress, task.settings)

    pace = Pace(
        progress,
        folder,
        epochs=task.epochs,
        steps=task.epochs * len(task),
        images=task.batch,
        save=save,
        every=task.checkpoint_seconds,
    )
    with pace:
        while progress.epoch < task.epochs:
            network.train()
            pace.epoch()
            if progress.batch == 0 and task.forget_best(progress.epoch):
                progress.highest = progress.best_accuracy = -1.0
                progress.best_loss = float("inf")
            for batch in task.batches(progress.epoch, progress.batch):
                for group in optimiser.param_groups:
                    group["lr"] = task.rate(progress.step, progress.epoch)
                loss, parts = task.loss(batch, progress.epoch)
                _update(network, optimiser, loss)
                losses = {"loss": loss, **parts}
                progress.step_done({name: value.item() for name, value in losses.items()})
                pace.step()
            log.write(
                "epoch",
                epoch=progress.epoch + 1,
                step=progress.step,
                **progress.means(),
                lr=optimiser.param_groups[0]["lr"],
                precision=task.precision,
                images_per_second=pace.images_per_second,
                seconds=progress.seconds,
            )
            progress.epoch_done()
            if progress.epoch == task.epochs or progress.epoch % task.validate_every == 0:
                network.eval()
                found = task.validate()
                values = {"accuracy": found.accuracy, "loss": found.loss, "n": found.n}
                log.write(
                    "validation",
                    step=progress.step,
                    epoch=progress.epoch,
                    **values,
                    **found.more,
                )
                pace.show(val=f"{found.accuracy:.3f}", loss=f"{found.loss:.4f}")
                if progress.is_better(found.accuracy, found.loss, found.n):
                    task.save(best, found)
            pace.check()
    return best


def _update(network: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    if not math.isfinite(loss.item()):
        raise GrasplingError("training diverged: the loss is not finite; lower lr")
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_([p for p in network.parameters() if p.requires_grad], 5.0)
    optimiser.step()
