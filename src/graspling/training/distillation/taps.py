"""Reading what a network computes inside, without changing it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from graspling.errors import InputError
from graspling.networks import NETWORKS, build
from graspling.networks.base import GraspNetwork

# What a tap gives: one map (N, C, H, W), or several resolutions of a stage, finest first.
Features = Tensor | list[Tensor]


def find_tap(network: GraspNetwork, name: str) -> nn.Module:
    """The module whose output a tap reads.

    Args:
        name: one that the network names itself (``taps``), or the path of any of its modules.

    Raises:
        InputError: no such module; the message names the network's taps.
    """
    named = getattr(network, "taps", ())
    if isinstance(named, dict) and name in named:
        module: nn.Module = named[name]
        return module
    modules = dict(network.named_modules(remove_duplicate=False))
    if name and name in modules:  # by an empty name PyTorch means the network itself
        return modules[name]
    known = f"its taps: {', '.join(named)}" if named else _convolutions(network)
    raise InputError(f"{type(network).__name__} has no tap {name!r}; {known}")


def _convolutions(network: GraspNetwork) -> str:
    """Modules that can be read where a network names none: its convolutions."""
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    names = [path for path, module in network.named_modules() if isinstance(module, kinds)]
    shown = names if len(names) <= 12 else [*names[:4], "...", *names[-4:]]
    return (
        f"any of its modules can be one, such as its convolutions {', '.join(shown)} "
        "(graspling models --details NETWORK lists all)"
    )


def networks_with(name: str) -> list[str]:
    """Names of the networks that call a tap so. One of each class is built, without weights."""
    classes: dict[Any, list[str]] = {}
    for network, builder in NETWORKS.items():
        classes.setdefault(getattr(builder, "func", builder), []).append(network)
    with torch.device("meta"):
        taps = [getattr(build(names[0]), "taps", ()) for names in classes.values()]
    return [
        n for names, own in zip(classes.values(), taps, strict=True) if name in own for n in names
    ]


@contextmanager
def tapped(network: GraspNetwork, names: Sequence[str]) -> Iterator[dict[str, Features]]:
    """Within the block, one forward pass writes the output of each tap into the dictionary.

    Raises:
        InputError: no such tap; or, during the pass, one whose module is used again.
    """
    found: dict[str, Features] = {}
    own = getattr(network, "taps", ())

    def reader(name: str) -> Any:
        def read(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if name in found:
                raise InputError(
                    f"tap {name!r}: {type(network).__name__} uses this module more than once in a "
                    "pass; choose a convolution before it"
                )
            # a module behind it may change in place what is not meant to be read
            found[name] = output if name in own else _copy(output)

        return read

    handles = [find_tap(network, n).register_forward_hook(reader(n)) for n in dict.fromkeys(names)]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _copy(output: Features) -> Features:
    return output.clone() if isinstance(output, Tensor) else [x.clone() for x in output]


@torch.no_grad()
def tap_widths(network: GraspNetwork, names: Sequence[str], size: int) -> dict[str, list[int]]:
    """Channels of each map that a tap gives, for an input of ``size``; the network's statistics
    are left alone.

    Raises:
        InputError: a tap gives no maps, or its module is not called when the network is.
    """
    was = network.training
    network.eval()
    parameter = next(network.parameters())
    with tapped(network, names) as found:
        network(torch.zeros(1, network.channels, size, size, device=parameter.device))
    network.train(was)
    for name in names:
        maps = as_list(found[name]) if name in found else []
        if not maps or not all(isinstance(x, Tensor) and x.ndim == 4 for x in maps):
            what = "gives no maps (N, C, H, W)" if maps else "is not called by itself"
            raise InputError(
                f"tap {name!r}: this module of {type(network).__name__} {what}; choose another, "
                "such as a convolution in it"
            )
    return {name: [x.shape[1] for x in as_list(found[name])] for name in names}


def as_list(features: Features) -> list[Tensor]:
    """The maps of a tap."""
    return [features] if isinstance(features, Tensor) else list(features)


def joined(features: Features) -> Tensor:
    """All maps of a tap enlarged to the finest and laid behind each other, (N, sum of C, H, W)."""
    first, *others = as_list(features)
    size = first.shape[-2:]
    return torch.cat([first, *(resized(x, size) for x in others)], dim=1) if others else first


def resized(x: Tensor, size: Sequence[int]) -> Tensor:
    """(N, C, H, W) to another height and width: bilinear, or the mean of areas if smaller."""
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    if x.shape[-1] > size[1] and x.shape[-2] > size[0]:
        return functional.adaptive_avg_pool2d(x, (size[0], size[1]))
    return functional.interpolate(x, (size[0], size[1]), mode="bilinear", align_corners=False)
