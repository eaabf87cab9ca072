"""DSC-GraspNet: the size of its paper, its switches and its layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from graspling.errors import InputError
from graspling.export import export_onnx
from graspling.networks.counts import macs, parameters
from graspling.networks.dsc_graspnet import CoordinateAttention, DSCGraspNet
from graspling.networks.mish import Mish  # noqa: E402


def test_parameters_are_those_published() -> None:
    with torch.device("meta"):
        counts = {channels: parameters(DSCGraspNet(channels)) for channels in (1, 3, 4)}
        assert macs(DSCGraspNet(4)) / 1e9 == pytest.approx(2.416, abs=1e-3)
    assert counts == {1: 644_564, 3: 645_140, 4: 645_428}
    assert counts[4] == pytest.approx(643_000, rel=0.01)  # table II


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"attention": False}, 594_500),
        ({"csp": False}, 1_098_804),
        ({"attention": False, "csp": False}, 1_047_876),
        ({"activation": "relu"}, 645_428),
        ({"activation": "hardswish"}, 645_428),
    ],
)
def test_switches(settings: dict[str, Any], count: int) -> None:
    torch.manual_seed(0)
    network = DSCGraspNet(4, **settings)
    assert parameters(network) == count
    kinds = {type(layer) for layer in network.modules()}
    assert (CoordinateAttention in kinds) == settings.get("attention", True)
    assert (Mish in kinds) == ("activation" not in settings)
    raw = network(torch.randn(2, 4, 16, 24))
    assert raw.shape == (2, 4, 16, 24)
    raw.square().sum().backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(InputError, match="no activation 'gelu'; choose one of mish, relu, hards"):
        DSCGraspNet(4, activation="gelu")  # type: ignore[arg-type]


def test_backbone_is_table_1() -> None:
    with torch.device("meta"):
        network = DSCGraspNet(4).eval()
        sides = []
        for stage in network.down:
            stage.register_forward_hook(lambda *call: sides.append(tuple(call[2].shape[1:3])))
        network(torch.empty(1, 4, 224, 224))
    assert sides == [(32, 224), (64, 112), (128, 56), (256, 28)]
    assert [len(stage) for stage in network.down] == [1, 2, 2, 6]  # type: ignore[arg-type]


def test_dropout_acts_on_the_maps_in_training_only() -> None:
    torch.manual_seed(0)
    network = DSCGraspNet(1, dropout=0.5)
    image = torch.randn(2, 1, 32, 32)
    assert (network(image) == 0).float().mean() == pytest.approx(0.5, abs=0.05)
    assert network.eval()(image).all()


def test_coordinate_attention_weighs_by_row_and_column() -> None:
    torch.manual_seed(0)
    attention = CoordinateAttention(64).eval()
    assert attention.shared[0].out_channels == 8  # never less, although 64 / 32 = 2
    x = torch.rand(2, 64, 6, 9) + 1.0
    weights = attention(x) / x
    assert weights.shape == x.shape
    assert ((weights > 0) & (weights < 1)).all()
    # The weights are a product of one number a row and one a column.
    rank1 = weights[..., :1] * weights[..., :1, :] / weights[..., :1, :1]
    torch.testing.assert_close(weights, rank1, atol=1e-5, rtol=1e-4)
    # With both branches alike, a transposed image gives transposed weights.
    attention.columns.load_state_dict(attention.rows.state_dict())
    torch.testing.assert_close(attention(x.mT), attention(x).mT, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("size", [224, 288, 320])
def test_export_at_full_size_keeps_mish_one_node(size: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "model.onnx"
    assert export_onnx(DSCGraspNet(4), size, "{}", path) < 1e-4
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert "Mish" in kinds
    assert kinds.isdisjoint({"Softplus", "BatchNormalization"})
