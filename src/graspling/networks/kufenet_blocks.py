"""Blocks of KufeNet: multi-scale separable convolutions and channel attention.

Sources as in graspling.networks.kufenet: figure 3 (blocks), figure 4 (attention).
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from graspling.networks.checks import check_choice
from graspling.networks.depthwise import DepthwiseConv2d

Attention = Literal["conv3d", "se", "none"]
# Kernels of the three parts of a multi-scale block (figure 3).
_SCALES = (3, 5, 7)


class MultiScale(nn.Module):
    """Depthwise-separable convolutions of 3, 5 and 7 side by side (figure 3).

    Args:
        inputs, outputs: channels, multiples of 3.
        copy: each kernel sees all inputs (the depth block) instead of a third of them (colour).
    """

    def __init__(self, inputs: int, outputs: int, copy: bool) -> None:
        super().__init__()
        self.copy = copy
        each = inputs if copy else inputs // len(_SCALES)
        self.scales = nn.ModuleList(separable(each, outputs // len(_SCALES), k) for k in _SCALES)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        count = len(self.scales)
        parts = [x] * count if self.copy else x.chunk(count, dim=1)
        return torch.cat([scale(p) for scale, p in zip(self.scales, parts, strict=True)], dim=1)


class ChannelAttention(nn.Module):
    """Each channel weighted by what is seen in all of them (figure 4).

    Squeeze to one number a channel, then two linear layers (channels / 16 in between, at least 4)
    with SiLU and a sigmoid. Squeeze-excitation squeezes by the mean. 3-D-convolution attention
    reads the feature maps as a volume (channel, row, column): four kernels of 3x7x7 with stride 7
    over rows and columns, SiLU, the mean over the places, and a linear layer that joins the four.
    The slides give neither kernels nor layers; SiLU keeps the few hidden units from dying.

    Args:
        channels: in and out.
        volume: squeeze by 3-D convolution.
    """

    def __init__(self, channels: int, volume: bool = True) -> None:
        super().__init__()
        hidden = max(channels // 16, 4)
        self.volume = VolumeConv(4, 3, 7) if volume else None
        self.join = nn.Linear(4, 1) if volume else None
        self.excite = nn.Sequential(
            nn.Linear(channels, hidden), nn.SiLU(), nn.Linear(hidden, channels), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        if self.volume is not None and self.join is not None:
            seen = functional.silu(self.volume(x)).mean((3, 4))  # (N, 4, channels)
            squeezed = self.join(seen.transpose(1, 2)).squeeze(2)
        else:
            squeezed = x.mean((2, 3))
        return x * self.excite(squeezed)[:, :, None, None]


class VolumeConv(nn.Conv2d):
    """A 3-D convolution of feature maps seen as a volume with one channel.

    Its weights have four dimensions (outputs, depth, side, side), since a network with weights of
    five cannot be converted to channels_last. The stride over rows and columns is the side.
    """

    def __init__(self, outputs: int, depth: int, side: int) -> None:
        super().__init__(depth, outputs, side, stride=side, padding=side // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, outputs, C, about H / side, about W / side)."""
        if _trains_on_cpu(x):
            return self.by_patches(_GradientAlike.apply(x))
        return self.by_volume(x)

    def by_volume(self, x: Tensor) -> Tensor:
        """As PyTorch does it, and as it is exported."""
        depth, side = self.weight.shape[1:3]
        return functional.conv3d(
            x[:, None].contiguous(),
            self.weight[:, None].contiguous(),
            self.bias,
            stride=(1, side, side),
            padding=(depth // 2, side // 2, side // 2),
        )

    def by_patches(self, x: Tensor) -> Tensor:
        """The same by a matrix product, whose gradient on a CPU takes a fifth of the time.

        The patches of side x side do not overlap, so they are but the image in another order.
        """
        outputs, depth, side = self.weight.shape[:3]
        count, channels, height, width = x.shape
        before = side // 2
        rows, columns = ((size + 2 * before - side) // side + 1 for size in (height, width))
        right, below = columns * side - width - before, rows * side - height - before
        padded = functional.pad(x, (before, right, before, below))
        patches = padded.reshape(count, channels, rows, side, columns, side).transpose(3, 4)
        taps = patches.reshape(count, channels, rows * columns, side**2) @ self.weight.reshape(
            outputs * depth, side**2
        ).transpose(0, 1)
        taps = taps.unflatten(3, (outputs, depth))
        taps = functional.pad(taps, (0, 0, 0, 0, 0, 0, depth // 2, depth // 2))
        seen = taps[:, :channels, :, :, 0]
        for k in range(1, depth):
            seen = seen + taps[:, k : k + channels, :, :, k]
        if self.bias is not None:
            seen = seen + self.bias
        return seen.permute(0, 3, 1, 2).unflatten(3, (rows, columns))


def attention_of(channels: int, kind: Attention) -> nn.Module:
    """The attention of a name; "none" is the identity."""
    check_choice("attention", kind, ("conv3d", "se", "none"))
    return nn.Identity() if kind == "none" else ChannelAttention(channels, kind == "conv3d")


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Channels of ``groups`` equal groups in turn, (N, C, H, W) to the same shape."""
    if _trains_on_cpu(x) and x.is_contiguous(memory_format=torch.channels_last):
        # In its layout; the other way would leave it, and all gradients that come back with it.
        last = x.permute(0, 2, 3, 1).unflatten(3, (groups, -1)).transpose(3, 4).flatten(3)
        return last.permute(0, 3, 1, 2)
    return x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)


def separable(inputs: int, outputs: int, kernel: int = 3, *, groups: int = 1) -> nn.Sequential:
    """Depthwise, then pointwise convolution (in groups), batch norm, ReLU."""
    return nn.Sequential(
        DepthwiseConv2d(inputs, kernel),
        nn.Conv2d(inputs, outputs, 1, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _trains_on_cpu(x: Tensor) -> bool:
    """There what is exported is slow, and another way to the same numbers pays."""
    return x.device.type == "cpu" and torch.is_grad_enabled()


class _GradientAlike(torch.autograd.Function):
    """The identity, whose gradient has the layout of the input, as all it is added to."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.last = x.is_contiguous(memory_format=torch.channels_last)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.contiguous(memory_format=torch.channels_last) if ctx.last else gradient
