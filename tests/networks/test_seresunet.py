"""SE-ResUNet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from untrained import images, lived

from graspling.errors import InputError
from graspling.export import export_onnx
from graspling.networks.counts import macs, parameters
from graspling.networks.seresunet import SEBlock, SEResUNet


def seeded(channels: int = 4, width: int = 12, seed: int = 0) -> SEResUNet:
    torch.manual_seed(seed)
    return SEResUNet(channels, width)


def test_macs_are_as_published_and_the_parameters_give_way() -> None:
    with torch.device("meta"):
        network = SEResUNet(4)
        assert macs(network, 224) / 1e9 == pytest.approx(24.78, rel=0.005)
        assert parameters(network) == 17_231_748
        # The reason: one convolution of the lowest level alone is larger than what is published.
        assert max(p.numel() for p in network.blocks_up[3].parameters()) > 2.3e6
        # Shared blocks, as in the public code: 16.4 M with the biases and an unused layer.
        shared = parameters(network) - parameters(network.blocks_down)
        assert shared / 1e6 == pytest.approx(16.4, rel=0.01)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("width", [12, pytest.param(32, marks=pytest.mark.slow)])
def test_trains_at_the_smallest_size(channels: int, width: int) -> None:
    network = seeded(channels, width).train()
    raw = network(images(2, 16, 32, channels))
    assert raw.shape == (2, 4, 16, 32)
    raw.square().sum().backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_gradient_reaches_every_parameter_and_bf16_is_near() -> None:
    network = lived(seeded(width=32))
    image = images(4, 32, 32)
    expected = network(image)
    expected.square().sum().backward()  # type: ignore[no-untyped-call]
    idle = [k for k, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rough = network.channels_last()(image.to(memory_format=torch.channels_last)).float()
    assert (rough - expected).abs().max() <= 5e-2 * expected.abs().max()


def test_same_seed_same_output_with_dropout() -> None:
    outputs = []
    for seed in (0, 0, 1):
        network = seeded(seed=seed).train()
        torch.manual_seed(3)
        outputs.append(network(images(2, 16, 16)))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


@pytest.mark.slow
def test_onnx_equals_pytorch_for_any_batch(tmp_path: Path) -> None:
    network, path = lived(seeded(width=32)), tmp_path / "model.onnx"
    assert export_onnx(network, 32, "{}", path) < 1e-4
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (1, 3):
        image = images(count, 32, 32)
        with torch.no_grad():
            expected = network.ranges(network(image)).numpy()
        np.testing.assert_allclose(
            session.run(None, {"image": image.numpy()})[0], expected, atol=1e-4
        )
    assert "BatchNormalization" not in {node.op_type for node in onnx.load(path).graph.node}


def test_other_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="multiples of 16 .* nearest is 224x304"):
        seeded()(torch.zeros(1, 4, 224, 300))


def test_a_block_weights_its_channels() -> None:
    block = SEBlock(32).eval()
    nn.init.zeros_(block.excite.weight)  # every channel then weighs a half
    x = torch.rand(2, 32, 4, 4)
    with torch.no_grad():
        torch.testing.assert_close(block(x), torch.relu(x + block.layers(x) / 2))
