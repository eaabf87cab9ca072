"""Attention maps and the distance between them (KufeNet, slide "Hint learning", table V).

The slides map features X (C, H, W) to a map A (H, W) by mean, max, max^2 or max^4 over channels
and compare the maps of teacher and student by maximum mean discrepancy, "to restrain T from
imposing excessive constraints". They say neither what is sampled nor by which kernel. Decided
here: a map, divided by its sum, is a distribution over places; the kernel is a mean of Gaussians
of the distance in the image. Maps that agree but for a small shift are then close, while a
pixel-wise L2 sees no likeness at all in them.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from graspling.training.distillation.taps import resized

# Standard deviations of the kernel, as share of the map's side.
BANDWIDTHS = (0.02, 0.05, 0.1)
# Larger maps are pooled to this side: the narrowest kernel sees no more than that.
LARGEST = 56


def attention_map(features: Tensor, mapping: str) -> Tensor:
    """(N, C, H, W) to (N, H, W): mean, max, max2 or max4 of the absolute values over channels."""
    size = features.float().abs()
    if mapping == "mean":
        return size.mean(dim=1)
    power = {"max": 1, "max2": 2, "max4": 4}[mapping]
    highest = size.amax(dim=1)
    # scaled first: the fourth power of a large feature would leave the range of floats
    peak = highest.detach().amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)
    return (highest / peak) ** power


def distribution(attention: Tensor) -> Tensor:
    """(N, H, W) non-negative to the same shape, summing to 1; nothing anywhere is uniform."""
    total = attention.sum(dim=(1, 2), keepdim=True)
    uniform = torch.full_like(attention, 1 / attention[0].numel())
    return torch.where(total > 1e-12, attention / total.clamp(min=1e-12), uniform)


def pair_of_maps(student: Tensor, teacher: Tensor, mapping: str) -> tuple[Tensor, Tensor]:
    """Attention of both as distributions of one size: the smaller one's, at most LARGEST."""
    maps = [attention_map(features, mapping)[:, None] for features in (student, teacher)]
    size = [min(LARGEST, *(m.shape[axis] for m in maps)) for axis in (-2, -1)]
    one, other = (distribution(resized(m, size)[:, 0]) for m in maps)
    return one, other


def mmd(p: Tensor, q: Tensor) -> Tensor:
    """(N,) squared maximum mean discrepancy of distributions over places, (N, H, W) each.

    MMD^2 = sum over places x, y of (p - q)(x) k(x, y) (p - q)(y) (Gretton et al. 2012), with k a
    mean of Gaussians, which are separable: two small matrix products instead of all pairs. It is
    0 for equal distributions and positive for others.
    """
    d = p - q
    total = torch.zeros(len(d), device=d.device, dtype=d.dtype)
    for bandwidth in BANDWIDTHS:
        rows, columns = (_kernel(side, bandwidth).to(d) for side in d.shape[1:])
        total = total + (d * (rows @ d @ columns)).sum(dim=(1, 2))
    return total.clamp(min=0) / len(BANDWIDTHS)


@lru_cache(maxsize=32)
def _kernel(side: int, bandwidth: float) -> Tensor:
    place = torch.arange(side, dtype=torch.float64) / side
    return torch.exp(-((place[:, None] - place) ** 2) / (2 * bandwidth**2))
