"""The terms of a distillation, each as one number a sample, (N,).

One number a sample, because a term may count for some samples only. "Mean" is over what the term
compares within the sample.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from graspling.networks.blocks import conv_bn_relu
from graspling.training.distillation.attention import mmd, pair_of_maps
from graspling.training.distillation.settings import Term
from graspling.training.distillation.taps import Features, joined, resized
from graspling.training.losses import PIXEL_LOSSES, LossSettings


def output_distance(
    student: Tensor, teacher: Tensor, how: str, weights: LossSettings, by_quality: bool = False
) -> Tensor:
    """Distance of the maps of two networks (GG-CNN distillation: L_KD; KufeNet: L_fruit;
    LiteGrasp: L_od, equation 3).

    The sum over quality, cos 2a, sin 2a and width of the mean over pixels, weighted as the recipe
    weighs the same maps against the labels. Quality and width are compared as they are, also where
    the recipe takes cross-entropy and logarithms against the labels.

    Args:
        student: activated maps (N, 4, H, W).
        teacher: the same of the teacher, clipped to their ranges.
        how: mse or smooth_l1.
        weights: quality, angle and width are read.
        by_quality: see Term.
    """
    error = PIXEL_LOSSES[how](student.float(), teacher.float())
    if by_quality:
        sure = teacher[:, :1].float().clamp(0, 1)
        rest = (error[:, 1:] * sure).sum((2, 3)) / sure.sum((2, 3)).clamp(min=1.0)
        each = torch.cat([error[:, :1].mean((2, 3)), rest], dim=1)
    else:
        each = error.mean((2, 3))
    scale = each.new_tensor([weights.quality, weights.angle, weights.angle, weights.width])
    return each @ scale


def attention_distance(student: Features, teacher: Features, term: Term) -> Tensor:
    """Distance of the attention maps of two taps; see graspling.training.distillation.attention.

    mse compares the maps pixel by pixel, each scaled to a mean of 1.
    """
    one, other = pair_of_maps(joined(student), joined(teacher), term.mapping)
    if term.how == "mmd":
        return mmd(one, other)
    pixels = one[0].numel()
    return ((one - other) * pixels).square().mean((1, 2))


def feature_distance(student: Tensor, teacher: Features, term: Term) -> Tensor:
    """Distance of adapted student's features (N, C, H, W) from the teacher's tap.

    kl is the Kullback-Leibler divergence of the student from the teacher, where the softmax over
    places makes a distribution of each channel; the mean over channels (LiteGrasp, section III-D;
    the paper leaves open over what its softmax runs. Shu et al., "Channel-wise knowledge
    distillation", ICCV 2021, found this one best for dense outputs).
    """
    target = joined(teacher).float()
    guess = resized(student.float(), target.shape[-2:])
    if term.how == "kl":
        said = (guess / term.temperature).flatten(2).log_softmax(dim=2)
        wanted = (target / term.temperature).flatten(2).log_softmax(dim=2)
        divergence = (wanted.exp() * (wanted - said)).sum(dim=2)
        return divergence.mean(dim=1) * term.temperature**2
    return PIXEL_LOSSES[term.how](guess, target).mean((1, 2, 3))


class Align(nn.Module):
    """A stage of several resolutions to the teacher's channels (LiteGrasp, figure 4).

    All are enlarged to the finest and laid behind each other, then a 1x1 convolution, batch norm
    and ReLU. The teacher's features are only enlarged and laid behind each other: an adapter with
    weights on both sides could please the loss by giving a constant.

    Args:
        inputs: channels of the student's stage, all resolutions together.
        outputs: of the teacher's.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mix = conv_bn_relu(inputs, outputs, 1)

    def forward(self, features: Features) -> Tensor:
        """(N, inputs, H, W) in all to (N, outputs, H, W)."""
        mixed: Tensor = self.mix(joined(features))
        return mixed


class Pointwise(nn.Module):
    """KufeNet's PWC: a 1x1 convolution to the teacher's channels.

    Args:
        inputs, outputs: channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 1)

    def forward(self, features: Features) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        mapped: Tensor = self.convolution(joined(features))
        return mapped


ADAPTERS: dict[str, type[nn.Module]] = {"pointwise": Pointwise, "align": Align}


def shares_of(term: Term) -> list[float]:
    """The weight of each pair of taps."""
    if not term.shares:
        return [1 / len(term.taps)] * len(term.taps)
    if term.softmax:
        return [float(w) for w in functional.softmax(torch.tensor(term.shares), dim=0)]
    return list(term.shares)
