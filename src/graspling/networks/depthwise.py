"""Depthwise convolution whose training on a CPU is not held up by large kernels or by strides.

oneDNN has a fast gradient of the weights for kernels of 3 only. For 5 and 7 what PyTorch calls is
up to 35 times slower than for 3, most of a training step of KufeNet. A larger kernel is nine (or
four) kernels of 3 side by side, each of which sees the image shifted by multiples of 3.

With a stride, gradients in bf16 take 15 to 70 times as long as in single precision, a fifth of a
training step of Lite HRGrasp-Net, so they are computed in that.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_TILE = 3


class DepthwiseConv2d(nn.Conv2d):
    """Each channel convolved with a kernel of its own; no bias.

    The same numbers as ``nn.Conv2d(channels, channels, kernel, stride, kernel // 2,
    groups=channels, bias=False)``, and the same name of its weights.

    Args:
        channels: in and out.
        kernel: side, odd; padded by its half.
        stride: over rows and columns.
    """

    def __init__(self, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, channels, about H / stride, about W / stride)."""
        halved = torch.is_autocast_enabled("cpu")
        stride = self.stride[0]
        slow = self.kernel_size[0] > _TILE if stride == 1 else halved
        if not (slow and x.device.type == "cpu" and torch.is_grad_enabled()):
            return super().forward(x)
        weight = self.weight
        if halved:
            kind = torch.get_autocast_dtype("cpu")
            x, weight = x.to(kind), weight.to(kind)
        out: Tensor = _Depthwise.apply(x, weight, stride)
        return out


class _Depthwise(torch.autograd.Function):
    """Odd kernel, padded by its half."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        padding = weight.shape[-1] // 2
        return functional.conv2d(x, weight, None, stride, padding, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        side, count = weight.shape[-1], len(weight)
        to_x = to_weight = None
        with torch.autocast("cpu", enabled=False):
            if ctx.stride > 1:
                which = [*ctx.needs_input_grad[:2], False]
                found = torch.ops.aten.convolution_backward(
                    *(t.float() for t in (gradient, x, weight)),
                    *(None, [ctx.stride] * 2, [side // 2] * 2, [1, 1], False, [0, 0], count),
                    which,
                )
                to_x, to_weight = (None if g is None else g.to(x.dtype) for g in found[:2])
                return to_x, to_weight, None
            if ctx.needs_input_grad[0]:
                turned = weight.flip(2, 3)
                to_x = functional.conv2d(gradient, turned, padding=side // 2, groups=count)
            if ctx.needs_input_grad[1]:
                to_weight = _weight_gradient(x, gradient, side)
        return to_x, to_weight, None


def _weight_gradient(x: Tensor, gradient: Tensor, side: int) -> Tensor:
    """(N, C, H, W) twice to (C, 1, side, side), from tiles of 3 x 3."""
    channels, height, width = x.shape[1:]
    tiles, before = -(-side // _TILE), side // 2
    after = before + _TILE * tiles - side  # the last tiles reach beyond the kernel
    padded = functional.pad(x, (before, after, before, after))
    padded = padded.contiguous(memory_format=torch.channels_last)
    like = x.new_empty(channels, 1, _TILE, _TILE)

    def tile(row: int, column: int) -> Tensor:
        top, left = _TILE * row, _TILE * column
        seen = padded[:, :, top : top + height + 2, left : left + width + 2]
        which = [False, True, False]
        found: Tensor = torch.ops.aten.convolution_backward(
            gradient, seen, like, None, [1, 1], [0, 0], [1, 1], False, [0, 0], channels, which
        )[1]
        return found

    rows = [torch.cat([tile(i, j) for j in range(tiles)], 3) for i in range(tiles)]
    return torch.cat(rows, 2)[:, :, :side, :side]
