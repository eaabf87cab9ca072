"""HRGrasp-Net, Lite HRGrasp-Net and the same head on ResNets."""

from __future__ import annotations

from functools import partial
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
from graspling.networks.hrnet import Exchange, hrnet
from graspling.networks.lite_hrnet import WeightedUnit, interleave, lite_hrnet
from graspling.networks.litegrasp import Adapter, HRGrasp, LiteGraspNetwork, LiteHRGrasp, PoseHead
from graspling.networks.resgrasp import DEPTHS, ResGrasp

SMALL = {
    "hrgrasp_w18": partial(HRGrasp, width=18),
    "lite_hrgrasp_w18": partial(LiteHRGrasp, width=18),
    "resgrasp_18": partial(ResGrasp, depth=18),
}
LARGE = {
    "hrgrasp_w48": partial(HRGrasp, width=48),
    "lite_hrgrasp_w48": partial(LiteHRGrasp, width=48),
    **{f"resgrasp_{depth}": partial(ResGrasp, depth=depth) for depth in (50, 101, 152)},
}
NAMED = {**SMALL, **LARGE}
# Parameters in millions of table V and how near they are to be, by share.
PUBLISHED = {
    "hrgrasp_w18": (9.74, 0.01),
    "hrgrasp_w48": (66.53, 0.01),
    "lite_hrgrasp_w18": (0.42, 0.04),
    "lite_hrgrasp_w48": (2.71, 0.04),
    "resgrasp_18": (11.2, 0.025),
    "resgrasp_50": (25.6, 0.01),
    "resgrasp_101": (44.5, 0.01),
    "resgrasp_152": (60.2, 0.01),
}
every_size = pytest.mark.parametrize(
    "name", [*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)]
)


def seeded(name: str, channels: int = 4, seed: int = 0) -> LiteGraspNetwork:
    torch.manual_seed(seed)
    return NAMED[name](channels)


@pytest.mark.parametrize("name", NAMED)
def test_parameters_are_those_of_table_v(name: str) -> None:
    millions, share = PUBLISHED[name]
    with torch.device("meta"):
        assert parameters(NAMED[name](4)) / 1e6 == pytest.approx(millions, rel=share)


def test_macs_are_those_of_the_paper_as_far_as_it_has_them() -> None:
    # Section IV-E: 0.71 G, which only its counter knows the parts of; never more than that.
    with torch.device("meta"):
        assert 0.59e9 < macs(LiteHRGrasp(4, 18), 224) < 0.71e9
        assert macs(HRGrasp(4, 18), 224) == pytest.approx(3.82e9, rel=0.01)


def test_backbones_alone_have_the_known_sizes() -> None:
    with torch.device("meta"):
        # HRNet's multi-scale backbones for colour images: 9.56 and 65.32 M.
        assert parameters(hrnet(3, 18)) == pytest.approx(9.562e6, rel=1e-3)
        assert parameters(hrnet(3, 48)) == pytest.approx(65.325e6, rel=1e-3)
        # ImageNet's ResNets less their classifiers.
        known = {18: 11_689_512, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}
        for depth in DEPTHS:
            last = 512 if depth == 18 else 2048
            found = parameters(ResGrasp(3, depth).backbone)
            assert found == known[depth] - (last + 1) * 1000


@every_size
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_trains_at_the_smallest_size(name: str, channels: int) -> None:
    network = seeded(name, channels).train()
    raw = network(images(2, 32, 64, channels))
    assert raw.shape == (2, 4, 32, 64)
    raw.square().sum().backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@every_size
def test_gradient_reaches_every_parameter(name: str) -> None:
    network = lived(seeded(name))
    network(images(8, 64, 64)).square().sum().backward()  # type: ignore[no-untyped-call]
    idle = [k for k, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


@every_size
def test_same_seed_same_output_with_dropout(name: str) -> None:
    outputs = []
    for seed in (0, 0, 1):
        network = seeded(name, seed=seed).train()
        torch.manual_seed(3)
        outputs.append(network(images(2, 32, 32)))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


# At one size each: the exporter takes its time with so many layers.
@pytest.mark.slow
@pytest.mark.parametrize("name", NAMED)
def test_onnx_equals_pytorch_for_any_batch(name: str, tmp_path: Path) -> None:
    network, path = lived(seeded(name)), tmp_path / "model.onnx"
    assert export_onnx(network, 64, "{}", path) < 1e-4
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (1, 3):
        image = images(count, 64, 64)
        with torch.no_grad():
            expected = network.ranges(network(image)).numpy()
        np.testing.assert_allclose(
            session.run(None, {"image": image.numpy()})[0], expected, atol=1e-4
        )
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert kinds.isdisjoint({"BatchNormalization", "GlobalAveragePool", "Shape"})


@every_size
def test_channels_last_and_bf16(name: str) -> None:
    network = lived(seeded(name))
    image = images(2, 64, 64)
    with torch.no_grad():
        expected = network(image)
        network.channels_last()
        reordered = network(image.to(memory_format=torch.channels_last))
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(image.to(memory_format=torch.channels_last)).float()
    scale = expected.abs().max()
    assert (reordered - expected).abs().max() <= 1e-4 * scale
    assert (rough - expected).abs().max() <= 5e-2 * scale


def test_other_sizes_and_depths_are_refused() -> None:
    with pytest.raises(InputError, match="multiples of 32 .* nearest is 224x288"):
        LiteHRGrasp(4)(torch.zeros(1, 4, 224, 300))
    with pytest.raises(InputError, match="34 layers; choose one of 18, 50, 101, 152"):
        ResGrasp(4, 34)


@pytest.mark.slow
@pytest.mark.parametrize("size", [224, 288, 320])
@pytest.mark.parametrize("name", SMALL)
def test_the_papers_sizes(name: str, size: int) -> None:
    with torch.no_grad():
        assert seeded(name).eval()(images(1, size, size)).shape == (1, 4, size, size)


def test_taps_give_teacher_and_student_the_same_shapes() -> None:
    shapes: dict[str, list[list[tuple[int, ...]]]] = {}
    for name in ("hrgrasp_w18", "lite_hrgrasp_w18"):
        network, found = seeded(name).eval(), []
        for tap in network.taps:
            network.get_submodule(tap).register_forward_hook(
                lambda layer, inputs, output, found=found: found.append(
                    [tuple(x.shape[1:]) for x in output]
                )
            )
        with torch.no_grad():
            network(images(1, 64, 96))
        shapes[name] = found
    four = [(18, 16, 24), (36, 8, 12), (72, 4, 6), (144, 2, 3)]
    assert shapes["hrgrasp_w18"] == [four[:2], four[:3], four]
    assert shapes["lite_hrgrasp_w18"] == shapes["hrgrasp_w18"]


def test_taps_of_a_resnet_are_its_stages() -> None:
    network = seeded("resgrasp_18").eval()
    shapes = []
    for tap in network.taps:
        network.get_submodule(tap).register_forward_hook(
            lambda layer, inputs, output: shapes.append(tuple(output.shape[1:]))
        )
    with torch.no_grad():
        network(images(1, 64, 64))
    assert shapes == [(128, 8, 8), (256, 4, 4), (512, 2, 2)]


def test_head_has_three_groups_and_its_adapter_brings_all_to_the_finest() -> None:
    head = PoseHead([18, 36, 72, 144]).eval()
    assert [name for name, _ in head.named_children()] == ["adapter", "quality", "angle", "width"]
    features = [torch.randn(2, 18 * 2**i, 16 // 2**i, 16 // 2**i) for i in range(4)]
    assert head.adapter(features).shape == (2, 270, 16, 16)
    assert head(features).shape == (2, 4, 64, 64)
    assert Adapter([18, 36])(features[:2]).shape == (2, 54, 16, 16)


def test_exchange_adds_each_branch_once_and_changes_none_in_place() -> None:
    mix = Exchange(
        [4, 8], lambda inputs, outputs, stride, relu: nn.Conv2d(inputs, outputs, 1, stride)
    )
    for layer in mix.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    branches = [torch.rand(1, 4, 8, 8), torch.rand(1, 8, 4, 4)]
    copies = [x.clone() for x in branches]
    for given, copy, mixed in zip(branches, copies, mix.eval()(branches), strict=True):
        assert torch.equal(given, copy)
        assert torch.equal(mixed, copy)


def test_interleave_is_the_channel_shuffle_of_both() -> None:
    a, b = torch.randn(2, 9, 4, 4), torch.randn(2, 9, 4, 4)
    assert torch.equal(interleave(a, b), nn.ChannelShuffle(2)(torch.cat([a, b], dim=1)))


def test_static_pooling_equals_adaptive_pooling() -> None:
    seen = []
    unit = WeightedUnit([18, 36, 72]).eval()
    unit.across.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    branches = [torch.randn(1, 18, 16, 24), torch.randn(1, 36, 8, 12), torch.randn(1, 72, 4, 6)]
    with torch.no_grad():
        unit(branches)
    pooled = [nn.functional.adaptive_avg_pool2d(x.chunk(2, 1)[1], (4, 6)) for x in branches]
    torch.testing.assert_close(seen[0], torch.cat(pooled, dim=1))


def test_units_keep_half_of_the_channels_as_they_are() -> None:
    branches = lite_hrnet(4, 18).widths[:2]
    given = [torch.randn(1, branches[0], 8, 8), torch.randn(1, branches[1], 4, 4)]
    with torch.no_grad():
        for before, after in zip(given, WeightedUnit(branches).eval()(given), strict=True):
            assert torch.equal(after[:, ::2], before.chunk(2, dim=1)[0])
