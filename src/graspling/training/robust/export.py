"""Critics and networks of one grasp as ONNX, checked against PyTorch.

Critic: "crop" (N, 1, 32, 32) and "pose" (N, 2) in metres to "robust" (N,), a probability. One
grasp: "image" (N, 1, 224, 224) in metres and "focal" (N,) in pixels to "grasp" (N, 6): u, v, angle,
width (pixels, radians), z (metres), the critic's probability.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from graspling.card import METADATA_KEY, Card
from graspling.crops import SIZE
from graspling.errors import GrasplingError, InputError
from graspling.export import OPSET, PARITY, _quiet
from graspling.files import write_bytes
from graspling.networks.gqcnn import Critic
from graspling.networks.gqstn import SIDE, OneGrasp
from graspling.onnx_graph import strip
from graspling.robust.session import INPUTS, OUTPUTS
from graspling.training.checkpoint import read_checkpoint
from graspling.training.robust.checkpoints import load_critic, load_one_grasp

# Of a grasp's six numbers: pixels, radians, metres. Differences are those of float32 through three
# samplings of an image, far below what a grasp means.
_GRASP_PARITY = np.array([0.02, 0.02, 1e-3, 0.02, PARITY, 2e-3])


class _Robust(nn.Module):
    """A critic that says a probability."""

    def __init__(self, critic: Critic) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, crop: Tensor, pose: Tensor) -> Tensor:
        return self.critic.probability(crop, pose)


def load(path: str | Path) -> tuple[Critic | OneGrasp, Card]:
    """A checkpoint of either kind.

    Raises:
        InputError: it holds maps, or cannot be read.
    """
    _, card = read_checkpoint(path)
    if card.kind == "critic":
        return load_critic(path)
    if card.kind == "grasp":
        return load_one_grasp(path)
    raise InputError(f"{path}: holds the network {card.network!r}, which says maps")


def example(kind: str, count: int = 2) -> tuple[Tensor, ...]:
    """Inputs like real ones: a table, something 4 cm high on it, a gripper beside its top."""
    generator = torch.Generator().manual_seed(0)
    side = SIZE if kind == "critic" else SIDE
    image = 0.7 + 0.002 * torch.rand(count, 1, side, side, generator=generator)
    image[:, :, side // 3 : side // 2, side // 3 : side // 2] -= 0.04
    if kind == "critic":
        return image, torch.tensor([[0.68, 0.05]]).repeat(count, 1)
    return image, torch.full((count,), 280.0)


def export(network: Critic | OneGrasp, card: str, path: str | Path) -> float:
    """Write the ONNX file, any number of images at once.

    Args:
        card: JSON that the file carries in its metadata.

    Returns:
        The largest difference from PyTorch; of a grasp in units of its tolerances times 1e-4.

    Raises:
        GrasplingError: the file differs from PyTorch by more than 1e-4 (a grasp: by more than some
            hundredths of a pixel).
    """
    kind = "critic" if isinstance(network, Critic) else "grasp"
    module: nn.Module = copy.deepcopy(network).to("cpu", torch.float32).eval()
    if kind == "critic":
        assert isinstance(module, Critic)
        module = _Robust(module)
    inputs = example(kind)
    with torch.no_grad():
        expected = module(*inputs).numpy()
    names = list(INPUTS[kind])
    with _quiet():
        program = torch.onnx.export(
            module,
            inputs,
            input_names=names,
            output_names=[OUTPUTS[kind]],
            dynamic_shapes=tuple({0: torch.export.Dim("N")} for _ in inputs),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    strip(model)
    model.producer_name, model.producer_version = "graspling", ""
    model.graph.name = "graspling"
    onnx.helper.set_model_props(model, {METADATA_KEY: card})
    onnx.checker.check_model(model, full_check=True)
    data = model.SerializeToString()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    feeds = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
    found = session.run([OUTPUTS[kind]], feeds)[0]
    tolerance = PARITY if kind == "critic" else _GRASP_PARITY
    difference = float((np.abs(found - expected) / tolerance).max() * PARITY)
    if not difference <= PARITY:  # also when it is NaN
        raise GrasplingError(
            f"the exported network differs from PyTorch by {difference:.2g}, expected at most "
            f"{PARITY:g}; nothing was written"
        )
    write_bytes(path, data)
    return difference
