"""The quality that a network earns by its own answers: is the grasp it says at a pixel right?

People label some grasps of an object and not its others, and published targets call every pixel
wrong that is not in the middle of a label. What is asked for at work is the pixel whose grasp most
likely meets some label by the rectangle metric (graspling.evaluation.rectangle). So a pixel whose
own angle, width and place meet a label counts as good as its middle, as classification scores of
object detectors learn the overlap of their own boxes (Zhang et al. 2021, VarifocalNet).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from graspling.grasps import Grasps

# Every how many pixels an answer is looked at; those around it are taken to be alike.
STRIDE = 4


def right_answers(activated: Tensor, labels: Sequence[Grasps], stride: int = STRIDE) -> Tensor:
    """Where the maps' own grasps meet a label: IoU > 0.25, angle within 30 degrees.

    The overlap is taken as if both rectangles were turned like the label; for 30 degrees between
    them that is off by a few per cent, which training forgives.

    Args:
        activated: (N, 4, S, S), quality, cos 2a, sin 2a, width / S.
        labels: of each image, pixels of the maps.
        stride: pixels between two answers that are looked at.

    Returns:
        (N, S, S) float32, 0 or 1; carries no gradient.
    """
    side = activated.shape[-1]
    steps = range(stride // 2, side, stride)
    found = activated.new_zeros(len(activated), len(steps), len(steps), dtype=torch.float32)
    if not steps:
        return activated.new_zeros(activated[:, 0].shape, dtype=torch.float32)
    answers = activated.detach()[:, :, stride // 2 :: stride, stride // 2 :: stride].float()
    at = torch.tensor(list(steps), dtype=torch.float32, device=activated.device)
    for row, grasps in enumerate(labels):
        if len(grasps):
            found[row] = _meets(answers[row], at, side, grasps)
    large = functional.interpolate(found[:, None], scale_factor=float(stride), mode="nearest")[:, 0]
    missing = max(side - large.shape[-1], 0)
    return functional.pad(large, (0, missing, 0, missing))[:, :side, :side]


def _meets(answers: Tensor, at: Tensor, side: int, grasps: Grasps) -> Tensor:
    """(4, H, W) at rows and columns ``at`` to (H, W), 1 where any of the grasps is met."""
    columns = torch.from_numpy(np.array(grasps.columns, np.float32)).to(answers.device)
    u, v, angle, width, jaw = (column[:, None, None] for column in columns[:5])
    cos, sin = torch.cos(angle), torch.sin(angle)
    du, dv = at[None, None, :] - u, at[None, :, None] - v
    along, across = (du * cos + dv * sin).abs(), (dv * cos - du * sin).abs()
    own = answers[3].clamp(min=0.0) * side
    # what two intervals of these lengths, so far apart, have in common
    wide = _common(along, own, width)
    high = _common(across, own / 2, jaw)
    both = wide * high
    joined = own * own / 2 + width * jaw - both
    length = answers[1:3].norm(dim=0).clamp(min=1e-6)
    turn = (answers[1] * torch.cos(2 * angle) + answers[2] * torch.sin(2 * angle)) / length
    alike = turn > math.cos(math.radians(60.0))  # 30 degrees, doubled
    return ((both > 0.25 * joined) & alike).any(dim=0).float()


def _common(distance: Tensor, first: Tensor, second: Tensor) -> Tensor:
    least = torch.minimum(first, second)
    return torch.minimum((first + second) / 2 - distance, least).clamp(min=0.0)
