"""KufeNet and its teacher: the sizes of the paper, table VI, and the layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from graspling.errors import InputError
from graspling.export import export_onnx
from graspling.networks.counts import macs, parameters
from graspling.networks.kufenet import KufeNet
from graspling.networks.kufenet_blocks import (
    ChannelAttention,
    MultiScale,
    VolumeConv,
    channel_shuffle,
)
from graspling.networks.kufenet_teacher import KufeNetTeacher

SIZES: dict[str, dict[str, Any]] = {
    "15k": {"widths": (12, 36, 48), "decoder": (66, 36, 24)},
    "80k": {"widths": (36, 108, 132), "decoder": (180, 96, 60)},
    "263k": {"widths": (72, 216, 264), "decoder": (336, 180, 108)},
}
STRIDED: dict[str, Any] = {
    "widths": (64, 256, 256),
    "depths": (2, 3),
    "decoder": (96, 48, 24),
    "stride": 4,
}
NONE: dict[str, Any] = {"shuffle": False, "attention": "none"}
EQUAL: dict[str, Any] = {"unequal": False}


@pytest.mark.parametrize(
    ("name", "published", "giga"), [("15k", 15.3, 0.723), ("80k", 80.0, 3.79), ("263k", 263, 12.26)]
)
def test_sizes_are_those_published(name: str, published: float, giga: float) -> None:
    with torch.device("meta"):
        network = KufeNet(4, **SIZES[name])
        assert parameters(network) / 1e3 == pytest.approx(published, rel=0.01)
        assert macs(network) / 1e9 == pytest.approx(giga, rel=2e-3)


@pytest.mark.parametrize(
    ("channels", "settings", "published", "count"),
    [
        (3, {}, 81.7, 80_305),
        (1, {}, 78.9, 80_161),
        (4, {**EQUAL, **NONE}, 79.4, 79_414),
        (4, EQUAL, 85.6, 84_973),
        (4, NONE, 74.9, 74_656),
        (4, {"attention": "none"}, 74.9, 74_656),
        (4, {"shuffle": False}, 80.0, 80_215),
        (4, {}, 80.0, 80_215),
    ],
)
def test_table_6(channels: int, settings: dict[str, Any], published: float, count: int) -> None:
    network = KufeNet(channels, **settings)
    assert parameters(network) == count
    assert count / 1e3 == pytest.approx(published, rel=0.02)
    raw = network(torch.randn(2, channels, 4, 8))
    raw.square().sum().backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_squeeze_excitation_differs_by_the_squeeze_alone() -> None:
    assert parameters(KufeNet(4, attention="se")) == 79_618
    x = torch.rand(2, 32, 6, 6)
    attention = ChannelAttention(32, volume=False)
    shuffled = x.flatten(2)[..., torch.randperm(36)].view_as(x)
    weights = attention(x) / x
    torch.testing.assert_close(weights[..., 0, 0], (attention(shuffled) / shuffled)[..., 0, 0])
    # 3-D convolution sees where things are.
    attention = ChannelAttention(32, volume=True)
    near = (attention(shuffled) / shuffled)[..., 0, 0]
    assert not torch.allclose((attention(x) / x)[..., 0, 0], near, atol=1e-6)


def test_volume_convolution_is_a_3d_convolution() -> None:
    torch.manual_seed(0)
    layer, reference = VolumeConv(4, 3, 7), nn.Conv3d(1, 4, (3, 7, 7), (1, 7, 7), (1, 3, 3))
    with torch.no_grad():
        reference.weight.copy_(layer.weight[:, None])
        reference.bias.copy_(layer.bias)  # type: ignore[union-attr,arg-type]
    x = torch.randn(2, 6, 15, 20)
    torch.testing.assert_close(layer(x), reference(x[:, None]))
    layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.testing.assert_close(layer(x), reference(x[:, None]))


def test_colour_is_split_and_depth_copied() -> None:
    split, copied = MultiScale(6, 9, copy=False), MultiScale(6, 9, copy=True)
    assert [scale[0].kernel_size for scale in split.scales] == [(3, 3), (5, 5), (7, 7)]  # type: ignore[index]
    for block, seen in ((split, 2), (copied, 6)):
        x = torch.randn(1, 6, 5, 5, requires_grad=True)
        block.eval()(x)[:, :3].sum().backward()  # the outputs of the first kernel
        assert x.grad is not None
        assert x.grad.abs().sum((0, 2, 3)).count_nonzero() == seen


def test_depth_has_most_of_the_parameters() -> None:
    network = KufeNet(4)
    assert parameters(network.depth) > 5 * parameters(network.colour)
    equal = KufeNet(4, unequal=False)
    same = [parameters(branch[1:]) for branch in (equal.depth, equal.colour)]  # type: ignore[index]
    assert same[0] == same[1]


def test_colour_and_depth_go_to_their_branches() -> None:
    torch.manual_seed(0)
    network, seen = KufeNet(4, **SIZES["15k"]).eval(), {}
    for name in ("colour", "depth"):
        getattr(network, name).register_forward_hook(
            lambda _, inputs, __, name=name: seen.update({name: inputs[0]})
        )
    image = torch.randn(1, 4, 8, 8)
    network(image)
    assert torch.equal(seen["colour"], image[:, :3])
    assert torch.equal(seen["depth"], image[:, 3:])


def test_channel_shuffle() -> None:
    x = torch.arange(6.0).view(1, 6, 1, 1)
    assert channel_shuffle(x, 3).flatten().tolist() == [0, 2, 4, 1, 3, 5]
    assert functional.channel_shuffle(x, 3).flatten().tolist() == [0, 2, 4, 1, 3, 5]


def test_shuffle_matters_without_attention_too() -> None:
    networks = [KufeNet(4, shuffle=shuffle, attention="none").eval() for shuffle in (True, False)]
    networks[1].load_state_dict(networks[0].state_dict())
    # The first decoder group sees depth only if the channels were shuffled.
    for network, depends in zip(networks, (True, False), strict=True):
        first: list[Tensor] = []
        network.taps["decoder1"].register_forward_hook(
            lambda *call, first=first: first.append(call[2])
        )
        image = torch.randn(1, 4, 8, 8)
        for depth in (0.0, 5.0):
            image[:, 3] += depth
            network(image)
        group = [features[:, :60] for features in first]
        assert torch.equal(*group) != depends


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"widths": (36, 100, 132)}, r"widths \(36, 100, 132\), expected 3 multiples of 12"),
        (
            {"decoder": (100, 96, 60)},
            r"decoder \(100, 96, 60\), expected its first a multiple of 3",
        ),
        ({"attention": "cbam"}, "no attention 'cbam'; choose one of conv3d, se, none"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        KufeNet(4, **settings)


@pytest.mark.parametrize(
    ("settings", "count", "published", "least", "most"),
    [({}, 8_710_021, 8.7e6, 272.0, 273.4), (STRIDED, 8_715_137, 8.7e6, 0.0, 15.0)],
)
def test_teachers_are_of_the_published_size(
    settings: dict[str, Any], count: int, published: float, least: float, most: float
) -> None:
    with torch.device("meta"):
        network = KufeNetTeacher(4, **settings)
        assert least <= macs(network) / 1e9 <= most
    assert parameters(network) == count == pytest.approx(published, rel=0.01)


@pytest.mark.parametrize(
    ("network", "sides"),
    [
        (lambda: KufeNet(4), [16, 16, 16]),
        (lambda: KufeNetTeacher(4), [16, 16, 16]),
        (lambda: KufeNetTeacher(4, **STRIDED), [4, 8, 16]),
    ],
)
def test_decoder_stages_of_student_and_teacher_correspond(network: Any, sides: list[int]) -> None:
    with torch.device("meta"):
        model, found = network().eval(), {}
        for name, stage in model.taps.items():
            stage.register_forward_hook(
                lambda _, __, output, name=name: found.update({name: output.shape[-1]})
            )
        assert model(torch.empty(1, 4, 16, 16)).shape == (1, 4, 16, 16)
    assert found == dict(zip(("decoder1", "decoder2", "decoder3"), sides, strict=True))


def test_strides_decide_which_sizes_are_valid() -> None:
    with torch.device("meta"):
        assert [KufeNetTeacher(1, stride=s).multiple for s in (1, 2, 4)] == [4, 4, 8]
        assert KufeNetTeacher(1, stride=2)(torch.empty(2, 1, 12, 8)).shape == (2, 4, 12, 8)


@pytest.mark.slow
@pytest.mark.parametrize("size", [224, 288, 300, 320])
def test_student_exports_at_full_size(size: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    assert export_onnx(KufeNet(4, **SIZES["15k"]), size, "{}", tmp_path / "m.onnx") < 1e-4


@pytest.mark.slow
def test_teacher_trains_and_exports(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = KufeNetTeacher(4)
    network(torch.randn(2, 4, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert export_onnx(network, 16, "{}", tmp_path / "m.onnx") < 1e-4


def test_training_leaves_channels_last_nowhere():
    x = torch.randn(2, 12, 16, 16).to(memory_format=torch.channels_last).requires_grad_()
    shuffled = channel_shuffle(x, 3)
    with torch.no_grad():
        torch.testing.assert_close(shuffled, channel_shuffle(x, 3), rtol=0, atol=0)
    out = ChannelAttention(12)(shuffled)
    layouts = []
    shuffled.register_hook(lambda g: layouts.append(g))
    out.square().sum().backward()
    assert x.grad is not None
    for each in (shuffled, out, *layouts, x.grad):
        assert each.is_contiguous(memory_format=torch.channels_last)
