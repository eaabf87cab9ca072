"""SE-ResUNet: GR-ConvNet's stem and a U-Net with squeeze-excitation residual blocks.

S. Yu, D.-H. Zhai, Y. Xia, H. Wu, J. Liao, "SE-ResUNet: A Novel Robotic Grasp Detection Method",
RA-L 2022. The layers follow the authors' public code (github.com/BIT-robot-group/SE-ResUNet).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graspling.networks.base import GraspNetwork
from graspling.networks.blocks import Heads, conv_bn_relu, xavier_uniform
from graspling.networks.checks import check_whole
from graspling.networks.hrnet import conv_bn

# By how much squeeze and excitation reduce the channels inside.
REDUCTION = 16


class SEResUNet(GraspNetwork):
    """Down to a sixteenth and up again, a squeeze-excitation block at each level.

    | layer | size | channels |
    | --- | --- | --- |
    | convolution of 9, batch norm, ReLU | 1 | c |
    | convolution of 4 with stride 2, batch norm, ReLU, twice | 1/2, 1/4 | 2c, 4c |
    | block; then max pooling by 2 and two 3x3 convolutions | 1/8 | 8c |
    | block; then the same | 1/16 | 16c |
    | block; then skip, enlargement by 2, two 3x3 convolutions | 1/8 | 16c, 8c |
    | the same | 1/4 | 8c, 4c |
    | the same | 1/2 | 4c, 2c |
    | the same | 1 | 2c, c |
    | four heads of 3x3, each behind its own dropout of 0.1 | 1 | 1 |

    Batch norm and ReLU follow each convolution but the heads. A skip brings what entered the
    level (of the stem at 1/2 and 1/4) and joins before the enlargement, not after it as in other
    U-Nets. Nothing acts on the outputs; they are clipped to their ranges.

    **Size.** The published counts, 2.3 M parameters and 24.78 GMAC at 224x224 RGB-D (KufeNet's
    tables I and II), conflict, and the parameters give way. These layers, those of the public
    code, have the MACs (24.68 G) but 17.2 M parameters; a single 3x3 convolution of the 512
    channels of the lowest level has 2.36 M. ``width=12`` has about 2.4 M at 3.6 GMAC.

    **Not as in the public code.** It passes through the same blocks of 4c and 8c on both ways,
    which leaves 16.4 M; batch norms shared by two places average the statistics of both and fit
    neither in evaluation, so each place has a block of its own here (the MACs are the same).
    Enlargement does not align corners, convolutions before batch norm have no bias, and a layer
    that the code never calls is left out.

    Args:
        channels: of the input.
        width: c, a multiple of 4 and at least 8; 32 as published.
    """

    multiple = 16
    sources = "Yu et al.: SE-ResUNet, RA-L 2022"

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__(channels)
        check_whole("SEResUNet", "width", width, least=8, multiple=4)
        c = width
        self.stem = nn.ModuleList(
            [
                conv_bn_relu(channels, c, 9),
                conv_bn_relu(c, 2 * c, 4, stride=2, padding=1),
                conv_bn_relu(2 * c, 4 * c, 4, stride=2, padding=1),
            ]
        )
        self.down = nn.ModuleList([_down(4 * c), _down(8 * c)])
        self.blocks_down = nn.ModuleList([SEBlock(4 * c), SEBlock(8 * c)])
        self.blocks_up = nn.ModuleList(SEBlock(n * c) for n in (2, 4, 8, 16))
        self.up = nn.ModuleList(_double(2 * n * c, n * c, n * c // 2) for n in (2, 4, 8, 16))
        self.heads = Heads(c, 3, dropout=0.1)
        xavier_uniform(self)

    def maps(self, image: Tensor) -> Tensor:
        half = self.stem[1](self.stem[0](image))
        quarter = self.stem[2](half)
        eighth = self.down[0](self.blocks_down[0](quarter))
        x = self.down[1](self.blocks_down[1](eighth))
        for level, skip in ((3, x), (2, eighth), (1, quarter), (0, half)):
            x = self.up[level](torch.cat([skip, self.blocks_up[level](x)], dim=1))
        # The heads do not pad.
        return self.heads(F.pad(x, (1, 1, 1, 1)))


class SEBlock(nn.Module):
    """1x1, 3x3 and 1x1 convolution of equal width, their output weighted by channel, and a sum.

    The weights are the sigmoid of two layers on each channel's mean (J. Hu, L. Shen, G. Sun,
    "Squeeze-and-Excitation Networks", CVPR 2018, figure 3), without biases.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // REDUCTION
        self.layers = nn.Sequential(
            conv_bn_relu(channels, channels, 1),
            conv_bn_relu(channels, channels, 3),
            conv_bn(channels, channels, 1),
        )
        self.squeeze = nn.Conv2d(channels, inner, 1, bias=False)
        self.excite = nn.Conv2d(inner, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        inner = self.layers(x)
        means = inner.mean((2, 3), keepdim=True)
        weights = torch.sigmoid(self.excite(torch.relu(self.squeeze(means))))
        return torch.relu(x + inner * weights)


def _double(inputs: int, middle: int, outputs: int) -> nn.Sequential:
    """Enlargement by 2 and two 3x3 convolutions."""
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        conv_bn_relu(inputs, middle, 3),
        conv_bn_relu(middle, outputs, 3),
    )


def _down(inputs: int) -> nn.Sequential:
    """Max pooling by 2 and two 3x3 convolutions to twice the channels."""
    return nn.Sequential(
        nn.MaxPool2d(2),
        conv_bn_relu(inputs, 2 * inputs, 3),
        conv_bn_relu(2 * inputs, 2 * inputs, 3),
    )
