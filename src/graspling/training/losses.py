"""What training minimises, as published.

Every loss compares raw maps (N, 4, H, W) (quality, cos 2a, sin 2a, width / side) with targets of
the same shape and leaves out the pixels that are ignored because their label is ambiguous.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from graspling.errors import InputError
from graspling.networks.base import GraspNetwork

PixelLoss = Callable[[Tensor, Tensor], Tensor]


def _mse(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.mse_loss(prediction, target, reduction="none")


def _smooth_l1(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.smooth_l1_loss(prediction, target, reduction="none")


# Without any pixel that counts, sums of 0 are divided by this.
_NOTHING = 1e-6
# Widths well above this share of the input's side are compared by their ratio.
_SMALL_WIDTH = 0.02


def _logarithmic(width: Tensor) -> Tensor:
    """log(width) but for a constant where width is large against _SMALL_WIDTH, linear near 0."""
    return torch.asinh(width / (2 * _SMALL_WIDTH))


# Huber's loss with delta = 1 is smooth L1; its position-enhanced form is made in GraspLoss.
PIXEL_LOSSES: dict[str, PixelLoss] = {"mse": _mse, "smooth_l1": _smooth_l1, "p_huber": _smooth_l1}


@dataclass(frozen=True)
class LossSettings:
    """Which loss, and the weight of each part.

    Attributes:
        kind: mse (GG-CNN, section V), smooth_l1 (GR-ConvNet, section IV-E; LiteGrasp, equations 3
            to 5) or p_huber (DSC-GraspNet, equation 7): Huber's loss, with the errors of cos, sin
            and width multiplied by the true quality before it. Delta, which the paper leaves
            out, is 1.
        quality: weight of the quality map.
        angle: weight of cos 2a and of sin 2a.
        width: weight of the width map.
        outside: weight of cos, sin and width where no grasp is: 1 as published (the target there
            is 0), 0 to ask for them on grasps alone. The decoder weighs by quality, so nothing
            is needed of them elsewhere.
        quality_kind: another loss for quality: mse, smooth_l1, or bce, the cross-entropy of a
            network whose quality is a sigmoid (see :func:`check_loss`).
        relative_width: compare the logarithms of widths (to be exact asinh, which is finite at
            0), so that 5 pixels too many weigh more on a small grasp than on a large one, as they
            do in the overlap of rectangles.
        positive: how much more a quality pixel on a grasp counts than one beside it.
    """

    kind: str = "smooth_l1"
    quality: float = 1.0
    angle: float = 1.0
    width: float = 1.0
    outside: float = 1.0
    quality_kind: str | None = None
    relative_width: bool = False
    positive: float = 1.0

    def __post_init__(self) -> None:
        for name in ("quality", "angle", "width", "outside", "positive"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise InputError(f"loss: {name} is {value}, expected a number from 0 up")


def check_loss(settings: LossSettings, name: str, network: GraspNetwork) -> None:
    """Refuse cross-entropy for a network whose quality is no sigmoid: it would learn logits, which
    are then read as quality.

    Args:
        name: of the network.

    Raises:
        InputError: it is refused.
    """
    if settings.quality_kind == "bce" and not network.sigmoid_quality:
        raise InputError(
            f"loss: quality_kind is 'bce', but the quality of {name} is no sigmoid; expected mse "
            "or smooth_l1: --set loss.quality_kind=smooth_l1"
        )


class GraspLoss:
    """Weighted sum of the losses of the four maps, and each of them for the log.

    Args:
        settings: which loss.
        mean: a number's mean over the processes that train together. The counts that sums are
            divided by go through it, so that the mean of the processes' losses is the loss of all
            their pixels, however many each of them has.
    """

    def __init__(
        self, settings: LossSettings, mean: Callable[[Tensor], Tensor] = lambda count: count
    ) -> None:
        kinds = {"kind": list(PIXEL_LOSSES), "quality_kind": ["mse", "smooth_l1", "bce"]}
        for name, choices in kinds.items():
            given = getattr(settings, name)
            if given is not None and given not in choices:
                raise InputError(f"loss: {name} is {given!r}, expected one of {', '.join(choices)}")
        self.settings = settings
        self._mean = mean

    def __call__(
        self, raw: Tensor, activated: Tensor, target: Tensor, inside: Tensor, ignored: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Total and parts, each a mean over pixels.

        Args:
            raw: (N, 4, H, W) as the network's last layer gives it (cross-entropy needs logits).
            activated: (N, 4, H, W) after the network's activations.
            target: (N, 4, H, W).
            inside: (N, H, W) bool: a grasp is defined.
            ignored: (N, H, W) bool: counts in no part.
        """
        how = self.settings
        counted = (~ignored).float()
        weight = counted * torch.where(inside, 1.0, how.outside)
        # With outside = 0 the mean is over grasp pixels, so the scale stays comparable.
        total = self._mean(weight.sum()).clamp(min=_NOTHING)
        pixel = PIXEL_LOSSES[how.kind]

        kind = how.quality_kind or how.kind
        emphasis = counted * torch.where(inside, how.positive, 1.0)
        if kind == "bce":
            quality = functional.binary_cross_entropy_with_logits(
                raw[:, 0].float(), target[:, 0], reduction="none"
            )
        else:
            quality = PIXEL_LOSSES[kind](activated[:, 0].float(), target[:, 0])
        pixels = self._mean(emphasis.sum()).clamp(min=_NOTHING)
        parts = {"quality": (quality * emphasis).sum() / pixels}
        for channel, name in enumerate(("cos", "sin", "width"), start=1):
            guess, truth = activated[:, channel].float(), target[:, channel]
            if name == "width" and how.relative_width:
                guess, truth = _logarithmic(guess), _logarithmic(truth)
            if how.kind == "p_huber":
                guess, truth = guess * target[:, 0], truth * target[:, 0]
            error = pixel(guess, truth)
            parts[name] = (error * weight).sum() / total
        loss = (
            how.quality * parts["quality"]
            + how.angle * (parts["cos"] + parts["sin"])
            + how.width * parts["width"]
        )
        return loss, parts
