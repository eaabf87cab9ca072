"""What every network must do, at its smallest valid input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor
from untrained import images, lived

from graspling.card import Card
from graspling.errors import InputError
from graspling.export import export_onnx
from graspling.image import Preparation
from graspling.networks import CHANNELS, NETWORKS, GraspNetwork, build
from graspling.networks.counts import layers, macs, parameters
from graspling.training.checkpoint import load_checkpoint, save_checkpoint

# Parameters for depth, rgb and rgbd; GMAC at 224x224 for rgbd. Published or calculated from the
# published layers, except for graspling's own.
COUNTS = {
    "dsc_graspnet": (644_564, 645_140, 645_428, 2.416),
    "ggcnn": (62_420, 67_604, 70_196, 0.346),
    "ggcnn2": (66_676, 70_548, 72_484, 1.167),
    "ggcnn_student_v1": (16_412, 19_004, 20_300, 0.107),
    "ggcnn_student_v2": (35_716, 39_604, 41_548, 0.210),
    "graspling_m": (813_760, 814_784, 815_296, 0.368),
    "graspling_s": (402_976, 403_488, 403_744, 0.098),
    "grconvnet_c16": (475_268, 477_860, 479_156, 2.892),
    "grconvnet_c32": (1_893_124, 1_898_308, 1_900_900, 11.021),
    "hrgrasp_w18": (9_732_832, 9_733_984, 9_734_560, 3.824),
    "hrgrasp_w48": (66_537_892, 66_539_044, 66_539_620, 20.020),
    "kufenet_15k": (15_303, 15_375, 15_333, 0.723),
    "kufenet_80k": (80_161, 80_305, 80_215, 3.790),
    "kufenet_263k": (262_483, 262_735, 262_573, 12.263),
    "kufenet_teacher": (8_709_589, 8_710_885, 8_710_021, 272.501),
    "kufenet_teacher_strided": (8_712_001, 8_721_409, 8_715_137, 8.617),
    "lite_hrgrasp_w18": (405_908, 406_484, 406_772, 0.600),
    "lite_hrgrasp_w48": (2_713_652, 2_714_228, 2_714_516, 4.052),
    "resgrasp_18": (11_440_424, 11_446_696, 11_449_832, 2.402),
    "resgrasp_50": (25_761_604, 25_767_876, 25_771_012, 8.077),
    "resgrasp_101": (44_753_732, 44_760_004, 44_763_140, 11.789),
    "resgrasp_152": (60_397_380, 60_403_652, 60_406_788, 15.501),
    "seresunet": (17_223_972, 17_229_156, 17_231_748, 24.675),
}
# Over a million parameters: a second or more for each test.
LARGE = {name for name, counts in COUNTS.items() if counts[2] > 1e6}
SLOW_TO_EXPORT = {"dsc_graspnet", "kufenet_263k", "kufenet_80k", "lite_hrgrasp_w18"}


def networks(slow: set[str]) -> pytest.MarkDecorator:
    """Every network, those that take long marked slow."""
    marks = {name: [pytest.mark.slow] if name in slow else [] for name in NETWORKS}
    return pytest.mark.parametrize("name", [pytest.param(n, marks=marks[n]) for n in sorted(marks)])


every_network = networks(slow=LARGE)
every_modality = pytest.mark.parametrize("modality", CHANNELS)


def seeded(name: str, modality: str = "rgbd", seed: int = 0) -> GraspNetwork:
    torch.manual_seed(seed)
    return build(name, modality)


def images_for(network: GraspNetwork, size: int, count: int = 2) -> Tensor:
    return images(count, size, channels=network.channels, seed=2)


def test_every_network_is_counted_here() -> None:
    assert set(COUNTS) == set(NETWORKS)


@networks(slow=set())
def test_parameters_and_macs_are_those_published(name: str) -> None:
    depth, rgb, rgbd, giga = COUNTS[name]
    with torch.device("meta"):
        found = {m: parameters(build(name, m)) for m in CHANNELS}
        assert macs(build(name, "rgbd"), 224) / 1e9 == pytest.approx(giga, abs=6e-4)
    assert found == {"depth": depth, "rgb": rgb, "rgbd": rgbd}


@networks(slow=set())
def test_the_layers_add_up_to_the_network(name: str) -> None:
    with torch.device("meta"):
        network = build(name, "rgbd")
    rows = layers(network, 96)
    assert sum(row.parameters for row in rows) == parameters(network)
    assert sum(row.macs for row in rows) == macs(network, 96)
    assert all("Norm" not in row.kind for row in rows)
    modules = dict(network.named_modules())
    assert all(row.name in modules and len(row.shape) >= 1 for row in rows)


@every_network
@every_modality
def test_trains_and_returns_maps_of_the_size_of_the_image(name: str, modality: str) -> None:
    network = seeded(name, modality).train()
    height, width = network.multiple, 2 * network.multiple
    image = torch.randn(2, CHANNELS[modality], height, width)
    raw = network(image)
    assert raw.shape == (2, 4, height, width)
    assert network.activate(raw).shape == raw.shape
    network.activate(raw).square().sum().backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@every_network
def test_gradient_reaches_every_parameter(name: str) -> None:
    # In evaluation mode: a bias before batch norm has no gradient in training, by its nature.
    network = lived(seeded(name))
    output = network.activate(network(images_for(network, 2 * network.multiple, 8)))
    output.square().sum().backward()  # type: ignore[no-untyped-call]
    idle = [k for k, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


@every_network
def test_an_answer_far_off_can_still_be_learned_from(name: str) -> None:
    # A rectified width, for one, has no gradient once it is negative, and stays there for good.
    raw = torch.tensor([-1.0, 1.0]).repeat(1, 4, 2, 1).requires_grad_()
    seeded(name).activate(raw).sum().backward()  # type: ignore[no-untyped-call]
    assert raw.grad is not None and bool((raw.grad != 0).all())


@every_network
def test_a_sigmoid_of_quality_starts_where_most_pixels_are(name: str) -> None:
    # From 1/2 a high rate drives it down to where the sigmoid is flat, and there it stays at 0.
    network = seeded(name)
    half = float(network.activate(torch.zeros(1, 4, 1, 1))[0, 0, 0, 0])
    assert network.sigmoid_quality == (half == 0.5)
    if not network.sigmoid_quality:
        return  # quality is the raw map
    quality = network.activate(network(images_for(network, 2 * network.multiple, 8)))[:, 0]
    assert 0.01 < float(quality.detach().mean()) < 0.15


@every_network
def test_same_seed_same_network_and_same_training_output(name: str) -> None:
    first, second, other = seeded(name), seeded(name), seeded(name, seed=1)
    image = images_for(first, first.multiple)
    results = []
    for network in (first, second, other):
        torch.manual_seed(3)
        results.append(network.train()(image))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@every_network
def test_ranges(name: str) -> None:
    network = seeded(name)
    raw = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)) * 5
    maps = network.ranges(raw)
    lows = torch.tensor([0.0, -1.0, -1.0, 0.0]).view(4, 1, 1)
    highs = torch.tensor([1.0, 1.0, 1.0, 1.5]).view(4, 1, 1)
    assert ((maps >= lows) & (maps <= highs)).all()
    inside = (raw.abs() < 1) & (raw > 0)
    inside[:, 0] = False  # quality may go through a sigmoid
    assert torch.equal(maps[inside], raw[inside])


@networks(slow=LARGE | SLOW_TO_EXPORT)
@pytest.mark.parametrize("times", [1, 2])
def test_onnx_equals_pytorch_for_any_batch(name: str, times: int, tmp_path: Path) -> None:
    network = lived(seeded(name))
    size, path = times * network.multiple, tmp_path / "model.onnx"
    assert export_onnx(network, size, "{}", path) < 1e-4
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (1, 3):
        image = images_for(network, size, count)
        with torch.no_grad():
            expected = network.ranges(network(image)).numpy()
        maps = session.run(["maps"], {"image": image.numpy()})[0]
        np.testing.assert_allclose(maps, expected, atol=1e-4)
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert kinds.isdisjoint({"BatchNormalization", "ConvTranspose", "DepthToSpace"})


@every_network
def test_channels_last_and_bf16(name: str) -> None:
    network = lived(seeded(name))
    image = images_for(network, 2 * network.multiple)
    with torch.no_grad():
        expected = network(image)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        reordered = network(image.to(memory_format=torch.channels_last))
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(image.to(memory_format=torch.channels_last)).float()
    scale = expected.abs().max()
    assert (reordered - expected).abs().max() <= 1e-4 * scale
    assert (rough - expected).abs().max() <= 5e-2 * scale


@every_network
def test_safetensors_give_the_same_network_back(name: str, tmp_path: Path) -> None:
    network = lived(seeded(name)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    card = Card("tiny", name, Preparation("rgbd", 96))
    save_checkpoint(tmp_path / "model.safetensors", network, card)
    again, card_again = load_checkpoint(tmp_path / "model.safetensors")
    assert card_again == card
    image = images_for(network, network.multiple)
    # Another memory layout adds up in another order.
    torch.testing.assert_close(again(image), network(image), atol=1e-5, rtol=1e-4)


@every_network
def test_other_sizes_and_channels_are_refused_with_the_valid_ones(name: str) -> None:
    network = seeded(name, "rgb")
    step = network.multiple
    with pytest.raises(InputError, match=rf"multiples of {step} .* nearest is {step}x{2 * step}$"):
        network(torch.zeros(1, 3, step, 2 * step - 1))
    with pytest.raises(InputError, match=r"shape \(1, 4, .* expected \(N, 3, height, width\)"):
        network(torch.zeros(1, 4, step, step))


def test_build_names_the_choices() -> None:
    with pytest.raises(InputError, match="no network 'resnet'; choose one of dsc_graspnet, ggcnn"):
        build("resnet")
    with pytest.raises(InputError, match="no modality 'grey'; choose one of rgb, depth, rgbd"):
        build("ggcnn", "grey")
    with pytest.raises(InputError, match="ggcnn2 has no setting 'width'; choose from: none"):
        build("ggcnn2", "rgb", width=3)
    with pytest.raises(InputError, match="2 input channels"):
        NETWORKS["ggcnn"](2)


@pytest.mark.parametrize(("size", "natural"), [(300, 300), (224, 228), (12, 12), (4, 12)])
def test_ggcnn_crops_what_exceeds_the_image(size: int, natural: int) -> None:
    network = seeded("ggcnn", "depth").eval()
    image = torch.randn(1, 1, size, size)
    with torch.no_grad():
        whole = network.maps(image)
        assert whole.shape[-2:] == (natural, natural)
        assert torch.equal(network(image), whole[..., :size, :size])


SHUFFLED = {"enlarge": "shuffle", "join": "concat"}


@pytest.mark.parametrize(
    ("settings", "multiple", "count"),
    [
        ({"widths": (32, 48, 80), "depths": (1, 1, 3), **SHUFFLED}, 16, 514_464),
        ({"widths": (24, 48, 64), "depths": (1, 1, 2), "stem": "overlap"}, 16, 252_236),
        ({"widths": (16, 32, 32, 48), "depths": (1, 1, 1, 2), "patch": 8, **SHUFFLED}, 64, 199_648),
    ],
)
def test_settings_change_graspling_s(settings: dict[str, Any], multiple: int, count: int) -> None:
    network = build("graspling_s", "rgb", **settings)
    assert (network.multiple, parameters(network)) == (multiple, count)
    assert network(torch.zeros(2, 3, multiple, 2 * multiple)).shape == (
        2,
        4,
        multiple,
        2 * multiple,
    )


def test_settings_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(InputError, match="2 widths and 3 depths, expected one of each a level"):
        build("graspling_s", "rgb", widths=(16, 32), depths=(1, 1, 1))
    with pytest.raises(InputError, match="overlapping stem has patches of 4 pixels, got 8"):
        build("graspling_s", "rgb", stem="overlap", patch=8)
    with pytest.raises(InputError, match="'depth deeper' is for colour and depth, 4 channels; go"):
        build("graspling_s", "depth", stem="depth deeper")


@pytest.mark.parametrize(("deeper", "other"), [("colour", "depth"), ("depth", "colour")])
def test_unequal_stems_of_graspling_s(deeper: str, other: str) -> None:
    network = build("graspling_s", "rgbd", stem=f"{deeper} deeper")
    stem = network.down[0]
    assert [len(getattr(stem, name)) for name in (deeper, other)] == [2, 1]
    image, seen = torch.randn(2, 4, 32, 32), {}
    for name in (deeper, other):
        getattr(stem, name).register_forward_pre_hook(
            lambda _, inputs, name=name: seen.update({name: inputs[0]})
        )
    assert network(image).shape == (2, 4, 32, 32)
    assert torch.equal(seen["colour"], image[:, :3])
    assert torch.equal(seen["depth"], image[:, 3:])
