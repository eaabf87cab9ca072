"""From a trained network to files: ONNX to run, safetensors to train on.

Both carry the model's card as JSON under the key "graspling". Nothing is ever unpickled.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from graspling.errors import GrasplingError, InputError
from graspling.files import write_bytes
from graspling.networks import GraspNetwork
from graspling.onnx_graph import simplify

CARD_KEY = "graspling"
OPSET = 18
# Largest difference between a map of the file and the same map of the network, any pixel.
PARITY = 1e-4


class _Maps(nn.Module):
    """What a model file computes: a network with its maps in their ranges."""

    def __init__(self, network: GraspNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return self.network.ranges(self.network(image))


def export_onnx(network: GraspNetwork, size: int, card: str, path: str | Path) -> float:
    """Write a network as an ONNX file for inputs of one size and any number of images.

    Input "image" (N, C, size, size) float32 as graspling.image prepares it, output "maps"
    (N, 4, size, size) float32 in their ranges. Batch norm is folded into the convolutions before
    it, plain or transposed; see graspling.onnx_graph for what else is made faster.

    Args:
        network: in any mode, on any device; it is left as it is.
        size: of the input, pixels.
        card: JSON that the file carries in its metadata.
        path: the file, written whole or not at all.

    Returns:
        The largest difference from PyTorch on a random batch.

    Raises:
        InputError: the network cannot take this size, or the file cannot be written.
        GrasplingError: the file's maps differ from PyTorch's by more than 1e-4.
    """
    maps = _Maps(copy.deepcopy(network).to("cpu", torch.float32)).eval()
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, network.channels, size, size, generator=generator)
    with torch.no_grad():
        expected = maps(image).numpy()
    with _quiet():
        program = torch.onnx.export(
            maps,
            (image,),
            input_names=["image"],
            output_names=["maps"],
            dynamic_shapes=({0: torch.export.Dim("N")},),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    simplify(model)
    model.producer_name, model.producer_version = "graspling", ""
    model.graph.name = "graspling"
    onnx.helper.set_model_props(model, {CARD_KEY: card})
    onnx.checker.check_model(model, full_check=True)
    data = model.SerializeToString()

    difference = float(np.abs(_run(data, image.numpy()) - expected).max())
    if not difference <= PARITY:  # also when it is NaN
        raise GrasplingError(
            f"the exported network differs from PyTorch by {difference:.2g}, expected at most "
            f"{PARITY:g}; nothing was written; check its weights for NaN or huge values"
        )
    write_bytes(path, data)
    return difference


def save_safetensors(network: nn.Module, card: str, path: str | Path) -> None:
    """Write weights and card, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    # Parameters in channels_last are not contiguous, which the format wants.
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    write_bytes(path, safetensors.torch.save(tensors, {CARD_KEY: card}))


def load_safetensors(path: str | Path) -> tuple[dict[str, Tensor], str]:
    """Weights for ``network.load_state_dict`` and the card as JSON.

    Raises:
        InputError: no such file, not a safetensors file, or one that graspling did not write.
    """
    try:
        with safe_open(Path(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"cannot read the weights {path}: {reason}; expected a .safetensors file"
        ) from None
    if CARD_KEY not in metadata:
        raise InputError(
            f"{path} carries no card of graspling; expected weights saved by graspling"
        )
    return tensors, metadata[CARD_KEY]


def _run(model: bytes, image: np.ndarray) -> np.ndarray:
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
