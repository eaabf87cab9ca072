"""Every term against numbers worked out by hand or another formula."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the lab is not installed")

from graspling.errors import InputError  # noqa: E402
from graspling.networks import build  # noqa: E402
from graspling.training.distillation import attention  # noqa: E402
from graspling.training.distillation.settings import DistillSettings, Term  # noqa: E402
from graspling.training.distillation.taps import (  # noqa: E402
    find_tap,
    joined,
    resized,
    tap_widths,
    tapped,
)
from graspling.training.distillation.terms import (  # noqa: E402
    Align,
    Pointwise,
    attention_distance,
    feature_distance,
    output_distance,
    shares_of,
)
from graspling.training.losses import LossSettings  # noqa: E402


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_output_distance_by_hand() -> None:
    student, teacher = torch.zeros(2, 4, 1, 2), torch.zeros(2, 4, 1, 2)
    teacher[1] = torch.tensor([[[1.0, 0.0]], [[0.5, 0.5]], [[0.0, 2.0]], [[0.4, 0.0]]])
    weights = LossSettings(quality=2.0, angle=1.0, width=10.0)
    found = output_distance(student, teacher, "mse", weights)
    # means: quality 1/2, cos 1/4, sin 4/2, width 0.16/2
    assert found.tolist() == pytest.approx([0.0, 2 * 0.5 + 0.25 + 2.0 + 10 * 0.08])
    smooth = output_distance(student, teacher, "smooth_l1", weights)
    # half the squares below 1; 2 - 0.5 above
    expected = 2 * 0.25 + 0.125 + 1.5 / 2 + 10 * 0.04
    assert smooth.tolist() == pytest.approx([0.0, expected])
    # quality 1 at the first pixel, 0 at the second: the second's angle does not count
    sure = output_distance(student, teacher, "mse", weights, by_quality=True)
    assert sure[1].item() == pytest.approx(2 * 0.5 + 0.25 + 0.0 + 10 * 0.16)


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [("mean", [2.0, 1.5]), ("max", [1.0, 2 / 3]), ("max2", [1.0, 4 / 9]), ("max4", [1.0, 16 / 81])],
)
def test_attention_maps_by_hand(mapping: str, expected: list[float]) -> None:
    features = torch.tensor([[[[-3.0, 1.0]], [[1.0, 2.0]]]])  # two channels, two pixels
    found = attention.attention_map(features, mapping)[0, 0]
    assert found.tolist() == pytest.approx(expected)  # max: relative to the highest, 3


def test_the_fourth_power_of_large_features_is_finite() -> None:
    found = attention.attention_map(random(1, 2, 4, 4) * 1e12, "max4")
    assert torch.isfinite(found).all() and found.max().item() == pytest.approx(1.0)


def test_mmd_equals_the_sum_over_all_pairs_of_places() -> None:
    p, q = (attention.distribution(random(1, 5, 7, seed=s)) for s in (1, 2))
    rows, columns = np.indices((5, 7))
    place = np.stack([rows.ravel() / 5, columns.ravel() / 7], axis=1)
    squared = ((place[:, None] - place) ** 2).sum(axis=2)
    kernel = np.mean([np.exp(-squared / (2 * b**2)) for b in attention.BANDWIDTHS], axis=0)
    a, b = (x.numpy().ravel().astype(float) for x in (p, q))
    expected = a @ kernel @ a + b @ kernel @ b - 2 * a @ kernel @ b
    assert attention.mmd(p, q).item() == pytest.approx(expected, rel=1e-4)


def test_mmd_is_zero_for_equal_and_grows_with_the_distance_of_different_ones() -> None:
    def blob(u: float) -> torch.Tensor:
        line = torch.arange(40.0)
        bump = torch.exp(-((line - u) ** 2) / 8) * torch.exp(-((line[:, None] - 20) ** 2) / 8)
        return attention.distribution(bump[None])

    distances = [attention.mmd(blob(10), blob(u)).item() for u in (10, 11, 13, 20)]
    assert distances[0] == 0
    assert 0 < distances[1] < distances[2] < distances[3]
    # the scale of features is no difference
    one = random(1, 3, 6, 6)
    term = Term("attention", taps=(("a", "b"),))
    assert attention_distance(one, 7 * one, term).item() == pytest.approx(0, abs=1e-7)
    assert attention_distance(one, torch.zeros(1, 3, 6, 6), term).item() > 0


def test_attention_of_different_sizes_can_be_compared() -> None:
    small = random(1, 3, 8, 8)
    large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    for loss in ("mmd", "mse"):
        term = Term("attention", loss=loss, taps=(("a", "b"),))  # type: ignore[arg-type]
        assert attention_distance(small, large, term).item() == pytest.approx(0, abs=1e-6)


def test_attention_transfer_by_squares_by_hand() -> None:
    term = Term("attention", loss="mse", taps=(("a", "b"),))
    one, other = torch.tensor([[[[1.0, 3.0]]]]), torch.tensor([[[[1.0, 1.0]]]])
    # scaled to a mean of 1: (0.5, 1.5) and (1, 1)
    assert attention_distance(one, other, term).item() == pytest.approx(0.25)


def test_divergence_of_features_by_hand() -> None:
    student, teacher = torch.zeros(1, 1, 1, 2), torch.tensor([[[[0.0, math.log(3.0)]]]])
    term = Term("features", loss="kl", taps=(("a", "b"),))
    # teacher 1/4, 3/4; student 1/2, 1/2
    expected = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    assert feature_distance(student, teacher, term).item() == pytest.approx(expected, rel=1e-5)
    assert feature_distance(teacher, teacher, term).item() == pytest.approx(0, abs=1e-7)
    # logits halved: teacher 1 to sqrt 3; times the temperature squared
    soft = Term("features", loss="kl", taps=(("a", "b"),), temperature=2.0)
    p = 1 / (1 + math.sqrt(3))
    expected = 4 * (p * math.log(2 * p) + (1 - p) * math.log(2 * (1 - p)))
    assert feature_distance(student, teacher, soft).item() == pytest.approx(expected, rel=1e-4)
    mse = Term("features", loss="mse", taps=(("a", "b"),))
    assert feature_distance(student, teacher, mse).item() == pytest.approx(math.log(3) ** 2 / 2)


def test_adapters_bring_features_to_the_teachers_channels() -> None:
    stage = [random(2, 3, 8, 8), random(2, 5, 4, 4)]
    assert Align(8, 11)(stage).shape == (2, 11, 8, 8)
    assert Pointwise(3, 7)(stage[0]).shape == (2, 7, 8, 8)
    assert torch.equal(joined(stage)[:, :3], stage[0])
    assert joined(stage)[:, 3:, ::2, ::2].shape == stage[1].shape


def test_resizing_keeps_a_constant_and_the_mean_of_areas() -> None:
    x = random(1, 2, 8, 8)
    assert resized(x, (4, 4)).mean().item() == pytest.approx(x.mean().item(), rel=1e-5)
    assert torch.allclose(resized(torch.ones(1, 1, 4, 4), (8, 8)), torch.ones(1, 1, 8, 8))


def test_shares() -> None:
    taps = (("a", "a"), ("b", "b"), ("c", "c"))
    weights = np.exp([0.5, 1.0, 1.5]) / np.exp([0.5, 1.0, 1.5]).sum()
    soft = Term("attention", taps=taps, shares=(0.5, 1.0, 1.5), softmax=True)
    assert shares_of(soft) == pytest.approx(weights.tolist())
    assert shares_of(Term("features", taps=taps, shares=(0.1, 0.3, 0.6))) == [0.1, 0.3, 0.6]
    assert shares_of(Term("features", taps=taps)) == pytest.approx([1 / 3] * 3)


def test_alpha_divides_labels_and_teacher() -> None:
    labels, outputs = Term("labels", weight=2.0), Term("outputs", weight=3.0)
    settings = DistillSettings(terms={"a": labels, "b": outputs}, alpha=0.25)
    assert settings.weight(labels) == 1.5 and settings.weight(outputs) == 0.75
    assert DistillSettings().weight(outputs) == 3.0


def test_taps_by_name_and_by_path() -> None:
    kufenet = build("kufenet_15k", "rgbd").eval()
    with tapped(kufenet, ["decoder1", "decoder3"]) as found:
        kufenet(torch.zeros(1, 4, 32, 32))
    assert [found[n].shape[1] for n in ("decoder1", "decoder3")] == [66, 24]  # type: ignore[union-attr]
    assert not kufenet.decoder[0]._forward_hooks  # nothing is left behind
    assert tap_widths(build("ggcnn", "rgb"), ["up.0"], 24) == {"up.0": [8]}
    with pytest.raises(InputError, match="more than once"):  # one ReLU serves all layers
        tap_widths(build("ggcnn", "rgb"), ["up.1"], 24)
    with pytest.raises(InputError, match="'decoder': .* is not called by itself"):
        tap_widths(kufenet, ["decoder"], 32)
    lite = build("lite_hrgrasp_w18", "depth")
    assert tap_widths(lite, ["backbone.stage3"], 64) == {"backbone.stage3": [18, 36, 72]}
    with pytest.raises(InputError, match="decoder1, decoder2, decoder3"):
        find_tap(kufenet, "decoder9")
    with pytest.raises(InputError, match="no tap ''; its taps: decoder1"):
        find_tap(kufenet, "")  # PyTorch's name of the network itself


def test_a_tap_gives_what_its_module_said_whatever_changes_it_afterwards() -> None:
    """GG-CNN's first convolution has a ReLU behind it that works in place."""
    network = build("ggcnn", "rgb").eval()
    image = torch.randn(1, 3, 24, 24)
    with torch.no_grad(), tapped(network, ["down.0"]) as found:
        network(image)
    expected = find_tap(network, "down.0")(image)
    torch.testing.assert_close(found["down.0"], expected)
    assert expected.min() < 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"compare": "outputs", "loss": "mmd"}, "choose one of mse, smooth_l1"),
        ({"compare": "labels", "loss": "mmd"}, "own loss, leave it out"),
        ({"compare": "attention"}, "expected pairs of taps"),
        ({"compare": "outputs", "taps": (("a", "b"),)}, "expected no taps"),
        ({"compare": "features", "taps": (("a", "b"),), "shares": (1.0, 2.0)}, "2 shares for 1"),
        ({"compare": "labels", "weight": -1.0}, "weight from 0 up"),
        ({"compare": "labels", "gate": True}, "gate is True.* outputs or attention or features"),
        ({"compare": "labels", "by_quality": True}, "by_quality is True.* outputs alone"),
        ({"compare": "outputs", "mapping": "max"}, "mapping is 'max'.* attention alone"),
        ({"compare": "outputs", "adapter": "align"}, "adapter is 'align'.* features alone"),
        ({"compare": "outputs", "temperature": 2.0}, "temperature is of kl alone"),
        ({"compare": "features", "taps": (("a", "b"),), "shares": (-1.0,)}, "weights from 0 up"),
        ({"compare": "features", "taps": (("a", "b"),), "shares": (0.0,)}, "one of them above 0"),
        ({"compare": "attention", "taps": (("a", "b"),), "shares": (math.nan,)}, "from 0 up"),
        ({"compare": "attention", "taps": (("a", "b"),), "softmax": True}, "softmax is of its"),
    ],
)
def test_terms_that_make_no_sense(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Term(**settings)  # type: ignore[arg-type]
