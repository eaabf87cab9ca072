"""Networks with weights by chance, and images for them."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def lived(network: Network) -> Network:
    """In evaluation mode, with batch norms that have seen data: at first they do nothing."""
    generator = torch.Generator().manual_seed(1)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for values, low, high in (
                (layer.weight, 0.5, 1.5),
                (layer.bias, -0.5, 0.5),
                (layer.running_mean, -0.5, 0.5),
                (layer.running_var, 0.5, 2.0),
            ):
                assert values is not None
                values.data.uniform_(low, high, generator=generator)
    return network.eval()


def images(
    count: int, height: int, width: int | None = None, channels: int = 4, seed: int = 1
) -> Tensor:
    """(count, channels, height, width) of normal noise; square without ``width``."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, channels, height, width or height, generator=generator)
