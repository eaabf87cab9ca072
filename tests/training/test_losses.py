"""Losses against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="the lab is not installed")

from graspling.errors import InputError  # noqa: E402
from graspling.training.losses import GraspLoss, LossSettings  # noqa: E402


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


def test_unknown_loss_names_the_choices() -> None:
    with pytest.raises(InputError, match="smooth_l1"):
        GraspLoss(LossSettings("mae"))
