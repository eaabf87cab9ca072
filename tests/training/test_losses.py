"""Losses against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="the lab is not installed")

from graspling.errors import InputError  # noqa: E402
from graspling.networks import build  # noqa: E402
from graspling.training.losses import GraspLoss, LossSettings, check_loss  # noqa: E402


def maps(*pixels: tuple[float, float, float, float]) -> torch.Tensor:
    """One image of one row, a tuple (quality, cos, sin, width) a pixel."""
    return torch.tensor(pixels).T.reshape(1, 4, 1, len(pixels))


def flags(*values: bool) -> torch.Tensor:
    return torch.tensor(values).reshape(1, 1, len(values))


PREDICTION = maps((0.5, 0.0, 0.0, 0.1), (0.0, 0.4, 0.0, 0.0))
TARGET = maps((1.0, 1.0, 0.0, 0.3), (0.0, 0.0, 0.0, 0.0))


def loss(settings: LossSettings, inside: torch.Tensor, ignored: torch.Tensor) -> dict[str, float]:
    total, parts = GraspLoss(settings)(PREDICTION, PREDICTION, TARGET, inside, ignored)
    return {"total": total.item()} | {name: part.item() for name, part in parts.items()}


def test_mean_squared_error_over_all_pixels() -> None:
    found = loss(LossSettings("mse"), flags(True, False), flags(False, False))
    assert found["quality"] == pytest.approx(0.25 / 2)
    assert found["cos"] == pytest.approx((1 + 0.16) / 2)
    assert found["sin"] == 0
    assert found["width"] == pytest.approx(0.04 / 2)
    assert found["total"] == pytest.approx(0.125 + 0.58 + 0.02)


def test_smooth_l1_is_half_the_square_below_one() -> None:
    found = loss(LossSettings("smooth_l1"), flags(True, False), flags(False, False))
    assert found["quality"] == pytest.approx(0.125 / 2)
    assert found["cos"] == pytest.approx((0.5 + 0.08) / 2)


def test_weights_multiply_the_parts() -> None:
    settings = LossSettings("mse", quality=1.2, angle=2.0, width=3.0)
    found = loss(settings, flags(True, False), flags(False, False))
    assert found["total"] == pytest.approx(1.2 * 0.125 + 2 * 0.58 + 3 * 0.02)


def test_outside_zero_asks_for_the_angle_on_grasps_alone() -> None:
    found = loss(LossSettings("mse", outside=0.0), flags(True, False), flags(False, False))
    assert found["cos"] == pytest.approx(1.0)
    assert found["width"] == pytest.approx(0.04)
    assert found["quality"] == pytest.approx(0.125)


def test_ignored_pixels_count_nowhere() -> None:
    found = loss(LossSettings("mse"), flags(True, False), flags(False, True))
    assert found["quality"] == pytest.approx(0.25)
    assert found["cos"] == pytest.approx(1.0)
    nothing = loss(LossSettings("mse"), flags(True, False), flags(True, True))
    assert nothing["total"] == 0


def test_cross_entropy_of_quality_takes_the_logit() -> None:
    raw = maps((0.0, 0, 0, 0), (0.0, 0, 0, 0))
    activated = maps((0.5, 0, 0, 0), (0.5, 0, 0, 0))
    target = maps((1.0, 0, 0, 0), (0.0, 0, 0, 0))
    _, parts = GraspLoss(LossSettings(quality_kind="bce"))(
        raw, activated, target, flags(True, False), flags(False, False)
    )
    assert parts["quality"].item() == pytest.approx(0.693147, abs=1e-5)


def test_relative_width_judges_the_ratio() -> None:
    """Half as wide again is about as wrong on a small grasp as on a large one."""

    def width_error(guess: float, truth: float, relative: bool) -> float:
        settings = LossSettings("mse", relative_width=relative)
        prediction, target = maps((0, 0, 0, guess)), maps((0, 0, 0, truth))
        inside, ignored = flags(True), flags(False)
        _, parts = GraspLoss(settings)(prediction, prediction, target, inside, ignored)
        return parts["width"].item()

    assert width_error(0.3, 0.2, True) == pytest.approx(math.log(1.5) ** 2, rel=0.03)
    assert width_error(0.9, 0.6, True) == pytest.approx(math.log(1.5) ** 2, rel=0.01)
    assert width_error(0.9, 0.6, False) == pytest.approx(9 * width_error(0.3, 0.2, False))
    assert math.isfinite(width_error(-0.1, 0.1, True))


def test_litegrasp_weighs_quality_by_1_2() -> None:
    """Equations 3 to 5, with one error above 1: cos is wrong by 1.5 on the first pixel."""
    prediction = maps((0.5, -0.5, 0.0, 0.1), (0.0, 0.4, 0.0, 0.0))
    settings = LossSettings("smooth_l1", angle=1.0, width=1.0, quality=1.2)
    total, parts = GraspLoss(settings)(
        prediction, prediction, TARGET, flags(True, False), flags(False, False)
    )
    assert parts["quality"].item() == pytest.approx(0.5 * 0.5**2 / 2)
    assert parts["cos"].item() == pytest.approx(((1.5 - 0.5) + 0.5 * 0.4**2) / 2)
    assert parts["width"].item() == pytest.approx(0.5 * 0.2**2 / 2)
    assert total.item() == pytest.approx(1.2 * 0.0625 + 0.54 + 0.01)


# Quality 1 on the first pixel and 0.5 on the second: a grasp whose target falls off.
SLOPED = maps((1.0, 1.0, 0.0, 0.3), (0.5, 1.0, 0.0, 0.2), (0.0, 0.0, 0.0, 0.0))
GUESS = maps((0.4, -1.0, 0.2, 0.1), (0.5, 0.0, 0.0, 0.4), (0.1, 0.9, -0.8, 0.7))


def test_position_enhanced_huber_multiplies_errors_by_the_true_quality() -> None:
    """DSC-GraspNet, equation 7: L(Qe) + L(Q cos_e) + L(Q sin_e) + L(Q W_e)."""
    total, parts = GraspLoss(LossSettings("p_huber"))(
        GUESS, GUESS, SLOPED, flags(True, True, False), flags(False, False, False)
    )
    # errors: quality 0.6, 0, 0.1; cos 2, 1, -; sin 0.2, 0, -; width 0.2, 0.2, -
    assert parts["quality"].item() == pytest.approx((0.18 + 0 + 0.005) / 3)
    assert parts["cos"].item() == pytest.approx(((2 - 0.5) + 0.5 * 0.5**2) / 3)
    assert parts["sin"].item() == pytest.approx(0.5 * 0.2**2 / 3)
    assert parts["width"].item() == pytest.approx((0.5 * 0.2**2 + 0.5 * 0.1**2) / 3)
    assert total.item() == pytest.approx(sum(part.item() for part in parts.values()))


def test_position_enhanced_huber_asks_for_nothing_where_no_grasp_is() -> None:
    guess = GUESS.clone().requires_grad_()
    total, _ = GraspLoss(LossSettings("p_huber"))(
        guess, guess, SLOPED, flags(True, True, False), flags(False, False, False)
    )
    total.backward()
    assert guess.grad is not None
    assert guess.grad[0, 0, 0, 2] != 0  # quality is asked for everywhere
    assert not guess.grad[0, 1:, 0, 2].any() and guess.grad[0, 1, 0, :2].all()


@pytest.mark.parametrize("kind", ["mse", "smooth_l1", "p_huber"])
def test_ambiguous_pixels_change_no_loss_and_get_no_gradient(kind: str) -> None:
    ignored = flags(False, True, False)
    kept = [0, 2]
    totals = []
    for wrong in (0.0, 5.0):
        guess = GUESS.clone()
        guess[..., 1] += wrong
        guess.requires_grad_()
        total, _ = GraspLoss(LossSettings(kind))(
            guess, guess, SLOPED, flags(True, True, False), ignored
        )
        total.backward()
        assert guess.grad is not None and not guess.grad[..., 1].any()
        totals.append(total.item())
    assert totals[0] == totals[1]
    alone, _ = GraspLoss(LossSettings(kind))(
        GUESS[..., kept],
        GUESS[..., kept],
        SLOPED[..., kept],
        flags(True, False),
        flags(False, False),
    )
    assert totals[0] == pytest.approx(alone.item())


@pytest.mark.parametrize("outside", [0.0, 1.0])
def test_the_mean_over_processes_is_the_loss_of_all_their_pixels(outside: float) -> None:
    settings = LossSettings("smooth_l1", outside=outside, positive=3.0)
    inside, ignored = flags(True, True, False), flags(False, True, False)
    whole, _ = GraspLoss(settings)(GUESS, GUESS, SLOPED, inside, ignored)
    parts = (slice(0, 1), slice(1, 3))
    counts: list[list[float]] = [[], []]
    for number, columns in enumerate(parts):  # what each process would count
        GraspLoss(settings, lambda n, c=counts[number]: (c.append(n.item()), n)[1])(
            *(m[..., columns] for m in (GUESS, GUESS, SLOPED, inside, ignored))
        )
    means = [sum(pair) / 2 for pair in zip(*counts, strict=True)]
    losses = []
    for columns in parts:
        order = iter(means)
        criterion = GraspLoss(settings, lambda n, order=order: n * 0 + next(order))
        loss, _ = criterion(*(m[..., columns] for m in (GUESS, GUESS, SLOPED, inside, ignored)))
        losses.append(loss.item())
    assert sum(losses) / 2 == pytest.approx(whole.item())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "mae"}, "kind is 'mae', expected one of mse, smooth_l1, p_huber"),
        ({"kind": "bce"}, "kind is 'bce', expected"),
        ({"quality_kind": "p_huber"}, "quality_kind is 'p_huber', expected .*bce"),
    ],
)
def test_unknown_losses_name_the_choices(settings: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        GraspLoss(LossSettings(**settings))


def test_cross_entropy_is_for_networks_whose_quality_is_a_sigmoid() -> None:
    """Of another one it would train logits that are then read as quality, clipped to [0, 1]."""
    entropy = LossSettings(quality_kind="bce")
    check_loss(entropy, "ggcnn_student_v1", build("ggcnn_student_v1"))
    check_loss(LossSettings(), "ggcnn", build("ggcnn"))
    with pytest.raises(InputError, match=r"'bce'.* ggcnn .* --set loss\.quality_kind=smooth_l1"):
        check_loss(entropy, "ggcnn", build("ggcnn"))


@pytest.mark.parametrize("name", ["quality", "angle", "width", "outside", "positive"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_no_part_is_learned_the_wrong_way_round(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"loss: {name} is .* from 0 up"):
        LossSettings(**{name: value})  # type: ignore[arg-type]
