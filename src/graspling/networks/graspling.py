"""graspling's own networks: small, fast and accurate at once.

Few parameters are not few milliseconds: a processor is fast at dense convolutions on small maps
and slow at depthwise ones on large maps. So these networks stride early, work with dense 3x3
kernels from a quarter of the resolution down, and have one head that a pixel shuffle enlarges.
Channels in multiples of 16 cost nothing extra in ONNX Runtime: it computes 24 as 32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from graspling.errors import InputError
from graspling.networks.base import GraspNetwork
from graspling.networks.blocks import PRIOR_LOGIT, ResidualBlock, conv_bn_relu
from graspling.networks.checks import check_choice, check_row, check_whole

Stem = Literal["patch", "overlap", "colour deeper", "depth deeper"]


class GrasplingNet(GraspNetwork):
    """A U of residual blocks on patches.

    Going down, level i has ``depths[i]`` residual blocks of ``widths[i]`` channels: the first on
    non-overlapping patches of ``patch`` pixels, each further one on the 2x2 patches of the level
    above. Going up, a 1x1 convolution and an enlargement double the resolution, the level's own
    output joins, and a 3x3 convolution mixes both. A 1x1 convolution and a pixel shuffle by
    ``patch`` give the maps. Batch norm and ReLU follow every convolution but the last.

    Quality is the sigmoid of its raw map; cos, sin and width are the raw maps themselves.

    Args:
        channels: of the input.
        widths: channels of each level.
        depths: residual blocks of each level.
        dilations: of the residual blocks of the last level, in order (1 where it runs out).
        patch: side of the first patches, pixels.
        stem: "patch", or "overlap" for two 3x3 convolutions with stride 2 in place of patches of
            4, the first with half the channels. For images of colour and depth also "colour
            deeper" and "depth deeper": patches of their own for each, and a residual block more
            for the one that is named, before a 1x1 convolution joins them.
        enlarge: "shuffle" (of four times the channels) or "bilinear".
        join: "concat" or "add".
    """

    sigmoid_quality = True
    sources = "graspling: this project"

    def __init__(
        self,
        channels: int,
        widths: Sequence[int] = (16, 32, 64, 64),
        depths: Sequence[int] = (1, 1, 2, 2),
        dilations: Sequence[int] = (),
        patch: int = 4,
        stem: Stem = "patch",
        enlarge: Literal["shuffle", "bilinear"] = "bilinear",
        join: Literal["concat", "add"] = "add",
    ) -> None:
        super().__init__(channels)
        check_choice("stem", stem, get_args(Stem))
        check_choice("enlarge", enlarge, ("shuffle", "bilinear"))
        check_choice("join", join, ("concat", "add"))
        # An overlapping stem begins with half the channels.
        check_row("GrasplingNet", "widths", widths, None, least=2 if stem == "overlap" else 1)
        check_row("GrasplingNet", "depths", depths, None, least=0)
        check_row("GrasplingNet", "dilations", dilations, None)
        check_whole("GrasplingNet", "patch", patch)
        if len(widths) != len(depths) or not widths:
            raise InputError(
                f"{len(widths)} widths and {len(depths)} depths, expected one of each a level"
            )
        if stem == "overlap" and patch != 4:
            raise InputError(f"an overlapping stem has patches of 4 pixels, got {patch}")
        if stem.endswith("deeper") and channels != 4:
            raise InputError(
                f"the stem {stem!r} is for colour and depth, 4 channels; got {channels} of them"
            )
        self.multiple = patch * 2 ** (len(widths) - 1)
        self.join = join

        first = widths[0]
        self.down = nn.ModuleList([_stem(stem, channels, first, patch)])
        self.down.extend(_patches(*pair, 2) for pair in zip(widths, widths[1:], strict=False))
        spread = [[1] * depth for depth in depths]
        spread[-1] = [*dilations, *spread[-1]][: depths[-1]]
        self.levels = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(width, dilation=d) for d in level))
            for width, level in zip(widths, spread, strict=True)
        )

        upwards = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(_enlarged(*pair, enlarge) for pair in upwards)
        joined = 2 if join == "concat" else 1
        self.mix = nn.ModuleList(conv_bn_relu(joined * width, width, 3) for _, width in upwards)
        self.head = nn.Conv2d(first, 4 * patch**2, 1)
        self.shuffle = nn.PixelShuffle(patch)
        self._initialise(patch)

    def _initialise(self, patch: int) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        # Start near "no grasp anywhere", so that the first steps do not go into learning that.
        nn.init.normal_(self.head.weight, std=0.01)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)
        nn.init.constant_(self.head.bias.data[: patch**2], PRIOR_LOGIT)

    def maps(self, image: Tensor) -> Tensor:
        x, skips = image, []
        for down, level in zip(self.down, self.levels, strict=True):
            x = level(down(x))
            skips.append(x)
        skips.pop()
        for up, mix in zip(self.up, self.mix, strict=True):
            x, skip = up(x), skips.pop()
            x = mix(x + skip if self.join == "add" else torch.cat([x, skip], dim=1))
        return self.shuffle(self.head(x))


class _Apart(nn.Module):
    """Colour and depth by themselves, one of them deeper, then joined."""

    def __init__(self, width: int, patch: int, deeper: str) -> None:
        super().__init__()
        self.colour = nn.Sequential(_patches(3, width, patch))
        self.depth = nn.Sequential(_patches(1, width, patch))
        getattr(self, deeper).append(ResidualBlock(width))
        self.join = conv_bn_relu(2 * width, width, 1)

    def forward(self, image: Tensor) -> Tensor:
        both = self.colour(image[:, :3]), self.depth(image[:, 3:])
        return self.join(torch.cat(both, dim=1))


def _stem(kind: str, channels: int, width: int, patch: int) -> nn.Module:
    if kind == "overlap":
        half = conv_bn_relu(channels, width // 2, 3, stride=2)
        return nn.Sequential(half, conv_bn_relu(width // 2, width, 3, stride=2))
    if kind.endswith("deeper"):
        return _Apart(width, patch, kind.split()[0])
    return _patches(channels, width, patch)


def _patches(inputs: int, outputs: int, side: int) -> nn.Sequential:
    return conv_bn_relu(inputs, outputs, side, stride=side, padding=0)


def _enlarged(inputs: int, outputs: int, how: str) -> nn.Sequential:
    if how == "shuffle":
        return nn.Sequential(conv_bn_relu(inputs, 4 * outputs, 1), nn.PixelShuffle(2))
    double = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    return nn.Sequential(conv_bn_relu(inputs, outputs, 1), double)
