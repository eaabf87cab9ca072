"""GR-ConvNet: generative residual convolutions.

S. Kumra, S. Joshi, F. Sahin, "Antipodal Robotic Grasping using Generative Residual Convolutional
Neural Network", IROS 2020, section IV-C and figure 3; what the figure leaves out (kernels,
paddings, a head's kernel of 2 and its dropout) follows the authors' public code.
"""

from __future__ import annotations

from torch import Tensor, nn

from graspling.networks.base import GraspNetwork
from graspling.networks.blocks import Heads, ResidualBlock, xavier_uniform
from graspling.networks.checks import check_whole
from graspling.networks.transposed import TransposedConv2d


class GRConvNet(GraspNetwork):
    """Three convolutions down to a quarter, five residual blocks, three transposed ones up.

    | layer | kernel, stride | channels |
    | --- | --- | --- |
    | convolution, batch norm, ReLU | 9 | c |
    | convolution, batch norm, ReLU, twice | 4, 2 | 2c, 4c |
    | five residual blocks, no ReLU after the addition | 3 | 4c |
    | transposed convolution, batch norm, ReLU, twice | 4, 2 | 2c, c |
    | transposed convolution | 9 | c |
    | four heads, each behind its own dropout of 0.1 | 2 | 1 |

    The transposed convolutions give one row and column more than the input, which the heads'
    kernel of 2 takes back. Nothing acts on the outputs; they are clipped to their ranges.
    Convolutions keep their bias before batch norm: the published counts contain it.

    Args:
        channels: of the input.
        width: c; 32 as published, 1,900,900 parameters for four channels; 16 gives 479,156.
    """

    multiple = 4
    sources = "Kumra, Joshi, Sahin: Antipodal Robotic Grasping (GR-ConvNet), IROS 2020"

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__(channels)
        check_whole("GRConvNet", "width", width)
        c = width
        self.down = nn.Sequential(
            *_norm_relu(nn.Conv2d(channels, c, 9, padding=4), c),
            *_norm_relu(nn.Conv2d(c, 2 * c, 4, stride=2, padding=1), 2 * c),
            *_norm_relu(nn.Conv2d(2 * c, 4 * c, 4, stride=2, padding=1), 4 * c),
        )
        self.blocks = nn.Sequential(
            *(ResidualBlock(4 * c, last_relu=False, bias=True) for _ in range(5))
        )
        self.up = nn.Sequential(
            *_norm_relu(TransposedConv2d(4 * c, 2 * c, 4, 2, 1, output_padding=1), 2 * c),
            *_norm_relu(TransposedConv2d(2 * c, c, 4, 2, 2, output_padding=1), c),
            TransposedConv2d(c, c, 9, padding=4),
        )
        self.heads = Heads(c, 2, dropout=0.1)
        xavier_uniform(self)

    def maps(self, image: Tensor) -> Tensor:
        return self.heads(self.up(self.blocks(self.down(image))))


def _norm_relu(convolution: nn.Module, channels: int) -> tuple[nn.Module, ...]:
    return convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
