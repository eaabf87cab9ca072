"""graspling's own networks: small, fast and accurate at once.

Few parameters are not few milliseconds: a processor is fast at dense convolutions on small maps
and slow at depthwise ones on large maps. So these networks stride early, work with dense 3x3
kernels from a quarter of the resolution down, enlarge by pixel shuffle and have one head.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from graspling.errors import InputError
from graspling.networks.base import GraspNetwork
from graspling.networks.blocks import ResidualBlock, conv_bn_relu

# Share of pixels that lie on a grasp, roughly: where the sigmoid of quality starts.
_PRIOR_LOGIT = -3.0


class GrasplingNet(GraspNetwork):
    """A U of residual blocks on patches.

    Going down, level i has ``depths[i]`` residual blocks of ``widths[i]`` channels: the first on
    non-overlapping patches of ``patch`` pixels, each further one on the 2x2 patches of the level
    above. Going up, a 1x1 convolution and a pixel shuffle double the resolution, the level's own
    output is concatenated, and a 3x3 convolution mixes both. A 1x1 convolution and a pixel
    shuffle by ``patch`` give the maps. Batch norm and ReLU follow every convolution but the last.

    Quality is the sigmoid of its raw map; cos, sin and width are the raw maps themselves.

    Args:
        channels: of the input.
        widths: channels of each level.
        depths: residual blocks of each level.
        dilations: of the residual blocks of the last level, in order (1 where it runs out).
        patch: side of the first patches, pixels.
    """

    sources = "graspling: this project"

    def __init__(
        self,
        channels: int,
        widths: Sequence[int] = (24, 48, 64),
        depths: Sequence[int] = (1, 1, 2),
        dilations: Sequence[int] = (),
        patch: int = 4,
    ) -> None:
        super().__init__(channels)
        if len(widths) != len(depths) or not widths:
            raise InputError(f"{len(widths)} widths and {len(depths)} depths, expected as many")
        self.multiple = patch * 2 ** (len(widths) - 1)
        self.down = nn.ModuleList()
        self.levels = nn.ModuleList()
        above, side = channels, patch
        for level, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            last = level == len(widths) - 1
            spread = [*dilations, *[1] * depth][:depth] if last else [1] * depth
            self.down.append(conv_bn_relu(above, width, side, stride=side, padding=0))
            self.levels.append(nn.Sequential(*(ResidualBlock(width, dilation=d) for d in spread)))
            above, side = width, 2
        self.up = nn.ModuleList()
        self.mix = nn.ModuleList()
        for below, width in zip(widths[:0:-1], widths[-2::-1], strict=True):
            self.up.append(nn.Sequential(conv_bn_relu(below, 4 * width, 1), nn.PixelShuffle(2)))
            self.mix.append(conv_bn_relu(2 * width, width, 3))
        self.head = nn.Conv2d(widths[0], 4 * patch**2, 1)
        self.shuffle = nn.PixelShuffle(patch)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.normal_(self.head.weight, std=0.01)
        with torch.no_grad():
            assert self.head.bias is not None
            self.head.bias.zero_()
            self.head.bias[: patch**2] = _PRIOR_LOGIT

    def maps(self, image: Tensor) -> Tensor:
        skips: list[Tensor] = []
        x = image
        for down, level in zip(self.down, self.levels, strict=True):
            x = level(down(x))
            skips.append(x)
        skips.pop()
        for up, mix in zip(self.up, self.mix, strict=True):
            x = mix(torch.cat([up(x), skips.pop()], dim=1))
        return self.shuffle(self.head(x))

    def activate(self, raw: Tensor) -> Tensor:
        return torch.cat([torch.sigmoid(raw[:, :1]), raw[:, 1:]], dim=1)
