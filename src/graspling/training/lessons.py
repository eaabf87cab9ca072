"""What a step of training minimises: the labels alone, or what a teacher adds to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from graspling.card import Card, TrainedOn
from graspling.datasets.sample import Dataset
from graspling.image import Preparation
from graspling.networks.base import GraspNetwork
from graspling.training.batches import Batch
from graspling.training.losses import GraspLoss


class Lesson:
    """Supervised training: the recipe's loss against the labels.

    Args:
        criterion: the recipe's loss.
        precision: fp32 or bf16, of the forward passes.

    Attributes:
        extra: what is trained or kept beside the network (adapters); nothing here.
        before: what others that teach the network have learned from.
        doubt: what a user should know before it begins; empty: nothing.
    """

    def __init__(self, criterion: GraspLoss, precision: str) -> None:
        self.criterion, self.precision = criterion, precision
        self.extra: nn.Module = nn.Module()
        self.before: tuple[TrainedOn, ...] = ()
        self.doubt = ""

    def __call__(self, network: GraspNetwork, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch and its parts for the log, all scalars."""
        with self.autocast(batch.image):
            raw = network(batch.image)
        return self.supervised(network, raw, batch)

    def supervised(
        self, network: GraspNetwork, raw: Tensor, batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The recipe's loss of raw maps for the labelled images, the first of the batch."""
        n = batch.labelled
        return self.criterion(
            raw[:n],
            network.activate(raw[:n]),
            batch.target[:n],
            batch.inside[:n],
            batch.ignored[:n],
        )

    def autocast(self, image: Tensor) -> torch.autocast:
        """The precision that the recipe asks for."""
        enabled = self.precision == "bf16"
        return torch.autocast(image.device.type, dtype=torch.bfloat16, enabled=enabled)

    def summary(self, means: dict[str, float]) -> dict[str, float]:
        """What the log says of an epoch, from the means of the parts over its steps."""
        return means

    def told_apart(self, settings: dict[str, Any]) -> dict[str, Any]:
        """A recipe's settings as a state keeps them, to tell one run from another: what lies in
        files by its contents, and nothing that says only where they are."""
        return settings

    def describe(self, card: Card) -> Card:
        """The card, with what this lesson brought into the weights."""
        return card

    def draw(
        self,
        folder: Path,
        network: GraspNetwork,
        dataset: Dataset,
        ids: Sequence[str],
        preparation: Preparation,
    ) -> None:
        """Pictures beside those of the predictions, if there is anything to see."""
