"""How large a network is: parameters and multiply-accumulates, in all and layer by layer."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from graspling.networks.base import GraspNetwork
from graspling.networks.kufenet_blocks import VolumeConv

_Convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_Transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_Counted = (*_Convolution, *_Transposed, nn.Linear)
_Norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class Layer:
    """One row of a layer table.

    Attributes:
        name: of the module inside its network.
        kind: what it is, with kernel, stride and groups.
        shape: of its output, without the batch: channels, height, width.
        parameters: trainable numbers, with those of a batch norm that follows; 0 where a module is
            used for another time.
        macs: multiply-accumulates.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    macs: int


def parameters(network: nn.Module) -> int:
    """Trainable numbers of a network."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def macs(network: GraspNetwork, size: int = 224) -> int:
    """Multiply-accumulates of the convolutions and linear layers for one image of size x size.

    Nothing is computed and the network is left as it is: a copy without data runs instead. The
    papers' "FLOPs" are this count, multiply-accumulates with padding included.
    """
    return macs_of(network, torch.empty(1, network.channels, size, size))


def macs_of(network: nn.Module, *inputs: Tensor) -> int:
    """The same for any network and inputs that look like these."""
    total = 0

    def count(_: str, layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        nonlocal total
        total += _macs(layer, inputs, output)

    with _shadow(network, count) as shadow:
        shadow(*(tensor.to("meta") for tensor in inputs))
    return total


def layers(network: GraspNetwork, size: int = 224) -> list[Layer]:
    """The layers that have parameters or another output size than their input, in the order of
    their use for an image of size x size. A batch norm is part of the convolution before it."""
    rows: list[Layer] = []
    seen: set[nn.Module] = set()
    last: Tensor | None = None  # what the last convolution gave: a batch norm may take it

    def note(name: str, layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        nonlocal last
        own = 0 if layer in seen else sum(p.numel() for p in layer.parameters())
        seen.add(layer)
        if isinstance(layer, _Norms) and rows and inputs[0] is last:
            before = rows.pop()
            kind, own = f"{before.kind}, batch norm", before.parameters + own
            rows.append(Layer(before.name, kind, before.shape, own, before.macs))
            return
        used = isinstance(inputs[0], Tensor) and inputs[0].shape != output.shape
        if own or used or isinstance(layer, _Counted):
            found = _macs(layer, inputs, output)
            rows.append(Layer(name, _kind(layer), tuple(output.shape[1:]), own, found))
            last = output

    with _shadow(network, note) as shadow:
        shadow(torch.empty(1, network.channels, size, size, device="meta"))
    return rows


@contextmanager
def _shadow(network: nn.Module, note: Any) -> Iterator[nn.Module]:
    """A copy without data that tells ``note`` of each innermost module that it uses."""
    shadow = copy.deepcopy(network).to("meta").eval()
    for name, layer in shadow.named_modules():
        if not any(True for _ in layer.children()):
            layer.register_forward_hook(
                lambda layer, inputs, output, name=name: note(name, layer, inputs, output)
            )
    with torch.no_grad():
        yield shadow


def _macs(layer: nn.Module, inputs: Sequence[Any], output: Tensor) -> int:
    if not isinstance(layer, _Counted):
        return 0
    weights = layer.weight.numel()
    if isinstance(layer, _Convolution):
        # Each place of the output reads every weight once.
        return output[:, 0].numel() * weights
    if isinstance(layer, _Transposed):
        # Each place of the input writes through every weight once.
        return int(inputs[0][:, 0].numel()) * weights
    return output[..., 0].numel() * weights


def _kind(layer: nn.Module) -> str:
    if isinstance(layer, VolumeConv):  # a Conv2d by its weights alone
        depth, side = layer.weight.shape[1:3]
        return f"3-D convolution {depth}x{side}x{side} / {side}"
    if isinstance(layer, (*_Convolution, *_Transposed)):
        words = ["transposed convolution" if isinstance(layer, _Transposed) else "convolution"]
        words.append("x".join(map(str, layer.kernel_size)))
        if max(layer.stride) > 1:
            words.append(f"/ {max(layer.stride)}")
        if max(layer.dilation) > 1:
            words.append(f"dilated {max(layer.dilation)}")
        if layer.groups == layer.in_channels > 1:
            words.append("depthwise")
        elif layer.groups > 1:
            words.append(f"in {layer.groups} groups")
        return " ".join(words)
    names = {nn.Linear: "linear", nn.MaxPool2d: "max pooling", nn.Upsample: "enlargement"}
    names |= {nn.PixelShuffle: "pixel shuffle"}
    return names.get(type(layer), type(layer).__name__)
