"""Batches with images without labels beside those with labels."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from graspling.card import TrainedOn
from graspling.datasets.augment import Augmentation, generator
from graspling.datasets.sample import Sample
from graspling.image import Prepared
from graspling.resample import compose
from graspling.training.batches import Batch, Batches, TwoViews
from graspling.training.distillation.pool import Pool

# Tells the randomness of the strong view, and of the choice of images, from that of the weak one.
_STRONG, _CHOICE = 1, 2


class MixedBatches(Batches):
    """Batches of labelled images with some unlabelled ones beside them.

    Args:
        pool: where the unlabelled ones come from.
        count: how many a batch.
        weak: augmentation of the unlabelled images; by default that of the labelled ones.
        strong: with it the unlabelled images come apart, as ``Batch.two_views``; without,
            behind the labelled ones in the batch.
        arguments, further: as Batches has them.
    """

    def __init__(
        self,
        *arguments: Any,
        pool: Pool,
        count: int,
        weak: Augmentation | None = None,
        strong: Augmentation | None = None,
        **further: Any,
    ) -> None:
        super().__init__(*arguments, **further)
        self.pool, self.count, self.strong = pool, min(count, len(pool)), strong
        self.weak = self.augmentation if weak is None else weak

    @property
    def seen_unlabelled(self) -> tuple[TrainedOn, ...]:
        """The images of the pool."""
        return self.pool.seen

    def load(self, ids: Sequence[str], number: int) -> Batch:
        """One batch; which unlabelled images are in it depends on the labelled ones."""
        batch = super().load(ids, number)
        rng = np.random.default_rng([self.seed, number, zlib.crc32(ids[0].encode()), _CHOICE])
        chosen = [int(i) for i in rng.choice(len(self.pool), self.count, replace=False)]
        if self.strong is not None:
            return dataclasses.replace(batch, two_views=self.two_views(chosen, number))
        images = [self._weak(i, batch.view)[1].tensor for i in chosen]
        image = torch.cat([batch.image, torch.from_numpy(np.stack(images))])
        blank = [t.new_zeros((len(images), *t.shape[1:])) for t in (batch.target, batch.inside)]
        return dataclasses.replace(
            batch,
            image=image,
            target=torch.cat([batch.target, blank[0]]),
            inside=torch.cat([batch.inside, blank[1]]),
            ignored=torch.cat([batch.ignored, ~blank[1]]),
            ids=batch.ids + tuple(self.pool.name(i) for i in chosen),
        )

    def two_views(self, chosen: Sequence[int], number: int) -> TwoViews:
        """Two views of each image: the strong one is changed on top of the weak one."""
        assert self.strong is not None
        weak, strong, turns, allowed, truths, rules = [], [], [], [], [], []
        for i in chosen:
            sample, seen, extra, hidden = self._weak(i, number)
            name = zlib.crc32(self.pool.name(i).encode())
            rng = np.random.default_rng([self.seed, number, name, _STRONG])
            changed, geometry = _bearable(self.strong, sample)(sample, rng)
            both = compose(geometry, extra)
            focal = None if hidden else changed.focal
            prepared = self.preparation(changed.rgb, changed.depth, extra=both, focal=focal)
            weak.append(seen.tensor)
            strong.append(prepared.tensor)
            turns.append(between(seen.affine, prepared.affine))
            allowed.append(seen.mask)
            grasps = sample.grasps
            truths.append(None if grasps is None else grasps.transform(seen.affine))
            rules.append(self.pool.items[i][0].jaw_rule)
        return TwoViews(
            weak=torch.from_numpy(np.stack(weak)),
            strong=torch.from_numpy(np.stack(strong)),
            turn=torch.from_numpy(np.stack(turns).astype(np.float32)),
            allowed=tuple(allowed),
            truth=tuple(truths),
            jaw_rules=tuple(rules),
            epoch=number // self.passes,
        )

    def _weak(self, i: int, view: int) -> tuple[Sample, Prepared, NDArray[np.float64], bool]:
        """The sample and input, weakly augmented; the affine frame -> frame of the augmentation;
        whether the focal length was hidden."""
        dataset, sample_id = self.pool.items[i]
        sample = dataset[sample_id]
        rng = generator(self.seed, view, self.pool.name(i))
        sample, extra = _bearable(self.weak, sample)(sample, rng)
        hidden = bool(rng.random() < self.hidden_focal)
        focal = None if hidden else sample.focal
        prepared = self.preparation(sample.rgb, sample.depth, extra=extra, focal=focal)
        return sample, prepared, extra, hidden


def _bearable(augmentation: Augmentation, sample: Sample) -> Augmentation:
    """Without a sensor's noise for frames of an unknown camera: real ones have it already."""
    if sample.intrinsics is not None or not augmentation.sensor_noise:
        return augmentation
    return dataclasses.replace(augmentation, sensor_noise=0.0)


def between(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """The affine (2, 3) from pixels of one input to those of another, of the same frame."""
    square = [np.vstack([affine, [0.0, 0.0, 1.0]]) for affine in (one, other)]
    return np.asarray((square[1] @ np.linalg.inv(square[0]))[:2])
