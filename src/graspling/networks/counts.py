"""How large a network is: parameters and multiply-accumulates."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from graspling.networks.base import GraspNetwork

_Convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_Transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def parameters(network: nn.Module) -> int:
    """Trainable numbers of a network."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def macs(network: GraspNetwork, size: int = 224) -> int:
    """Multiply-accumulates of the convolutions and linear layers for one image of size x size.

    Nothing is computed and the network is left as it is: a copy without data runs instead. The
    papers' "FLOPs" are this count, multiply-accumulates with padding included.
    """
    shadow = copy.deepcopy(network).to("meta").eval()
    total = 0

    def count(layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        nonlocal total
        weights = layer.weight.numel()  # type: ignore[operator]
        if isinstance(layer, _Convolution):
            # Each place of the output reads every weight once.
            total += output[:, 0].numel() * weights
        elif isinstance(layer, _Transposed):
            # Each place of the input writes through every weight once.
            total += inputs[0][:, 0].numel() * weights
        else:
            total += output[..., 0].numel() * weights

    for layer in shadow.modules():
        if isinstance(layer, (*_Convolution, *_Transposed, nn.Linear)):
            layer.register_forward_hook(count)
    with torch.no_grad():
        shadow(torch.empty(1, network.channels, size, size, device="meta"))
    return total
