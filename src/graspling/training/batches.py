"""From samples to batches, prepared beside the training by a thread.

What a batch holds depends on (seed, epoch, sample id) alone, never on timing, so a run that was
interrupted goes on with exactly the batches it would have had.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graspling.datasets.augment import Augmentation, generator
from graspling.datasets.sample import Dataset, Sample
from graspling.errors import InputError
from graspling.grasps import Grasps
from graspling.image import Preparation
from graspling.maps import Targets, encode

# Batches prepared ahead: enough to ride out a slow image, small enough to stay in memory.
_AHEAD = 4


@dataclass(frozen=True)
class Batch:
    """N training images.

    Attributes:
        image: (N, C, S, S) float32.
        target: (N, 4, S, S) float32, see graspling.maps.
        inside: (N, S, S) bool: a grasp is defined.
        ignored: (N, S, S) bool: ambiguous.
    """

    image: Tensor
    target: Tensor
    inside: Tensor
    ignored: Tensor

    def to(self, device: torch.device, *, channels_last: bool = True) -> Batch:
        """The batch on a device, the image in the layout that convolutions like."""
        layout = torch.channels_last if channels_last else torch.contiguous_format
        return Batch(
            self.image.to(device, memory_format=layout, non_blocking=True),
            *(t.to(device, non_blocking=True) for t in (self.target, self.inside, self.ignored)),
        )


class Batches:
    """Shuffled, augmented batches of the given ids of a data set.

    Args:
        dataset: where the samples are.
        ids: labelled ids to draw from.
        size: images a batch; a smaller rest is left out (the next epoch shuffles anew), except
            when there are fewer images than that.
        taper: see graspling.maps.encode.
        workers: threads that prepare images.
    """

    def __init__(
        self,
        dataset: Dataset,
        ids: Sequence[str],
        preparation: Preparation,
        augmentation: Augmentation,
        *,
        size: int,
        taper: float = 0.0,
        seed: int = 0,
        workers: int = 1,
    ) -> None:
        if not ids:
            raise InputError(f"{dataset.name}: no labelled images to train on")
        self.dataset, self.ids = dataset, list(ids)
        self.preparation, self.augmentation = preparation, augmentation
        self.size, self.taper, self.seed, self.workers = size, taper, seed, workers
        self.seconds_waited = 0.0

    def __len__(self) -> int:
        """Batches an epoch."""
        return max(len(self.ids) // self.size, 1)

    def order(self, epoch: int) -> list[str]:
        """The ids in the order of this epoch."""
        shuffle = np.random.default_rng([self.seed, epoch, 0]).permutation(len(self.ids))
        return [self.ids[i] for i in shuffle]

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from number ``start`` on.

        ``seconds_waited`` grows by the time that the caller was kept waiting.
        """
        order = self.order(epoch)
        groups = [order[i * self.size : (i + 1) * self.size] for i in range(len(self))][start:]
        with ThreadPoolExecutor(self.workers, thread_name_prefix="batches") as pool:
            pending = [pool.submit(self.load, group, epoch) for group in groups[:_AHEAD]]
            for number in range(len(groups)):
                began = time.perf_counter()
                batch = pending.pop(0).result()
                self.seconds_waited += time.perf_counter() - began
                if number + _AHEAD < len(groups):
                    pending.append(pool.submit(self.load, groups[number + _AHEAD], epoch))
                yield batch

    def load(self, ids: Sequence[str], epoch: int) -> Batch:
        """One batch, augmented as in the given epoch."""
        side, channels = self.preparation.size, self.preparation.channels
        image = np.empty((len(ids), channels, side, side), np.float32)
        target = np.empty((len(ids), 4, side, side), np.float32)
        inside = np.empty((len(ids), side, side), bool)
        ignored = np.empty((len(ids), side, side), bool)
        for row, sample_id in enumerate(ids):
            rng = generator(self.seed, epoch, sample_id)
            sample, affine = self.augmentation(self.dataset[sample_id], rng)
            prepared = self.preparation(sample.rgb, sample.depth, extra=affine)
            found = targets(sample, prepared.affine, side, self.taper)
            image[row], target[row] = prepared.tensor, found.maps
            inside[row], ignored[row] = found.inside, found.ignored
        return Batch(*(torch.from_numpy(a) for a in (image, target, inside, ignored)))


def targets(sample: Sample, affine: NDArray[np.float64], side: int, taper: float) -> Targets:
    """What a network should say of a sample that ``affine`` (2, 3) brings to (side, side)."""
    labels, ambiguous = (
        (grasps or Grasps.empty()).transform(affine) for grasps in (sample.grasps, sample.ambiguous)
    )
    return encode(labels, side, side, taper=taper, ambiguous=ambiguous)
