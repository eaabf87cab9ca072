"""What training minimises, as published.

Every loss compares raw maps (N, 4, H, W) (quality, cos 2a, sin 2a, width / side) with targets of
the same shape and leaves out the pixels that are ignored because their label is ambiguous.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from graspling.errors import InputError

PixelLoss = Callable[[Tensor, Tensor], Tensor]


def _mse(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.mse_loss(prediction, target, reduction="none")


def _smooth_l1(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.smooth_l1_loss(prediction, target, reduction="none")


# Widths well above this share of the input's side are compared by their ratio.
_SMALL_WIDTH = 0.02


def _logarithmic(width: Tensor) -> Tensor:
    """log(width) but for a constant where width is large against _SMALL_WIDTH, linear near 0."""
    return torch.asinh(width / (2 * _SMALL_WIDTH))


PIXEL_LOSSES: dict[str, PixelLoss] = {"mse": _mse, "smooth_l1": _smooth_l1}


@dataclass(frozen=True)
class LossSettings:
    """Which loss, and the weight of each part.

    Attributes:
        kind: mse (GG-CNN, section V) or smooth_l1 (GR-ConvNet, section IV-E).
        quality: weight of the quality map.
        angle: weight of cos 2a and of sin 2a.
        width: weight of the width map.
        outside: weight of cos, sin and width where no grasp is: 1 as published (the target there
            is 0), 0 to ask for them on grasps alone. The decoder weighs by quality, so nothing
            is needed of them elsewhere.
        quality_kind: another loss for quality; "bce" is the cross-entropy of a network whose
            quality is a sigmoid.
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


class GraspLoss:
    """Weighted sum of the losses of the four maps, and each of them for the log."""

    def __init__(self, settings: LossSettings) -> None:
        choices = [*PIXEL_LOSSES, "bce"]
        for name in (settings.kind, settings.quality_kind or settings.kind):
            if name not in choices:
                raise InputError(f"loss {name!r} is unknown; choose one of {', '.join(choices)}")
        self.settings = settings

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
        total = weight.sum().clamp(min=1.0)
        pixel = PIXEL_LOSSES[how.kind]

        kind = how.quality_kind or how.kind
        emphasis = counted * torch.where(inside, how.positive, 1.0)
        if kind == "bce":
            quality = functional.binary_cross_entropy_with_logits(
                raw[:, 0].float(), target[:, 0], reduction="none"
            )
        else:
            quality = PIXEL_LOSSES[kind](activated[:, 0].float(), target[:, 0])
        parts = {"quality": (quality * emphasis).sum() / emphasis.sum().clamp(min=1.0)}
        for channel, name in enumerate(("cos", "sin", "width"), start=1):
            guess, truth = activated[:, channel].float(), target[:, channel]
            if name == "width" and how.relative_width:
                guess, truth = _logarithmic(guess), _logarithmic(truth)
            error = pixel(guess, truth)
            parts[name] = (error * weight).sum() / total
        loss = (
            how.quality * parts["quality"]
            + how.angle * (parts["cos"] + parts["sin"])
            + how.width * parts["width"]
        )
        return loss, parts
