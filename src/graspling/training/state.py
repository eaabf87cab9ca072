"""The state of a run on disk: all that is needed to go on as if nothing had happened.

Tensors lie in one safetensors file, numbers in its metadata; nothing is ever unpickled.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from graspling.errors import InputError
from graspling.files import atomic_path
from graspling.training.recipe import Recipe, from_mapping

# Settings that change how fast a run is and what it writes, and not what it learns.
_FREE = {"threads", "workers", "picture_every", "checkpoint_seconds"}


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        epoch: the epoch under way, from 0.
        batch: batches done of it.
        step: batches done in all.
        highest: highest validation accuracy so far.
        best_accuracy, best_loss: of the weights that are kept, see :meth:`is_better`.
        seconds: time trained so far, over all parts of an interrupted run.
        precision: that the run began with, where the machine decides.
        losses: sums of the losses of the epoch under way.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    highest: float = -1.0
    best_accuracy: float = -1.0
    best_loss: float = float("inf")
    seconds: float = 0.0
    precision: str = ""
    losses: dict[str, float] = field(default_factory=dict)

    def step_done(self, losses: Mapping[str, float]) -> None:
        """Count a batch, and add its losses to those of the epoch."""
        self.step += 1
        self.batch += 1
        for name, value in losses.items():
            self.losses[name] = self.losses.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        """The losses of the epoch under way, as means over its batches."""
        return {name: value / max(self.batch, 1) for name, value in self.losses.items()}

    def epoch_done(self) -> None:
        """Go on to the next epoch."""
        self.epoch, self.batch, self.losses = self.epoch + 1, 0, {}

    def is_better(self, accuracy: float, loss: float, n: int) -> bool:
        """Whether a validation on ``n`` images is the best so far; it is remembered if so.

        On a few dozen images the highest accuracy is mostly luck. So every validation within one
        standard error of the highest is a candidate, and the lowest loss decides among them.
        """
        self.highest = max(self.highest, accuracy)
        # none with a label: the loss, of the quality alone, decides
        least = self.highest - math.sqrt(self.highest * (1 - self.highest) / max(n, 1))
        better = accuracy >= least and (loss < self.best_loss or self.best_accuracy < least)
        if better:
            self.best_accuracy, self.best_loss = accuracy, loss
        return better


def save_state(
    path: Path,
    network: nn.Module,
    average: nn.Module | None,
    optimiser: torch.optim.Optimizer,
    progress: Progress,
    recipe: dict[str, Any],
) -> None:
    """Write everything; the old file stays until the new one is complete."""
    tensors: dict[str, Tensor] = {f"network.{k}": v for k, v in network.state_dict().items()}
    if average is not None:
        tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    scalars: dict[str, Any] = {}
    saved = optimiser.state_dict()
    for number, values in saved["state"].items():
        for key, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"optimiser.{number}.{key}"] = value
            else:
                scalars[f"{number}.{key}"] = value
    tensors["random"] = torch.get_rng_state()
    metadata = {
        "progress": asdict(progress),
        "recipe": recipe,
        "groups": saved["param_groups"],
        "scalars": scalars,
        # what an optimiser counts besides (Ranger21: steps since it last looked ahead)
        "counters": {k: v for k, v in saved.items() if k not in ("state", "param_groups")},
    }
    # channels_last parameters are not contiguous, which the format wants
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata={"graspling_state": json.dumps(metadata)})


def precision_of(path: Path) -> str:
    """What a run computes in that is gone on with; "" where its state does not say."""
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {})["graspling_state"])
            return str(state["progress"]["precision"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return ""  # load_state says what is wrong


def load_state(
    path: Path,
    network: nn.Module,
    average: nn.Module | None,
    optimiser: torch.optim.Optimizer,
    recipe: dict[str, Any],
    kind: type[Any] | None = Recipe,
) -> Progress:
    """Read :func:`save_state` back into the given objects.

    ``kind`` is the dataclass of the settings, whose defaults stand for what did not exist when the
    file was written; None where the settings are compared as they are.

    Raises:
        InputError: the file is damaged, or was saved under other settings.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {})["graspling_state"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"cannot resume from {path}: {error}; remove it to start anew") from None
    # settings that did not exist yet had what are the defaults now
    before = metadata["recipe"]
    if kind is not None:
        before = from_mapping(kind, before, str(path)).to_dict()
    # where the weights that it began with lie by now says nothing of them
    different = _difference(before, {k: v for k, v in recipe.items() if k not in _FREE})
    if different:
        key, was, now = different
        raise InputError(
            f"cannot resume {path}: {key} was {was!r} and is now {now!r}; use the old settings, or "
            "another output folder (with init it begins with the weights of this one)"
        )

    def part(prefix: str) -> dict[str, Tensor]:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    try:
        network.load_state_dict(part("network."))
        if average is not None:
            average.load_state_dict(part("average."))
    except RuntimeError:
        raise InputError(
            f"cannot resume from {path}: its network has other layers than this release builds "
            "under that name; use the release that began it, or another output folder"
        ) from None
    state: dict[int, dict[str, Any]] = {}
    for name, value in part("optimiser.").items():
        number, key = name.split(".", 1)
        state.setdefault(int(number), {})[key] = value
    for name, value in metadata["scalars"].items():
        number, key = name.split(".", 1)
        state.setdefault(int(number), {})[key] = value
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    for place, moments in state.items():
        for key, value in moments.items():
            if isinstance(value, Tensor) and value.shape == weights[place].shape:
                # laid out as the weights are, on which fused optimisers rely
                moments[key] = torch.empty_like(weights[place], dtype=value.dtype).copy_(value)
    counters = metadata.get("counters", {})
    optimiser.load_state_dict({"state": state, "param_groups": metadata["groups"], **counters})
    torch.set_rng_state(tensors["random"])
    return Progress(**metadata["progress"])


def _difference(
    before: Mapping[str, Any], now: Mapping[str, Any], within: str = ""
) -> tuple[str, Any, Any] | None:
    """The first setting by name that makes one run another one, and what it was and is."""
    for key in sorted(now):
        was, value, name = before.get(key), now[key], f"{within}{key}"
        if isinstance(was, Mapping) and isinstance(value, Mapping):
            deeper = _difference(was, {**dict.fromkeys(was), **value}, f"{name}.")
            if deeper:
                return deeper
        elif _told(name, was) != _told(name, value):
            return name, was, value
    return None


def _told(name: str, value: Any) -> Any:
    """What of a setting makes one run another one."""
    if name == "distill.teacher":  # its weights; states of before held the digest alone, in full
        return str(value).rpartition("sha256:")[2][:16]
    return Path(value).parts[-2:] if name == "init" and value else value
