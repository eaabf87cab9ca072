"""KufeNet: colour and depth encoded unequally by depthwise-separable convolutions.

H. Nie, Z. Zhao, L. Chen, Z. Lu, Z. Li, J. Yang, "Smaller and Faster Robotic Grasp Detection Model
via Knowledge Distillation and Unequal Feature Encoding" (slides of ICRA): figures 2 (network),
3 (blocks for colour and depth), 4 (attention), tables I to III (sizes) and VI (variants). Its
teacher is in graspling.networks.kufenet_teacher.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from graspling.errors import InputError
from graspling.networks.base import GraspNetwork
from graspling.networks.blocks import Heads
from graspling.networks.checks import check_row, check_switch
from graspling.networks.kufenet_blocks import (
    Attention,
    MultiScale,
    attention_of,
    channel_shuffle,
    separable,
)


class TwoBranchNetwork(GraspNetwork):
    """What KufeNet and its teacher have in common (figure 2).

    Colour and depth go each through their own encoder; the features, side by side, are shuffled
    along their channels and weighted by channel attention; decoder stages and four heads of 1x1
    follow. If there is but one of colour and depth, it goes through both encoders, so that all
    else stays as it is.

    Args:
        channels: of the input.
        encoders: for colour and for depth.
        features: channels of both encoders together; a multiple of 3.
        decoder: stages, one after the other.
        outputs: channels of the last stage.
        shuffle: channel shuffle in three groups.
        attention: see kufenet_blocks.ChannelAttention; "none" leaves it out.
    """

    multiple = 4
    sources = "Nie et al.: Smaller and Faster Robotic Grasp Detection (KufeNet), ICRA"

    def __init__(
        self,
        channels: int,
        encoders: tuple[nn.Module, nn.Module],
        features: int,
        decoder: Iterable[nn.Module],
        outputs: int,
        shuffle: bool,
        attention: Attention,
    ) -> None:
        super().__init__(channels)
        self.colour, self.depth = encoders
        self.shuffle = shuffle
        self.attention = attention_of(features, attention)
        self.decoder = nn.ModuleList(decoder)
        self.heads = Heads(outputs, 1)

    @property
    def taps(self) -> dict[str, nn.Module]:
        """Decoder stages by name, for forward hooks: where a teacher gives hints (figure 5).

        Stage k of a student and stage k of its teacher correspond: "decoder1" to "decoder3". The
        output of each is (N, C, H, W); KufeNet's and its teacher's have the size of the image,
        the strided teacher's a quarter, half and all of it.
        """
        return {f"decoder{k}": stage for k, stage in enumerate(self.decoder, start=1)}

    def maps(self, image: Tensor) -> Tensor:
        both = self.channels == 4
        colour, depth = (image[:, :3], image[:, 3:]) if both else (image, image)
        x = torch.cat([self.colour(colour), self.depth(depth)], dim=1)
        if self.shuffle:
            x = channel_shuffle(x, 3)
        x = self.attention(x)
        for stage in self.decoder:
            x = stage(x)
        return self.heads(x)


class KufeNet(TwoBranchNetwork):
    """Two unequal encoders and a shallow decoder, all at full resolution.

    With depth widths (d1, d2, d3) and decoder widths (m1, m2, m3):

    | layer | kernel | channels: colour | depth |
    | --- | --- | --- | --- |
    | depthwise-separable convolution | 3 | d1 / 2 | d1 |
    | multi-scale block; colour split, depth copied; twice | 3, 5, 7 | d2 / 2, d3 / 2 | d2, d3 |
    | both encoders side by side, channel shuffle, attention | | 1.5 d3 | |
    | three depthwise-separable convolutions | 3 | m1, m2, m3 | |
    | four heads | 1 | 1 | |

    The settings belong to a name by the published counts (tables I to III and VI):

    | name | widths; decoder | parameters | published |
    | --- | --- | --- | --- |
    | kufenet_15k | (12, 36, 48); (66, 36, 24) | 15,333 | 15.3 K |
    | kufenet_80k | (36, 108, 132); (180, 96, 60) | 80,215 | 80.0 K, 3.8 G |
    | kufenet_263k | (72, 216, 264); (336, 180, 108) | 262,573 | 263 K |

    Table VI, kufenet_80k: UE unequal encoding, CS channel shuffle, CA channel attention.

    | modality | UE | CS | CA | parameters | published |
    | --- | --- | --- | --- | --- | --- |
    | RGB | - | yes | yes | 80,305 | 81.7 K |
    | D | - | yes | yes | 80,161 | 78.9 K |
    | RGB-D | no | no | no | 79,414 | 79.4 K |
    | RGB-D | no | yes | yes | 84,973 | 85.6 K |
    | RGB-D | yes | either | no | 74,656 | 74.9 K |
    | RGB-D | yes | either | yes | 80,215 | 80.0 K |

    The slides leave out nearly all numbers. Decided here, and judged by those eight counts:

    - colour has half the width of depth, so depth has most of the encoders' parameters;
    - a separable convolution has batch norm and ReLU behind its pointwise part only;
    - equal encoding gives both branches the copying block and the mean of both widths;
    - one modality alone goes through both encoders;
    - the first decoder convolution's pointwise part has three groups, which the shuffle mixes
      (in front of an ungrouped one a shuffle would only rename channels);
    - the attention's layers, see kufenet_blocks.ChannelAttention.

    Nothing acts on the outputs; they are clipped to their ranges. The layers take
    any size; multiples of 4 are asked for so that the teacher takes the same images.

    Args:
        channels: of the input.
        widths: of the depth encoder's three stages, multiples of 12.
        decoder: widths of the decoder's stages, the first a multiple of 3.
        unequal: unequal encoding.
        shuffle: channel shuffle.
        attention: "conv3d" as published, "se" for squeeze-excitation instead, or "none".
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int] = (36, 108, 132),
        decoder: Sequence[int] = (180, 96, 60),
        unequal: bool = True,
        shuffle: bool = True,
        attention: Attention = "conv3d",
    ) -> None:
        check_row("KufeNet", "widths", widths, 3, least=12, multiple=12)
        check_row("KufeNet", "decoder", decoder, None)
        check_switch("KufeNet", "unequal", unequal)
        check_switch("KufeNet", "shuffle", shuffle)
        if not decoder or decoder[0] % 3:
            raise InputError(
                f"KufeNet got the decoder {tuple(decoder)}, expected its first a multiple of 3"
            )
        inputs = (3, 1) if channels == 4 else (channels, channels)
        shares = (0.5, 1.0) if unequal else (0.75, 0.75)
        copies = (not unequal, True)
        encoders = [
            _encoder(count, [int(share * width) for width in widths], copy)
            for count, share, copy in zip(inputs, shares, copies, strict=True)
        ]
        features = 3 * widths[2] // 2
        stages = [
            separable(before, after, groups=1 if k else 3)
            for k, (before, after) in enumerate(
                zip([features, *decoder[:-1]], decoder, strict=True)
            )
        ]
        super().__init__(
            channels, (encoders[0], encoders[1]), features, stages, decoder[-1], shuffle, attention
        )


def _encoder(inputs: int, widths: Sequence[int], copy: bool) -> nn.Sequential:
    first, second, third = widths
    return nn.Sequential(
        separable(inputs, first), MultiScale(first, second, copy), MultiScale(second, third, copy)
    )
