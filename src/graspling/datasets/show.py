"""``graspling data show``: a picture of some samples with their labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from graspling.datasets.options import check_seed
from graspling.datasets.sample import Dataset, Picture, Sample
from graspling.errors import InputError
from graspling.pictures import sheet

# More rectangles than this on one small picture hide the object.
_MOST = 12
# Shown around the labels: this many times their extent.
_MARGIN = 2.0


def show(dataset: Dataset, count: int = 12, seed: int = 0, *, columns: int = 4) -> Picture:
    """A sheet (uint8 RGB) of ``count`` labelled samples drawn at random by ``seed``, in the order
    of their ids; unlabelled ones when there are no others.

    Each is cut to the surroundings of its labels, and of many labels 12 are drawn, for looking
    only; the caption has their number.
    """
    ids = dataset.ids or dataset.unlabelled_ids
    if not ids or count < 1:
        raise InputError(f"{dataset.name} at {dataset.root}: nothing to show (count {count})")
    check_seed(seed)
    order = np.random.default_rng(seed).permutation(len(ids))[:count]
    images, captions = [], []
    for number in sorted(order):
        sample = dataset[ids[number]]
        images.append(dataset.plot(closer(sample)))
        text = "unlabelled" if sample.grasps is None else f"{len(sample.grasps)} grasps"
        captions.append(f"{text}  {sample.id}")
    return sheet(images, captions, columns)


def closer(sample: Sample) -> Sample:
    """The square around the labels with some of them, evenly picked; all of an unlabelled one."""
    if not sample.grasps:
        return sample
    height, width = sample.size
    corners = sample.grasps.to_rectangles().reshape(-1, 2)
    low, high = corners.min(axis=0), corners.max(axis=0)
    side = int(np.clip((high - low).max() * _MARGIN, min(height, width) / 4, min(height, width)))
    left, top = np.clip((low + high - side) / 2, 0, (width - side, height - side)).astype(int)
    window = (slice(top, top + side), slice(left, left + side))
    rows = np.unique(np.linspace(0, len(sample.grasps) - 1, _MOST).round().astype(int))
    return replace(
        sample,
        rgb=None if sample.rgb is None else sample.rgb[window],
        depth=None if sample.depth is None else sample.depth[window],
        mask=None if sample.mask is None else sample.mask[window],
        grasps=sample.grasps[rows].transform([[1, 0, -left], [0, 1, -top]]),
        intrinsics=None,
    )
