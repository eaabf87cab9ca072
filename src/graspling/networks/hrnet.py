"""HRNet: branches of four resolutions side by side that exchange what they know.

J. Wang et al., "Deep High-Resolution Representation Learning for Visual Recognition", TPAMI 2021,
section 3 and figures 2 and 3: the backbone of HRGrasp-Net (see graspling.networks.litegrasp).
The classes take their convolutions as functions, so that Lite-HRNet is built of them too
(see graspling.networks.lite_hrnet).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from graspling.networks.blocks import ResidualBlock, conv_bn_relu

# From channels in, channels out, stride and whether a ReLU ends it, to a layer of a kernel of 3.
Step = Callable[[int, int, int, bool], nn.Module]
# From the channels of each branch to layers on all branches that keep every shape.
Blocks = Callable[[Sequence[int]], nn.Module]

# Modules in stages 2, 3 and 4.
MODULES = (1, 4, 3)


class Bottleneck(nn.Module):
    """1x1 down to ``middle``, 3x3, 1x1 up to 4 x ``middle``, added to the input; of ResNet.

    K. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, figure 5; the stride
    lies on the 3x3 convolution, as in all later code. The input passes through a 1x1 convolution
    of its own where its channels or its size change.
    """

    def __init__(self, inputs: int, middle: int, stride: int = 1) -> None:
        super().__init__()
        outputs = 4 * middle
        self.inner = nn.Sequential(
            conv_bn_relu(inputs, middle, 1),
            conv_bn_relu(middle, middle, 3, stride=stride),
            conv_bn(middle, outputs, 1),
        )
        alike = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if alike else conv_bn(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, 4 middle, H / stride, W / stride)."""
        return torch.relu(self.shortcut(x) + self.inner(x))


class Exchange(nn.Module):
    """Each branch becomes the ReLU of the sum of all, brought to its resolution and channels.

    From a coarser branch: 1x1 convolution, batch norm, nearest enlargement. From a finer one: a
    step of stride 2 for each halving, of which the last changes the channels and has no ReLU.
    """

    def __init__(self, widths: Sequence[int], step: Step) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            nn.ModuleList(_path(widths, source, target, step) for source in range(len(widths)))
            for target in range(len(widths))
        )

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """Branches (N, widths[i], H / 2^i, W / 2^i) to the same shapes."""
        mixed = []
        for target, paths in enumerate(self.paths):
            total = branches[target]
            for source, path in enumerate(paths.children()):
                if source != target:
                    total = total + path(branches[source])
            mixed.append(torch.relu(total))
        return mixed


class Stage(nn.Module):
    """One branch more, the coarsest, then modules of blocks and an exchange each.

    Args:
        before: channels of the branches that come in.
        widths: channels of the branches that go out, one more.
        modules: how often blocks and exchange follow each other.
        blocks: makes the layers of a module before its exchange.
        step: makes the convolutions between branches.
    """

    def __init__(
        self,
        before: Sequence[int],
        widths: Sequence[int],
        modules: int,
        blocks: Blocks,
        step: Step,
    ) -> None:
        super().__init__()
        self.entry = nn.ModuleList(
            nn.Identity() if old == new else step(old, new, 1, True)
            for old, new in zip(before, widths, strict=False)
        )
        self.entry.append(step(before[-1], widths[-1], 2, True))
        self.blocks = nn.ModuleList(blocks(widths) for _ in range(modules))
        self.exchanges = nn.ModuleList(Exchange(widths, step) for _ in range(modules))

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """Branches (N, before[i], H / 2^i, W / 2^i) to those of ``widths``, one more."""
        # The new branch comes from the coarsest of the old ones, as it came in.
        sources = [*branches, branches[-1]]
        branches = [entry(x) for entry, x in zip(self.entry, sources, strict=True)]
        for blocks, exchange in zip(self.blocks, self.exchanges, strict=True):
            branches = exchange(blocks(branches))
        return branches


class MultiResolution(nn.Module):
    """A stem down to a quarter and stages 2, 3 and 4 with as many branches.

    Args:
        stem: image (N, C, H, W) to (N, ``inputs``, H / 4, W / 4).
        inputs: channels that the stem gives.
        width: channels of the finest branch; each coarser one has twice those of the one before.
        modules: in stages 2, 3 and 4.
        blocks, step: see :class:`Stage`.

    Attributes:
        widths: channels of the four branches that come out.
        stage2, stage3, stage4: each gives a list of as many feature maps, finest first; what
            LiteGrasp distils (section III-D).
    """

    def __init__(
        self,
        stem: nn.Module,
        inputs: int,
        width: int,
        modules: Sequence[int],
        blocks: Blocks,
        step: Step,
    ) -> None:
        super().__init__()
        self.widths = [width * 2**level for level in range(4)]
        self.stem = stem
        two, three, four = modules
        self.stage2 = Stage([inputs], self.widths[:2], two, blocks, step)
        self.stage3 = Stage(self.widths[:2], self.widths[:3], three, blocks, step)
        self.stage4 = Stage(self.widths[:3], self.widths, four, blocks, step)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, C, H, W) to four maps (N, widths[i], H / 2^(2 + i), W / 2^(2 + i))."""
        branches: list[Tensor] = self.stage2([self.stem(image)])
        branches = self.stage3(branches)
        return self.stage4(branches)


class BranchBlocks(nn.Module):
    """Four residual blocks of two 3x3 convolutions on each branch by itself."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(width) for _ in range(4))) for width in widths
        )

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        """Branches (N, widths[i], H / 2^i, W / 2^i) to the same shapes."""
        return [layers(x) for layers, x in zip(self.branches, branches, strict=True)]


def hrnet(channels: int, width: int) -> MultiResolution:
    """HRNet-W18 or -W48, four resolutions out.

    The stem has two 3x3 convolutions with stride 2 to 64 channels and the four bottlenecks of
    stage 1 (64, so 256 channels out).

    Args:
        channels: of the image.
        width: of the finest branch, 18 or 48 in LiteGrasp.
    """
    stem = nn.Sequential(
        conv_bn_relu(channels, 64, 3, stride=2),
        conv_bn_relu(64, 64, 3, stride=2),
        Bottleneck(64, 64),
        *(Bottleneck(256, 64) for _ in range(3)),
    )
    return MultiResolution(stem, 256, width, MODULES, BranchBlocks, _dense)


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution and batch norm, padded to keep the size."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


def _dense(inputs: int, outputs: int, stride: int, relu: bool) -> nn.Module:
    if relu:
        return conv_bn_relu(inputs, outputs, 3, stride=stride)
    return conv_bn(inputs, outputs, 3, stride)


def _path(widths: Sequence[int], source: int, target: int, step: Step) -> nn.Module:
    """From one branch to another."""
    if source == target:
        return nn.Identity()
    if source > target:
        enlarge = nn.Upsample(scale_factor=2 ** (source - target), mode="nearest")
        return nn.Sequential(*conv_bn(widths[source], widths[target], 1), enlarge)
    inputs, halvings = widths[source], target - source
    steps = [step(inputs, inputs, 2, True) for _ in range(halvings - 1)]
    return nn.Sequential(*steps, step(inputs, widths[target], 2, False))
