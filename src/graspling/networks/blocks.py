"""Layers that several networks share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

# Where a sigmoid of quality starts: roughly 5 % of the pixels lie on a grasp. From 1/2 its bias is
# driven down so hard that it can end where the sigmoid is flat, and quality stays 0 for good.
PRIOR_LOGIT = -3.0


def conv_bn_relu(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int | None = None
) -> nn.Sequential:
    """Convolution, batch norm, ReLU; padded to keep the size unless said otherwise."""
    padding = kernel // 2 if padding is None else padding
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Heads(nn.Module):
    """One convolution for each of quality, cos 2a, sin 2a and width, side by side.

    Args:
        inputs: channels of the last feature map.
        kernel: of the convolutions, which are not padded: a kernel of 2 drops one row and column.
        dropout: share of the features set to zero before each head, drawn for each apart.
    """

    def __init__(self, inputs: int, kernel: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.quality = nn.Conv2d(inputs, 1, kernel)
        self.cos = nn.Conv2d(inputs, 1, kernel)
        self.sin = nn.Conv2d(inputs, 1, kernel)
        self.width = nn.Conv2d(inputs, 1, kernel)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """(N, inputs, H, W) to raw maps (N, 4, H - kernel + 1, W - kernel + 1)."""
        heads = (self.quality, self.cos, self.sin, self.width)
        # In training one convolution is much faster than four; a hook, as of a tap, wants each.
        watched = any(head._forward_hooks for head in heads)
        if torch.is_grad_enabled() and not (self.dropout.p or watched):
            weight = torch.cat([head.weight for head in heads])
            biases = [head.bias for head in heads if head.bias is not None]
            return functional.conv2d(features, weight, torch.cat(biases))
        return torch.cat([head(self.dropout(features)) for head in heads], dim=1)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm around which the input is added.

    Args:
        channels: in and out.
        last_relu: a ReLU after the addition (ResNet has it, GR-ConvNet has not).
        bias: of the convolutions, superfluous before batch norm but counted in some papers.
        dilation: of both convolutions.
    """

    def __init__(
        self, channels: int, *, last_relu: bool = True, bias: bool = False, dilation: int = 1
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, dilation, dilation, bias=bias)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, dilation, dilation, bias=bias)
        self.norm2 = nn.BatchNorm2d(channels)
        self.last_relu = last_relu

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        inner = torch.relu(self.norm1(self.conv1(x)))
        out = x + self.norm2(self.conv2(inner))
        return torch.relu(out) if self.last_relu else out


@contextmanager
def statistics_kept(network: nn.Module) -> Iterator[None]:
    """Within it, batch norm works as ever (by the batch, while in training), but its running
    statistics do not follow."""
    every = (m for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    norms = [norm for norm in every if norm.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def xavier_uniform(network: nn.Module, kinds: Sequence[type[nn.Module]] | None = None) -> None:
    """Draw the weights of all convolutions from Glorot's uniform distribution, gain 1.

    Args:
        network: initialised in place; biases keep PyTorch's default.
        kinds: the layers meant; plain and transposed 2-D convolutions by default.
    """
    meant = tuple(kinds or (nn.Conv2d, nn.ConvTranspose2d))
    for layer in network.modules():
        if isinstance(layer, meant):
            nn.init.xavier_uniform_(layer.weight)  # type: ignore[arg-type]
