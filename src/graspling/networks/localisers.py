"""What looks at a depth image and says a few numbers: the backbones of GQ-STN and its baselines.

``34`` and ``18`` are ResNets (He et al. 2016) with one input channel, global average pooling and a
linear layer, as GQ-STN, section IV-B, has them. ``light`` is for a processor: seven convolutions,
about 0.2 M parameters, that look at 112 x 112 pixels; it keeps the grid of 7 x 7 places until the
linear layers, because a mean over places would forget where something is. What finds the centre of
a grasp has no linear layers over places at all, see ``places.py``.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from graspling.networks.blocks import conv_bn_relu
from graspling.networks.resgrasp import ResNet

Backbone = Literal["light", "18", "34"]
CELLS = 7  # places a side of the last feature map at 224 pixels
SIDE = 224  # pixels of the input
# Depth is given relative to the image's mean, in units of 5 cm: objects are a unit or two high.
UNIT = 0.05  # metres
_CLIP = 4.0
_LOW = 0.01  # metres: the unit of the relief
_BLOCK = 8  # pixels of a block; the surroundings are three blocks wide


def seen_at(image: Tensor, side: int) -> Tensor:
    """(N, 1, 224, 224) as a backbone of another input side looks at it: means of whole blocks."""
    factor = image.shape[-1] // side
    return functional.avg_pool2d(image, factor) if factor > 1 else image


def standard_depth(image: Tensor, mean: Tensor) -> Tensor:
    """Depth (N, 1, H, W) in metres, less ``mean`` (N,), in units of 5 cm within +-20 cm."""
    return ((image - mean[:, None, None, None]) / UNIT).clamp(-_CLIP, _CLIP)


def relief(look: Tensor) -> Tensor:
    """(N, 1, S, S) standardised depth less the mean of its surroundings, in units of 1 cm within
    +-4 cm: what is low stands out, also on a table that the camera sees obliquely, whose own slope
    is gone."""
    coarse = functional.avg_pool2d(look, _BLOCK)
    coarse = functional.avg_pool2d(
        functional.pad(coarse, (1, 1, 1, 1), mode="replicate"), 3, stride=1
    )
    around = functional.interpolate(
        coarse, scale_factor=float(_BLOCK), mode="bilinear", align_corners=False
    )
    return ((look - around) * (UNIT / _LOW)).clamp(-_CLIP, _CLIP)


class LightFeatures(nn.Module):
    """(N, 1, 112, 112) to (N, 64, 7, 7); beside the depth it looks at its :func:`relief`."""

    channels, side = 64, 112
    kept = (2, 4, 6)  # layers with the last map of each size

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            conv_bn_relu(2, 16, 5, stride=2),
            conv_bn_relu(16, 32, 3, stride=2),
            conv_bn_relu(32, 32, 3),
            conv_bn_relu(32, 48, 3, stride=2),
            conv_bn_relu(48, 48, 3),
            conv_bn_relu(48, 64, 3, stride=2),
            conv_bn_relu(64, 64, 3),
        )

    def forward(self, look: Tensor) -> Tensor:
        return self.maps(look)[-1]

    def maps(self, look: Tensor) -> list[Tensor]:
        """(N, 32, 28, 28), (N, 48, 14, 14) and (N, 64, 7, 7)."""
        image, found = torch.cat([look, relief(look)], dim=1), []
        for number, layer in enumerate(self.layers):
            image = layer(image)
            if number in self.kept:
                found.append(image)
        return found


class ResNetFeatures(nn.Module):
    """(N, 1, 224, 224) to (N, 512, 7, 7): the last stage of a ResNet."""

    channels, side = 512, SIDE

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.resnet = ResNet(1, depth)

    def forward(self, image: Tensor) -> Tensor:
        return self.resnet(image)[-1]


def features(backbone: Backbone) -> LightFeatures | ResNetFeatures:
    """A backbone with fresh weights."""
    return LightFeatures() if backbone == "light" else ResNetFeatures(int(backbone))


class Localiser(nn.Module):
    """A depth image to ``outputs`` raw numbers.

    Its last layer starts at nearly nothing, so that a fresh network says the middle of every
    range: the centre of the image, the mean scale, the mean height.
    """

    def __init__(self, backbone: Backbone, outputs: int) -> None:
        super().__init__()
        self.features = features(backbone)
        self.side = self.features.side
        channels = self.features.channels
        if backbone == "light":
            self.head: nn.Module = nn.Sequential(
                conv_bn_relu(channels, 16, 1),
                nn.Flatten(),
                nn.Linear(16 * CELLS**2, 128),
                nn.ReLU(),
            )
            channels = 128
        else:
            self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.last = nn.Linear(channels, outputs)
        nn.init.normal_(self.last.weight, std=1e-3)
        nn.init.zeros_(self.last.bias)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 1, side, side), standardised, to (N, outputs)."""
        return self.last(self.head(self.features(image)))


class Statistics(nn.Module):
    """Numbers of the training set that turn raw outputs into sizes and heights, kept with the
    weights: mean scale (gamma), mean and standard deviation of z less the image's mean, metres."""

    gamma: Tensor
    z_mean: Tensor
    z_std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("gamma", torch.tensor(0.3))
        self.register_buffer("z_mean", torch.tensor(0.0))
        self.register_buffer("z_std", torch.tensor(0.05))

    @torch.no_grad()
    def measure(self, scale: Tensor, height: Tensor) -> None:
        """From training grasps: their scales (N,) and z less the mean of their images (N,)."""
        self.gamma.copy_(scale.log().mean().exp())
        self.z_mean.copy_(height.mean())
        self.z_std.copy_(height.std().clamp(min=1e-4))
