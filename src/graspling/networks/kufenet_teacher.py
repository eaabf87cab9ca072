"""KufeNet's teacher: the same two unequal branches in dense convolutions.

Sources as in graspling.networks.kufenet. Of the teacher the slides give its size (tables I and II:
8.7 M parameters, 272.7 G multiply-accumulates) and that each stage of its decoder guides one of
KufeNet's (figure 5).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from graspling.networks.blocks import ResidualBlock, conv_bn_relu
from graspling.networks.checks import check_choice, check_row
from graspling.networks.kufenet import TwoBranchNetwork


class KufeNetTeacher(TwoBranchNetwork):
    """Two encoders of residual blocks, shuffle, attention, three decoder stages of 3x3.

    With stem stride s, depth widths (d1, d2, d3) and decoder widths (m1, m2, m3):

    | layer | kernel, stride | channels: colour | depth |
    | --- | --- | --- | --- |
    | convolution, batch norm, ReLU | 3 (7 if s > 1), s | d1 / 2 | d1 |
    | the same, residual blocks | 3, 2 | d2 / 2 | d2 |
    | the same, residual blocks | 3 | d3 / 2 | d3 |
    | both encoders side by side, channel shuffle, attention | | 1.5 d3 | |
    | three stages: enlarged by 2 where needed, convolution, batch norm, ReLU | 3 | m1, m2, m3 | |
    | four heads | 1 | 1 | |

    | name | s; widths; blocks; decoder | parameters | GMAC at 224 |
    | --- | --- | --- | --- |
    | kufenet_teacher | 1; (48, 128, 384); (1, 1); (448, 320, 256) | 8,710,021 | 272.5 |
    | kufenet_teacher_strided | 4; (64, 256, 256); (2, 3); (96, 48, 24) | 8,715,137 | 8.6 |

    The layers are this project's choice; the first row is made to fit the published 8.7 M and
    272.7 G. **The second is no published network**: it is the variant for machines without a
    GPU, with a strided stem and its parameters where the maps are small. It enlarges at each of
    its decoder stages, which therefore have a quarter, half and all of the image's size.

    The depth branch is twice as wide as the colour branch, as in KufeNet. Nothing acts on the
    outputs; they are clipped to their ranges.

    Args:
        channels: of the input.
        widths: of the depth encoder's three stages, even.
        depths: residual blocks of the second and of the third stage.
        decoder: widths of the three decoder stages.
        stride: of the stem, 1, 2 or 4.
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int] = (48, 128, 384),
        depths: Sequence[int] = (1, 1),
        decoder: Sequence[int] = (448, 320, 256),
        stride: int = 1,
    ) -> None:
        check_row("KufeNetTeacher", "widths", widths, 3, least=2, multiple=2)
        check_row("KufeNetTeacher", "depths", depths, 2, least=0)
        check_row("KufeNetTeacher", "decoder", decoder, 3)
        # The three stages enlarge by 8 at most: 2 of the second convolution and 4 of the stem.
        check_choice("stride", stride, (1, 2, 4))
        features = 3 * widths[2] // 2
        inputs = (3, 1) if channels == 4 else (channels, channels)
        encoders = (
            _encoder(inputs[0], [width // 2 for width in widths], depths, stride),
            _encoder(inputs[1], widths, depths, stride),
        )
        stages = []
        for k, (before, after) in enumerate(zip([features, *decoder[:-1]], decoder, strict=True)):
            convolution = conv_bn_relu(before, after, 3)
            if 2**k <= stride:
                double = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
                convolution.insert(0, double)
            stages.append(convolution)
        super().__init__(channels, encoders, features, stages, decoder[-1], True, "conv3d")
        self.multiple = max(2 * stride, 4)


def _encoder(
    inputs: int, widths: Sequence[int], depths: Sequence[int], stride: int
) -> nn.Sequential:
    first, second, third = widths
    return nn.Sequential(
        conv_bn_relu(inputs, first, 7 if stride > 1 else 3, stride=stride),
        conv_bn_relu(first, second, 3, stride=2),
        *(ResidualBlock(second) for _ in range(depths[0])),
        conv_bn_relu(second, third, 3),
        *(ResidualBlock(third) for _ in range(depths[1])),
    )
