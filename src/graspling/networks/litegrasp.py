"""LiteGrasp: HRGrasp-Net, the teacher, and Lite HRGrasp-Net, its student.

L. Peng et al., "LiteGrasp: A Light Robotic Grasp Detection via Semi-Supervised Knowledge
Distillation", RA-L 2024: section III-B, figures 3 (pose head) and 4 (adapter), table V
(parameters). The same head on ResNets: graspling.networks.resgrasp.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graspling.networks.base import GraspNetwork
from graspling.networks.blocks import conv_bn_relu
from graspling.networks.checks import check_whole
from graspling.networks.hrnet import hrnet
from graspling.networks.lite_hrnet import lite_hrnet


class Adapter(nn.Module):
    """Feature maps of several resolutions to one: figure 4, for as many branches as there are.

    All are enlarged to the finest and laid behind each other; a 1x1 convolution that keeps the
    channels, batch norm and ReLU mix them. The figure's text has no numbers. These layers give
    all four of table V's parameter counts; enlarging bilinearly is a decision of this project.

    Args:
        widths: channels of each map, finest first.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.mix = conv_bn_relu(sum(widths), sum(widths), 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Maps (N, widths[i], H / 2^i, W / 2^i) to (N, sum of widths, H, W)."""
        enlarged = [
            _enlarged(x, 2**level) if level else x  # each level has half the resolution
            for level, x in enumerate(features)
        ]
        return self.mix(torch.cat(enlarged, dim=1))


class PoseHead(nn.Module):
    """Feature maps at 1/4, 1/8, 1/16 and 1/32 to the maps of a grasp: figure 3.

    Behind the adapter stand three groups of outputs: quality, angle and width (section III-B).
    Angle is cos 2a and sin 2a, and each of the four maps has layers of its own: a 1x1 convolution
    to a third of the channels, batch norm, ReLU, dropout, and a 1x1 convolution to one. (Were the
    first shared by both parts of the angle, HRGrasp-W48 would have 66.37 M parameters for 66.53.)

    Decided here, the paper being silent: dropout of 0.1, as in GR-ConvNet; the maps are enlarged
    by 4 at the very end, bilinearly (which is the same as enlarging what goes into the last 1x1);
    the last layers start with small weights, so that no pixel is a grasp to begin with.

    Args:
        widths: channels of the four feature maps, finest first.
        dropout: share of features set to zero before each last layer.
    """

    def __init__(self, widths: Sequence[int], dropout: float = 0.1) -> None:
        super().__init__()
        self.adapter = Adapter(widths)
        inputs = sum(widths)
        self.quality = _branch(inputs, dropout)
        self.angle = nn.ModuleDict({part: _branch(inputs, dropout) for part in ("cos", "sin")})
        self.width = _branch(inputs, dropout)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Maps (N, widths[i], H / 2^(2 + i), W / 2^(2 + i)) to raw maps (N, 4, H, W)."""
        shared = self.adapter(features)
        branches = (self.quality, self.angle["cos"], self.angle["sin"], self.width)
        return _enlarged(torch.cat([branch(shared) for branch in branches], dim=1), 4)


class LiteGraspNetwork(GraspNetwork):
    """A backbone that gives four resolutions, and the pose head.

    Nothing acts on the outputs, which smooth L1 compares as they are (equations 3 to 5, as in
    GR-ConvNet, which the paper follows); they are clipped to their ranges.

    Attributes:
        taps: the stages that LiteGrasp distils (section III-D), by module name, to be given to
            ``get_submodule`` and hooked with ``register_forward_hook``. HRNet's give a list of
            2, 3 or 4 maps (N, width 2^i, H / 2^(2 + i), W / 2^(2 + i)), finest first, the same
            shapes for teacher and student of one width; those of a ResNet give one map.
    """

    multiple = 32
    sources = "Peng et al.: LiteGrasp, RA-L 2024"
    taps: ClassVar[tuple[str, ...]] = ("backbone.stage2", "backbone.stage3", "backbone.stage4")

    backbone: nn.Module
    head: PoseHead

    def maps(self, image: Tensor) -> Tensor:
        return self.head(self.backbone(image))


class HRGrasp(LiteGraspNetwork):
    """HRGrasp-Net: HRNet (modules 1, 4, 3) and the pose head.

    Args:
        channels: of the input.
        width: channels of the finest branch, 18 or 48: published with 9.74 M and 66.53 M
            parameters (table V); here 9,734,560 and 66,539,620 for four channels.
    """

    def __init__(self, channels: int, width: int = 18) -> None:
        super().__init__(channels)
        check_whole("HRGrasp", "width", width)
        self.backbone = hrnet(channels, width)
        self.head = PoseHead(self.backbone.widths)


class LiteHRGrasp(LiteGraspNetwork):
    """Lite HRGrasp-Net: Lite-HRNet-18 (modules 2, 4, 2) with HRNet's widths, and the pose head.

    Args:
        channels: of the input.
        width: channels of the finest branch, even and at least 8; 18 and 48 are published with
            0.42 M and 2.71 M parameters (table V); here 406,772 and 2,714,516 for four channels.
    """

    def __init__(self, channels: int, width: int = 18) -> None:
        super().__init__(channels)
        # Half of the channels pass through layers with a quarter of them.
        check_whole("LiteHRGrasp", "width", width, least=8, multiple=2)
        self.backbone = lite_hrnet(channels, width)
        self.head = PoseHead(self.backbone.widths)


def _branch(inputs: int, dropout: float) -> nn.Sequential:
    last = nn.Conv2d(inputs // 3, 1, 1)
    nn.init.normal_(last.weight, std=0.01)
    assert last.bias is not None
    nn.init.zeros_(last.bias)
    return nn.Sequential(*conv_bn_relu(inputs, inputs // 3, 1), nn.Dropout(dropout), last)


def _enlarged(x: Tensor, times: int) -> Tensor:
    return F.interpolate(x, scale_factor=float(times), mode="bilinear", align_corners=False)
