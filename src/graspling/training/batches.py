"""From samples to batches, prepared beside the training by a thread.

What a batch holds depends on (seed, epoch, sample id) alone, never on timing, so a run that was
interrupted goes on with exactly the batches it would have had.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graspling.card import TrainedOn
from graspling.datasets.augment import Augmentation, generator
from graspling.datasets.sample import Dataset, Sample
from graspling.errors import InputError
from graspling.evaluation.rectangle import JawRule
from graspling.grasps import Grasps
from graspling.image import Preparation
from graspling.maps import Encoding, Targets, encode

# Batches prepared ahead: enough to ride out a slow image, small enough to stay in memory.
_AHEAD = 6


@dataclass(frozen=True)
class Batch:
    """N training images.

    Attributes:
        image: (N, C, S, S) float32.
        target: (N, 4, S, S) float32, see graspling.maps.
        inside: (N, S, S) bool: a grasp is defined.
        ignored: (N, S, S) bool: ambiguous.
        ids: of the images.
        labelled: how many of the images, the first ones, have labels; all unless it is said.
        view: number of the augmentation that they have; equal numbers, equal images.
        two_views: unlabelled images in two views, for semi-supervision.
    """

    image: Tensor
    target: Tensor
    inside: Tensor
    ignored: Tensor
    ids: tuple[str, ...] = ()
    labelled: int = -1
    view: int = 0
    two_views: TwoViews | None = None

    def __post_init__(self) -> None:
        if self.labelled < 0:
            object.__setattr__(self, "labelled", len(self.image))

    def to(self, device: torch.device, *, channels_last: bool = True) -> Batch:
        """The batch on a device, the image in the layout that convolutions like."""
        layout = torch.channels_last if channels_last else torch.contiguous_format
        return replace(
            self,
            image=self.image.to(device, memory_format=layout, non_blocking=True),
            target=self.target.to(device, non_blocking=True),
            inside=self.inside.to(device, non_blocking=True),
            ignored=self.ignored.to(device, non_blocking=True),
            two_views=self.two_views and self.two_views.to(device),
        )


@dataclass(frozen=True)
class TwoViews:
    """M images without labels, each seen weakly and strongly augmented.

    Attributes:
        weak: (M, C, S, S) float32, what the teacher sees.
        strong: (M, C, S, S) float32, what the student sees.
        turn: (M, 2, 3) float32: pixels of the weak view to pixels of the strong one.
        allowed: (S, S) bool, where a centre may lie in the weak view; None: everywhere.
        truth: the labels in pixels of the weak view where they are known, for the log alone.
        jaw_rules: by which each image is judged.
        epoch: of the run.
    """

    weak: Tensor
    strong: Tensor
    turn: Tensor
    allowed: tuple[NDArray[np.bool_] | None, ...]
    truth: tuple[Grasps | None, ...]
    jaw_rules: tuple[JawRule, ...]
    epoch: int

    def to(self, device: torch.device) -> TwoViews:
        """The images on a device."""
        return replace(
            self,
            weak=self.weak.to(device, non_blocking=True),
            strong=self.strong.to(device, non_blocking=True),
            turn=self.turn.to(device, non_blocking=True),
        )


class Batches:
    """Shuffled, augmented batches of the given ids of a data set.

    Args:
        dataset: where the samples are.
        ids: labelled ids to draw from.
        size: images a batch; a smaller rest is left out (the next epoch shuffles anew), except
            when there are fewer images than that.
        encoding: how labels become targets.
        hidden_focal: probability that the camera's focal length is kept from the preparation, so
            that a network with a scale cue works without it, too.
        workers: threads that prepare images.
        share: (rank, count): of each batch, every count-th image from number rank on, for one
            process of several.
        steps: batches an epoch, from as many passes over the images as that takes; 0: one pass.
        views: different augmentations of each image, in turn; 0: new ones in each pass.
    """

    def __init__(
        self,
        dataset: Dataset,
        ids: Sequence[str],
        preparation: Preparation,
        augmentation: Augmentation,
        *,
        size: int,
        encoding: Encoding | None = None,
        hidden_focal: float = 0.0,
        seed: int = 0,
        workers: int = 1,
        share: tuple[int, int] = (0, 1),
        steps: int = 0,
        views: int = 0,
    ) -> None:
        if not ids:
            raise InputError(f"{dataset.name}: no labelled images to train on")
        self.dataset, self.ids = dataset, list(ids)
        self.preparation, self.augmentation = preparation, augmentation
        self.size, self.seed, self.workers = size, seed, workers
        self.encoding = encoding or Encoding()
        self.hidden_focal = hidden_focal
        self.share = share
        self.steps, self.views = steps, views
        self.seconds_waited = 0.0

    def __len__(self) -> int:
        """Batches an epoch."""
        return self.steps or self.per_pass

    @property
    def seen_unlabelled(self) -> tuple[TrainedOn, ...]:
        """The images without labels in these batches, for the card; none here."""
        return ()

    @property
    def per_pass(self) -> int:
        """Batches of one pass over the images."""
        return max(len(self.ids) // self.size, 1)

    @property
    def passes(self) -> int:
        """Passes that an epoch needs; the last one may end early."""
        return -(-len(self) // self.per_pass)

    def order(self, number: int) -> list[str]:
        """The ids in the order of a pass."""
        shuffle = np.random.default_rng([self.seed, number, 0]).permutation(len(self.ids))
        return [self.ids[i] for i in shuffle]

    def groups(self, epoch: int) -> list[tuple[list[str], int]]:
        """The ids of each batch of an epoch, with the number of the pass that it belongs to."""
        found = []
        for number in range(epoch * self.passes, (epoch + 1) * self.passes):
            order = self.order(number)
            starts = range(0, self.per_pass * self.size, self.size)
            found += [(order[i : i + self.size], number) for i in starts]
        return found[: len(self)]

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from number ``start`` on.

        ``seconds_waited`` grows by the time that the caller was kept waiting.
        """
        rank, count = self.share
        groups = [(ids[rank::count], number) for ids, number in self.groups(epoch)[start:]]
        with ThreadPoolExecutor(self.workers, thread_name_prefix="batches") as pool:
            pending = [pool.submit(self.load, *group) for group in groups[:_AHEAD]]
            for number in range(len(groups)):
                began = time.perf_counter()
                batch = pending.pop(0).result()
                self.seconds_waited += time.perf_counter() - began
                if number + _AHEAD < len(groups):
                    pending.append(pool.submit(self.load, *groups[number + _AHEAD]))
                yield batch

    def load(self, ids: Sequence[str], number: int) -> Batch:
        """One batch, augmented as in the given pass."""
        view = number % self.views if self.views else number
        side, channels = self.preparation.size, self.preparation.channels
        image = np.empty((len(ids), channels, side, side), np.float32)
        target = np.empty((len(ids), 4, side, side), np.float32)
        inside = np.empty((len(ids), side, side), bool)
        ignored = np.empty((len(ids), side, side), bool)
        for row, sample_id in enumerate(ids):
            rng = generator(self.seed, view, sample_id)
            try:
                sample, affine = self.augmentation(self._used(self.dataset[sample_id]), rng)
                # drawn in any case, so that what follows does not depend on the data set
                focal = sample.focal if rng.random() >= self.hidden_focal else None
                prepared = self.preparation(sample.rgb, sample.depth, extra=affine, focal=focal)
            except InputError as error:
                raise InputError(f"image {sample_id!r}: {error}") from None
            found = targets(sample, prepared.affine, side, self.encoding)
            image[row], target[row] = prepared.tensor, found.maps
            # of an image whose labels cannot be read nothing is known
            inside[row], ignored[row] = found.inside, found.ignored | (sample.grasps is None)
        return Batch(
            image=torch.from_numpy(image),
            target=torch.from_numpy(target),
            inside=torch.from_numpy(inside),
            ignored=torch.from_numpy(ignored),
            ids=tuple(ids),
            view=view,
        )

    def _used(self, sample: Sample) -> Sample:
        """The sample without the image that the network does not look at: it need not be moved."""
        if self.preparation.modality == "depth" and sample.depth is not None:
            return replace(sample, rgb=None)
        if self.preparation.modality == "rgb" and sample.rgb is not None:
            return replace(sample, depth=None)
        return sample


def check_images(sample: Sample, modality: str, where: str) -> None:
    """Refuse images that a network of this modality cannot look at.

    Args:
        where: which sample it is, as the message begins.

    Raises:
        InputError: colour or depth is missing; the message says which, and what to set.
    """
    for what, image, name, other in (
        ("colour", sample.rgb, "rgb", "depth"),
        ("depth", sample.depth, "depth", "rgb"),
    ):
        if image is None and modality in (name, "rgbd"):
            raise InputError(
                f"{where} has no {what}, and the recipe takes {modality}; set modality={other}, or "
                f"give images with {what}"
            )


def targets(sample: Sample, affine: NDArray[np.float64], side: int, encoding: Encoding) -> Targets:
    """What a network should say of a sample that ``affine`` (2, 3) brings to (side, side)."""
    labels, ambiguous = (
        (grasps or Grasps.empty()).transform(affine) for grasps in (sample.grasps, sample.ambiguous)
    )
    return encode(labels, side, side, encoding=encoding, ambiguous=ambiguous)
