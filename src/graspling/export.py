"""From a trained network to the ONNX file that a robot runs."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from graspling.backends.onnx_runtime import import_onnxruntime
from graspling.card import METADATA_KEY, Card
from graspling.errors import GrasplingError
from graspling.files import write_bytes
from graspling.image import Modality, Preparation
from graspling.maps import Decoding
from graspling.networks import GraspNetwork, build
from graspling.networks.counts import macs, parameters
from graspling.onnx_decode import add_decoding
from graspling.onnx_graph import simplify
from graspling.training.checkpoint import save_checkpoint

OPSET = 18
# Largest difference between a map of the file and the same map of the network, any pixel; or so
# many times what the network itself is off by in single precision, where that is more.
PARITY = 1e-4
_ROUNDING = 4


class _Maps(nn.Module):
    """What a model file computes: a network with its maps in their ranges."""

    def __init__(self, network: GraspNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return self.network.ranges(self.network(image))


@torch.no_grad()
def _rounding(network: GraspNetwork, image: Tensor) -> float:
    """By how much single precision is off, at most of some images and two orders of adding up.

    Noise is far from any image, and batch norm of a channel that hardly ever changes enlarges the
    rounding of it, in PyTorch as in the file; one pass alone is off by little or much as it falls.
    """
    whole = _Maps(copy.deepcopy(network).double())
    layouts = (torch.contiguous_format, torch.channels_last)
    networks = [
        _Maps(copy.deepcopy(network).to(memory_format=layout))  # type: ignore[call-overload]
        for layout in layouts
    ]
    worst = 0.0
    for turn in range(4):
        shown = image.rot90(turn, (2, 3))
        exact = whole(shown.double())
        worst = max(worst, *(float((maps(shown) - exact).abs().max()) for maps in networks))
    return worst


def to_onnx(network: GraspNetwork, image: Tensor) -> onnx.ModelProto:
    """A network in evaluation mode as the exporter writes it: image (N, C, S, S) to maps in their
    ranges, any N; before the rewrites of graspling.onnx_graph."""
    # Without gradients, for which some layers compute otherwise (see networks/mish.py).
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            _Maps(network).eval(),
            (image,),
            input_names=["image"],
            output_names=["maps"],
            dynamic_shapes=({0: torch.export.Dim("N")},),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def export_onnx(
    network: GraspNetwork,
    size: int,
    card: str,
    path: str | Path,
    *,
    decoding: Decoding | None = None,
) -> float:
    """Write a network as an ONNX file for inputs of one size and any number of images.

    Input "image" (N, C, size, size) float32 as graspling.image prepares it, output "maps"
    (N, 4, size, size) float32 in their ranges and "grasps" (N, 10, 6), see graspling.onnx_decode.
    Batch norm is folded into the convolutions before
    it, plain or transposed; see graspling.onnx_graph for what else is made faster.

    Args:
        network: in any mode, on any device; it is left as it is.
        size: of the input, pixels.
        card: JSON that the file carries in its metadata.
        decoding: how its maps become grasps.
        path: the file, written whole or not at all.

    Returns:
        The largest difference from PyTorch on a random batch.

    Raises:
        InputError: the network cannot take this size, or the file cannot be written.
        GrasplingError: the file's maps differ from PyTorch's by more than 1e-4, and by more than
            rounding explains.
    """
    network = copy.deepcopy(network).to("cpu", torch.float32).eval()
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, network.channels, size, size, generator=generator)
    with torch.no_grad():
        expected = _Maps(network)(image).numpy()
    model = to_onnx(network, image)
    simplify(model)
    model.producer_name, model.producer_version = "graspling", ""
    model.graph.name = "graspling"
    add_decoding(model, size, decoding)
    onnx.helper.set_model_props(model, {METADATA_KEY: card})
    onnx.checker.check_model(model, full_check=True)
    data = model.SerializeToString()

    difference = float(np.abs(_run(data, image.numpy()) - expected).max())
    allowed = PARITY
    if not difference <= allowed:  # also when it is NaN
        allowed = max(PARITY, _ROUNDING * _rounding(network, image))
    if not difference <= allowed:
        raise GrasplingError(
            f"the exported network differs from PyTorch by {difference:.2g}, expected at most "
            f"{allowed:.2g}; nothing was written; check its weights for NaN or huge values"
        )
    write_bytes(path, data)
    return difference


def random_model(
    name: str, modality: Modality, size: int, path: str | Path, *, seed: int = 0
) -> Path:
    """A network with fresh weights as ONNX, and as a checkpoint beside it: right for measuring
    how long it takes, before anything is trained.

    Raises:
        InputError: an unknown name, or the network cannot take this modality or size.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build(name, modality).eval()
    card = Card(
        f"{name}-random-{modality}",
        name,
        Preparation(modality, size),
        paper=network.sources,
        parameters=parameters(network),
        macs=macs(network),
    )
    export_onnx(network, size, card.to_json(), path)
    save_checkpoint(Path(path).with_suffix(".safetensors"), network, card)
    return Path(path)


def _run(model: bytes, image: np.ndarray) -> np.ndarray:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    maps: np.ndarray = session.run(["maps"], {"image": image})[0]
    return maps


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks about itself (missing torchvision, deprecations) to itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
