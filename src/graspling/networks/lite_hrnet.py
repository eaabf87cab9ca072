"""Lite-HRNet: HRNet's branches with weighted channels in place of convolutions.

C. Yu et al., "Lite-HRNet: A Lightweight High-Resolution Network", CVPR 2021, sections 3.1 to 3.3
and figure 2(b): the backbone of Lite HRGrasp-Net (see graspling.networks.litegrasp). Where batch
norms and activations stand follows the authors' public code, with two exceptions:

- that code, exchanging between branches, adds the finest one twice and changes it in place while
  others still read it; here each branch is added once;
- that code pools adaptively to the coarsest branch; here windows of 2, 4 and 8 pixels, the same
  numbers for inputs that are multiples of 32, and ONNX can hold them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graspling.networks.blocks import conv_bn_relu
from graspling.networks.depthwise import DepthwiseConv2d
from graspling.networks.hrnet import MultiResolution, conv_bn

# Modules in stages 2, 3 and 4 of Lite-HRNet-18, and units in each module.
MODULES = (2, 4, 2)
UNITS = 2
# Channels of the stem, and by how much each of the two weightings reduces them inside.
STEM = 32
ACROSS = 8
WITHIN = 4


class Weighting(nn.Sequential):
    """1x1 convolution, ReLU, 1x1 convolution, sigmoid: a weight in [0, 1] for each channel.

    The first bias starts at 1: behind global pooling, where two to eighteen numbers stand between
    the layers and no batch norm, a ReLU that starts at zero for every image would stay there.

    Args:
        channels: in and out.
        reduction: the layers meet in channels // reduction.
        norm: batch norm behind both convolutions, in place of their biases.
    """

    def __init__(self, channels: int, reduction: int, *, norm: bool) -> None:
        inner = channels // reduction
        if norm:
            layers = [conv_bn_relu(channels, inner, 1), *conv_bn(inner, channels, 1)]
        else:
            first = nn.Conv2d(channels, inner, 1)
            assert first.bias is not None
            nn.init.ones_(first.bias)
            layers = [first, nn.ReLU(inplace=True), nn.Conv2d(inner, channels, 1)]
        super().__init__(*layers, nn.Sigmoid())


class WeightedUnit(nn.Module):
    """Conditional channel weighting: half of the channels of every branch, weighted twice.

    That half is multiplied by weights for each place of the coarsest resolution, computed from
    all branches together (section 3.2, "cross-resolution weight computation"); passes a
    depthwise 3x3 convolution and batch norm; and is multiplied by weights for each channel,
    computed from its mean ("spatial weight computation"). Both halves are then interleaved.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.halves = [width // 2 for width in widths]
        self.across = Weighting(sum(self.halves), ACROSS, norm=True)
        self.depthwise = nn.ModuleList(_depthwise(half) for half in self.halves)
        self.within = nn.ModuleList(Weighting(half, WITHIN, norm=False) for half in self.halves)

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """Branches (N, widths[i], H / 2^i, W / 2^i) to the same shapes."""
        kept, changed = zip(*(x.chunk(2, dim=1) for x in branches), strict=True)
        windows = [2**level for level in reversed(range(len(branches)))]
        small = [
            F.avg_pool2d(x, window) if window > 1 else x
            for x, window in zip(changed, windows, strict=True)
        ]
        weights = self.across(torch.cat(small, dim=1)).split(self.halves, dim=1)
        mixed = []
        for level, window in enumerate(windows):
            weight = weights[level]
            if window > 1:
                weight = F.interpolate(weight, scale_factor=float(window), mode="nearest")
            x = self.depthwise[level](changed[level] * weight)
            x = x * self.within[level](x.mean((2, 3), keepdim=True))
            mixed.append(interleave(kept[level], x))
        return mixed


class Stem(nn.Module):
    """A 3x3 convolution and a shuffle unit, each with stride 2; 32 channels.

    The unit gives one half a depthwise and a 1x1 convolution, and the other a 1x1, a depthwise
    and a 1x1 convolution (with all 32 channels between).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = STEM // 2
        self.first = conv_bn_relu(channels, STEM, 3, stride=2)
        self.short = nn.Sequential(_depthwise(half, 2), conv_bn_relu(half, half, 1))
        self.long = nn.Sequential(
            conv_bn_relu(half, STEM, 1), _depthwise(STEM, 2), conv_bn_relu(STEM, half, 1)
        )

    def forward(self, image: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, 32, H / 4, W / 4)."""
        one, other = self.first(image).chunk(2, dim=1)
        return interleave(self.short(one), self.long(other))


def lite_hrnet(channels: int, width: int) -> MultiResolution:
    """Lite-HRNet-18 with branches of ``width``, 2, 4 and 8 times that, four resolutions out.

    The original has 40, 80, 160 and 320 channels; LiteGrasp's 18 and 48 are those of its HRNets,
    so that feature maps of both match in shape (section III-D).

    The first weights are a decision: 0.85 of He's distribution. The weightings have as few as two
    numbers between their layers, and with PyTorch's smaller weights some of their ReLUs are zero
    for all images; with all of He's, sums over branches grow until bf16 is off by a tenth.

    Args:
        channels: of the image.
        width: of the finest branch.
    """
    network = MultiResolution(Stem(channels), STEM, width, MODULES, _units, _separable)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            layer.weight.data.mul_(0.85)
    return network


def interleave(first: Tensor, second: Tensor) -> Tensor:
    """Two maps (N, C, H, W) to one (N, 2C, H, W), channels taken from both in turn.

    It is the channel shuffle of two groups that were laid behind each other.
    """
    return torch.stack([first, second], dim=2).flatten(1, 2)


def _units(widths: Sequence[int]) -> nn.Module:
    return nn.Sequential(*(WeightedUnit(widths) for _ in range(UNITS)))


def _depthwise(channels: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        DepthwiseConv2d(channels, 3, stride),
        nn.BatchNorm2d(channels),
    )


def _separable(inputs: int, outputs: int, stride: int, relu: bool) -> nn.Module:
    last = conv_bn_relu(inputs, outputs, 1) if relu else conv_bn(inputs, outputs, 1)
    return nn.Sequential(_depthwise(inputs, stride), last)
