"""GG-CNN, GG-CNN2 and the students distilled from GG-CNN.

GG-CNN: D. Morrison, P. Corke, J. Leitner, "Closing the Loop for Robotic Grasping: A Real-time,
Generative Grasp Synthesis Approach", RSS 2018, section IV and figure 4. GG-CNN2: the same,
"Learning robust, real-time, reactive robotic grasping", IJRR 2020. Students: S.-K. Chen et al.,
"Efficient Grasp Detection via Knowledge Distillation", ICCR 2025, slides "Student models". What
the papers leave out (paddings, initialisation) follows the authors' public code.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from graspling.networks.base import GraspNetwork
from graspling.networks.blocks import PRIOR_LOGIT, Heads, xavier_uniform
from graspling.networks.checks import check_row
from graspling.networks.transposed import TransposedConv2d


class GGCNN(GraspNetwork):
    """Three strided convolutions down to a twelfth, three transposed ones up, ReLU after each.

    Kernels 9, 5, 3 with strides 3, 2, 2, mirrored going up, and four heads with kernels of 2.
    Multiples of 12, such as the published 300, come out at their own size; for other multiples
    of 4 the network gives a few rows and columns more, at the end (228 for 224), which are
    cropped. Nothing acts on the outputs; they are clipped to their ranges.

    Args:
        channels: of the input.
        widths: channels of the three levels; as published, 62,420 parameters for depth.
    """

    multiple = 4
    sources = "Morrison, Corke, Leitner: Closing the Loop for Robotic Grasping (GG-CNN), RSS 2018"

    def __init__(self, channels: int, widths: Sequence[int] = (32, 16, 8)) -> None:
        super().__init__(channels)
        check_row(type(self).__name__, "widths", widths, 3)
        a, b, c = widths
        relu = nn.ReLU(inplace=True)
        self.down = nn.Sequential(
            *(nn.Conv2d(channels, a, 9, stride=3, padding=3), relu),
            *(nn.Conv2d(a, b, 5, stride=2, padding=2), relu),
            *(nn.Conv2d(b, c, 3, stride=2, padding=1), relu),
        )
        self.up = nn.Sequential(
            *(TransposedConv2d(c, c, 3, stride=2, padding=1, output_padding=1), relu),
            *(TransposedConv2d(c, b, 5, stride=2, padding=2, output_padding=1), relu),
            *(TransposedConv2d(b, a, 9, stride=3, padding=3, output_padding=1), relu),
        )
        self.heads = Heads(a, 2)
        xavier_uniform(self)

    def maps(self, image: Tensor) -> Tensor:
        return self.heads(self.up(self.down(image)))


class GGCNNStudent(GGCNN):
    """GG-CNN with fewer channels: (16, 8, 4) in version 1, (24, 12, 6) in version 2.

    Quality is the sigmoid and width the ReLU of its raw map (slide "Grasp post-processing"). The
    sigmoid is part of training, too, as a target in [0, 1] asks for. The ReLU is not: a width that
    has once become negative everywhere would have no gradient and stay 0. Quality starts near 0,
    see blocks.PRIOR_LOGIT.
    """

    sigmoid_quality = True
    sources = "Chen et al.: Efficient Grasp Detection via Knowledge Distillation, ICCR 2025"

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__(channels, widths)
        assert self.heads.quality.bias is not None
        nn.init.constant_(self.heads.quality.bias, PRIOR_LOGIT)


class GGCNN2(GraspNetwork):
    """A fully convolutional network with dilation in place of the smallest level.

    | layer | kernel | channels |
    | --- | --- | --- |
    | two convolutions, then max pooling by 2 | 11, 5 | 16 |
    | two convolutions, then max pooling by 2 | 5, 5 | 16 |
    | two convolutions with dilations 2 and 4 | 5, 5 | 32 |
    | twice: bilinear enlargement by 2, convolution | 3 | 16 |
    | four heads | 1 | 1 |

    ReLU after each convolution but the heads. The public code enlarges with aligned corners; here
    pixels keep their place (align_corners=False), as everywhere in graspling. Nothing acts on the
    outputs; they are clipped to their ranges. 66,676 parameters for depth.
    """

    multiple = 4
    sources = "Morrison, Corke, Leitner: Learning robust, reactive grasping (GG-CNN2), IJRR 2020"

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        relu = nn.ReLU(inplace=True)
        self.down = nn.Sequential(
            *(nn.Conv2d(channels, 16, 11, padding=5), relu),
            *(nn.Conv2d(16, 16, 5, padding=2), relu, nn.MaxPool2d(2)),
            *(nn.Conv2d(16, 16, 5, padding=2), relu),
            *(nn.Conv2d(16, 16, 5, padding=2), relu, nn.MaxPool2d(2)),
        )
        self.context = nn.Sequential(
            *(nn.Conv2d(16, 32, 5, padding=4, dilation=2), relu),
            *(nn.Conv2d(32, 32, 5, padding=8, dilation=4), relu),
        )
        double = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.up = nn.Sequential(
            *(double, nn.Conv2d(32, 16, 3, padding=1), relu),
            *(double, nn.Conv2d(16, 16, 3, padding=1), relu),
        )
        self.heads = Heads(16, 1)
        xavier_uniform(self)

    def maps(self, image: Tensor) -> Tensor:
        return self.heads(self.up(self.context(self.down(image))))
