"""Where to grip, by a map: the first localiser of the light GQ-STN."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from graspling.networks.blocks import conv_bn_relu
from graspling.networks.localisers import LightFeatures


@dataclass(frozen=True)
class Chosen:
    """Where :class:`Places` would grip.

    Attributes:
        raw: (N, 2) what the logistic function, less 0.5, turns into x and y.
        share: (N,) chance of the places around the chosen one, in (0, 1].
        values: (N, 784) of each place, row by row; their softmax is the chance of the place.
        offsets: (N, 2, 784) of the grasp from the middle of the place, in places, from -1 to 1.
    """

    raw: Tensor
    share: Tensor
    values: Tensor
    offsets: Tensor


class Places(nn.Module):
    """A depth image to raw w_x and w_y by a map of where to grip, for the light GQ-STN.

    The light features at three sizes are joined from coarse to fine; each of 28 x 28 places then
    has a value and an offset of at most a place to each side. x and y are the mean of place and
    offset under the softmax of the values within two places of the highest (spatial softmax, Levine
    et al. 2016), so that an image that is shifted shifts the answer, which linear layers would have
    to learn place by place.
    """

    centres: Tensor
    cells, reach = 28, 2

    def __init__(self) -> None:
        super().__init__()
        self.features = LightFeatures()
        self.side = self.features.side
        width = 32
        self.joins = nn.ModuleList(nn.Conv2d(c, width, 1) for c in (32, 48, 64))
        self.mix = conv_bn_relu(width, width, 3)
        self.last = nn.Conv2d(width, 3, 1)
        nn.init.normal_(self.last.weight, std=1e-3)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
        centres = (torch.arange(self.cells) + 0.5) / self.cells - 0.5
        row, column = torch.meshgrid(centres, centres, indexing="ij")
        self.register_buffer("centres", torch.stack([column, row]).flatten(1), persistent=False)

    def forward(self, image: Tensor) -> Chosen:
        """What is chosen in (N, 1, 112, 112), standardised."""
        joined: Tensor | None = None
        maps = self.features.maps(image)
        for join, level in zip(reversed(self.joins), reversed(maps), strict=True):
            here = join(level)
            if joined is not None:
                here = here + functional.interpolate(joined, scale_factor=2.0, mode="nearest")
            joined = functional.relu(here)
        assert joined is not None
        said = self.last(self.mix(joined)).flatten(2)
        return self.choose(said[:, 0], torch.tanh(said[:, 1:]))

    def choose(self, values: Tensor, offsets: Tensor, drawn: Tensor | None = None) -> Chosen:
        """The mean around the highest value: over all places it would lie between two objects.

        Args:
            values, offsets: see :class:`Chosen`.
            drawn: (N,) take the mean around these places instead.
        """
        centre = self.centres.T[values.argmax(dim=1) if drawn is None else drawn]
        away = (self.centres[None] - centre[:, :, None]).abs().amax(dim=1)
        near = torch.softmax(values, dim=1) * (away < (self.reach + 0.5) / self.cells)
        share = near.sum(dim=1)
        chance = (near / share[:, None])[:, None]
        place = (chance * (self.centres[None] + offsets / self.cells)).sum(dim=2)
        raw = torch.logit((place + 0.5).clamp(1e-4, 1 - 1e-4))
        return Chosen(raw, share, values, offsets)

    def draw(self, chosen: Chosen, chance: Tensor) -> Chosen:
        """Another place of the same images, drawn by the chances of the places.

        Args:
            chance: (N,) uniform random numbers in [0, 1).
        """
        reached = torch.softmax(chosen.values.detach(), dim=1).cumsum(dim=1)
        drawn = (reached < chance[:, None]).sum(dim=1).clamp(max=reached.shape[1] - 1)
        return self.choose(chosen.values, chosen.offsets, drawn)
