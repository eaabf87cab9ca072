"""The pose head of LiteGrasp on ResNets: the plain backbones of its table V.

L. Peng et al., "LiteGrasp", RA-L 2024, table V; K. He et al., "Deep Residual Learning for Image
Recognition", CVPR 2016, table 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graspling.errors import InputError
from graspling.networks.blocks import ResidualBlock, conv_bn_relu
from graspling.networks.hrnet import Bottleneck, conv_bn
from graspling.networks.litegrasp import LiteGraspNetwork, PoseHead

# Blocks of each stage; bottlenecks from 50 layers on.
DEPTHS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
# What ResNet knows beside what table V compares.
_BLOCKS = {**DEPTHS, 34: (3, 4, 6, 3)}


class ResNet(nn.Module):
    """ResNet without its classifier, the output of all four stages.

    Attributes:
        widths: channels of the four maps.
        stage1 to stage4: conv2_x to conv5_x of table 1 there; each gives one map.
    """

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            *conv_bn_relu(channels, 64, 7, stride=2), nn.MaxPool2d(3, stride=2, padding=1)
        )
        basic = depth < 50
        self.widths = [64 * 2**level * (1 if basic else 4) for level in range(4)]
        inputs = 64
        for level, (outputs, blocks) in enumerate(zip(self.widths, _BLOCKS[depth], strict=True)):
            stride = 2 if level else 1
            if not basic:
                layers = [Bottleneck(inputs, outputs // 4, stride)]
                layers += [Bottleneck(outputs, outputs // 4) for _ in range(blocks - 1)]
                stage = nn.Sequential(*layers)
            elif level:
                rest = [ResidualBlock(outputs) for _ in range(blocks - 1)]
                stage = nn.Sequential(_Halving(inputs, outputs), *rest)
            else:
                stage = nn.Sequential(*(ResidualBlock(outputs) for _ in range(blocks)))
            self.add_module(f"stage{level + 1}", stage)
            inputs = outputs

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, C, H, W) to four maps (N, widths[i], H / 2^(2 + i), W / 2^(2 + i))."""
        x, found = self.stem(image), []
        for level in range(4):
            x = self.get_submodule(f"stage{level + 1}")(x)
            found.append(x)
        return found


class ResGrasp(LiteGraspNetwork):
    """A ResNet and the pose head of HRGrasp-Net.

    The head wants four maps like HRNet's, so a 1x1 convolution, batch norm and ReLU bring each
    stage of the ResNet to the channels of HRNet-W18 (for 18 layers) or W48 (from 50 on): without
    it the adapter would mix 3840 channels at a quarter of the resolution, 34 M parameters and
    over 100 GMAC more. The paper only prints the parameters of the backbones: 25.6, 44.5 and
    60.2 M are ImageNet's ResNets with their classifier of 2 M (which has no place here; the head
    happens to be as large), 11.2 M is ResNet-18 without it.

    Args:
        channels: of the input.
        depth: 18, 50, 101 or 152 layers.

    Raises:
        InputError: another depth.
    """

    def __init__(self, channels: int, depth: int = 18) -> None:
        super().__init__(channels)
        if depth not in list(DEPTHS):  # a list, since what was given need not be hashable
            known = ", ".join(map(str, DEPTHS))
            raise InputError(f"a ResNet of {depth} layers; choose one of {known}")
        self.backbone = ResNet(channels, depth)
        width = 18 if depth < 50 else 48
        widths = [width * 2**level for level in range(4)]
        pairs = zip(self.backbone.widths, widths, strict=True)
        self.align = nn.ModuleList(conv_bn_relu(old, new, 1) for old, new in pairs)
        self.head = PoseHead(widths)

    def maps(self, image: Tensor) -> Tensor:
        features = self.backbone(image)
        return self.head([layer(x) for layer, x in zip(self.align, features, strict=True)])


class _Halving(nn.Module):
    """ResNet's block of two 3x3 convolutions where the resolution halves."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            conv_bn_relu(inputs, outputs, 3, stride=2), conv_bn(outputs, outputs, 3)
        )
        self.shortcut = conv_bn(inputs, outputs, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / 2, W / 2)."""
        return torch.relu(self.shortcut(x) + self.inner(x))
