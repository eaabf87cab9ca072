"""DSC-GraspNet: depthwise-separable convolutions with coordinate attention.

Z. Zhou, X. Zhang, L. Ran, Y. Han, H. Chu, "DSC-GraspNet: A Lightweight Convolutional Neural
Network for Robotic Grasp Detection", ICVR 2023. The backbone is table I, its block equation (4),
the attention figure 2 (Q. Hou, D. Zhou, J. Feng, "Coordinate Attention for Efficient Mobile
Network Design", CVPR 2021), the way up equations (5) and (6), its CSP block figure 3.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from graspling.networks.base import GraspNetwork
from graspling.networks.checks import check_choice, check_share, check_switch
from graspling.networks.depthwise import DepthwiseConv2d
from graspling.networks.mish import Mish

Activation = Literal["mish", "relu", "hardswish"]
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "mish": Mish,
    "relu": nn.ReLU,
    "hardswish": nn.Hardswish,
}
# Table I, below the stem: kernel, stride, channels in and out of each block, by resolution.
_STAGES = (
    ((3, 1, 32, 32),),
    ((3, 2, 32, 64), (3, 1, 64, 64)),
    ((3, 2, 64, 128), (3, 1, 128, 128)),
    ((3, 2, 128, 256), *((5, 1, 256, 256),) * 5),
)


class DSCGraspNet(GraspNetwork):
    """Depthwise-separable blocks down to an eighth, three CSP blocks up, four heads of 3x3.

    | layer | kernel, stride | channels | side at 224 |
    | --- | --- | --- | --- |
    | stem: convolution, batch norm, Mish | 3 | 32 | 224 |
    | block (gives C1) | 3 | 32 | 224 |
    | block, block (C2) | 3, 2; 3 | 64 | 112 |
    | block, block (C3) | 3, 2; 3 | 128 | 56 |
    | block, five blocks (C4) | 3, 2; 5 | 256 | 28 |
    | C4 enlarged, C3 beside it, CSP block | 1, 3 | 128 | 56 |
    | enlarged, C2 beside it, CSP block | 1, 3 | 64 | 112 |
    | enlarged, C1 beside it, CSP block | 1, 3 | 64 | 224 |
    | four heads, dropout behind each | 3 | 1 | 224 |

    645,428 parameters for four channels, 645,140 for three (published: 0.643 M, table II).

    The paper leaves open, decided here by that count:

    - the outputs of the CSP blocks, 128, 64 and 64, and N = 2 bottlenecks in each, whose 1x1
      convolution halves the channels and whose 3x3 one brings them back (figure 3b);
    - the Mish of equation (5) is that of the CSP block's last convolution;
    - the hidden layer of an attention has max(8, channels / 32) channels, as in Hou et al.;
    - dropout of 0.1, on single pixels of the raw maps;
    - without CSP (the baseline of table IV, "basic convolution and up-sampling layers") a 3x3
      convolution with batch norm and activation stands in for each CSP block: 1,098,804
      parameters, so the CSP block saves more than it adds.

    Nothing acts on the outputs; they are clipped to their ranges.

    Args:
        channels: of the input.
        attention: coordinate attention at the end of each block (table IV, CA).
        csp: CSP blocks on the way up (table IV, CSP).
        activation: "mish" as published; "relu" and "hardswish" are faster in ONNX Runtime.
        dropout: share of the pixels of the raw maps set to zero in training.
    """

    multiple = 8
    sources = "Zhou et al.: DSC-GraspNet, ICVR 2023"

    def __init__(
        self,
        channels: int,
        attention: bool = True,
        csp: bool = True,
        activation: Activation = "mish",
        dropout: float = 0.1,
    ) -> None:
        super().__init__(channels)
        check_switch("DSCGraspNet", "attention", attention)
        check_switch("DSCGraspNet", "csp", csp)
        check_choice("activation", activation, ACTIVATIONS)
        check_share("DSCGraspNet", "dropout", dropout)
        self.stem = _convolution(channels, 32, 3, activation)
        self.down = nn.ModuleList(
            nn.Sequential(*(_Block(*block, attention, activation) for block in stage))
            for stage in _STAGES
        )
        self.enlarge = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.up = nn.ModuleList(
            _CSP(inputs, outputs, activation)
            if csp
            else _convolution(inputs, outputs, 3, activation)
            for inputs, outputs in ((256 + 128, 128), (128 + 64, 64), (64 + 32, 64))
        )
        # Quality, cos 2a, sin 2a, width.
        self.heads = nn.ModuleList(nn.Conv2d(64, 1, 3, padding=1) for _ in range(4))
        self.dropout = nn.Dropout(dropout)

    def maps(self, image: Tensor) -> Tensor:
        x, skips = self.stem(image), []
        for stage in self.down:
            x = stage(x)
            skips.append(x)
        skips.pop()
        for mix in self.up:
            x = mix(torch.cat([skips.pop(), self.enlarge(x)], dim=1))
        return self.dropout(torch.cat([head(x) for head in self.heads], dim=1))


class CoordinateAttention(nn.Module):
    """Each pixel weighted by its row and by its column (figure 2).

    The means of rows and of columns go through one 1x1 convolution with batch norm and hard
    swish, then through one each with a sigmoid.

    Args:
        channels: in and out.
        reduction: of channels in between, at least 8 of which stay.
    """

    def __init__(self, channels: int, reduction: int = 32) -> None:
        super().__init__()
        hidden = max(8, channels // reduction)
        self.shared = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.Hardswish()
        )
        self.rows = nn.Conv2d(hidden, channels, 1)
        self.columns = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        height, width = x.shape[-2:]
        of_rows = x.mean(3, keepdim=True)  # (N, C, H, 1)
        of_columns = x.mean(2, keepdim=True).transpose(2, 3)  # (N, C, W, 1)
        both = self.shared(torch.cat([of_rows, of_columns], dim=2))
        of_rows, of_columns = both.split([height, width], dim=2)
        rows = torch.sigmoid(self.rows(of_rows))
        columns = torch.sigmoid(self.columns(of_columns.transpose(2, 3)))
        return x * rows * columns


class _Block(nn.Sequential):
    """DepthSepConv of equation (4): depthwise, pointwise, attention. (N, C, H, W) / stride."""

    def __init__(
        self,
        kernel: int,
        stride: int,
        inputs: int,
        outputs: int,
        attention: bool,
        activation: Activation,
    ) -> None:
        super().__init__(
            DepthwiseConv2d(inputs, kernel, stride),
            nn.BatchNorm2d(inputs),
            ACTIVATIONS[activation](),
            *_convolution(inputs, outputs, 1, activation),
        )
        if attention:
            self.append(CoordinateAttention(outputs))


class _CSP(nn.Module):
    """Cross-stage partial block of figure 3: half of the outputs go round the bottlenecks."""

    def __init__(self, inputs: int, outputs: int, activation: Activation, depth: int = 2) -> None:
        super().__init__()
        half = outputs // 2
        self.path1 = _convolution(inputs, half, 1, activation)
        self.path2 = nn.Sequential(
            _convolution(inputs, half, 1, activation),
            *(_Bottleneck(half, activation) for _ in range(depth)),
        )
        self.join = _convolution(2 * half, outputs, 1, activation)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        return self.join(torch.cat([self.path1(x), self.path2(x)], dim=1))


class _Bottleneck(nn.Module):
    """1x1 convolution to half the channels, 3x3 one back, the input added (figure 3b)."""

    def __init__(self, channels: int, activation: Activation) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            _convolution(channels, channels // 2, 1, activation),
            _convolution(channels // 2, channels, 3, activation),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        return x + self.inner(x)


def _convolution(inputs: int, outputs: int, kernel: int, activation: Activation) -> nn.Sequential:
    """Convolution, batch norm, activation: the paper's CBM."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        ACTIVATIONS[activation](),
    )
