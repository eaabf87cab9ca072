"""Mish, x tanh(log(1 + e^x)), whose training on a CPU does not cost more than the convolutions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

# Elements at a time, so that what is between stays in the cache.
_CHUNK = 65536
# Above this e^x (e^x + 2) would leave the range of floats in the end; Mish is x there.
_LARGE = 20.0


class Mish(nn.Module):
    """Any shape to the same; the values of ``nn.Mish``, in training on a CPU in half the time.

    With n = e^x (e^x + 2), tanh(log(1 + e^x)) = n / (n + 2): one exponential does for the value and
    one for the slope, n / (n + 2) + 4 x e^x (e^x + 1) / (n + 2)^2.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu" and torch.is_grad_enabled():
            out: Tensor = _Mish.apply(x)
            return out
        return functional.mish(x)


class _Mish(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = _dense(x)
        ctx.save_for_backward(x)
        out = torch.empty_like(x)
        for part, into in zip(_chunks(x), _chunks(out), strict=True):
            values = part.float()
            into.copy_(torch.addcmul(values, values, _exponential(values)[1], value=-2.0))
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        out = torch.empty_like(x)
        if gradient.stride() != x.stride():
            gradient = torch.empty_like(x).copy_(gradient)
        for part, given, into in zip(_chunks(x), _chunks(gradient), _chunks(out), strict=True):
            values = part.float()
            power, inverse = _exponential(values)
            slope = power.add(1.0).mul_(power).mul_(inverse).mul_(inverse).mul_(values).mul_(4.0)
            into.copy_(slope.add_(1.0).sub_(inverse, alpha=2.0).mul_(given))
        return out


def _exponential(values: Tensor) -> tuple[Tensor, Tensor]:
    """e^x and 1 / (n + 2)."""
    power = values.clamp(max=_LARGE).exp_()
    return power, power.add(2.0).mul_(power).add_(2.0).reciprocal_()


def _dense(x: Tensor) -> Tensor:
    """Without gaps in memory, in whatever order."""
    last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return x if last else x.contiguous()


def _chunks(x: Tensor) -> tuple[Tensor, ...]:
    return x.as_strided((x.numel(),), (1,)).split(_CHUNK)
