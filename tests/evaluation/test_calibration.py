from __future__ import annotations

import numpy as np
import pytest

from graspling.errors import InputError
from graspling.evaluation.calibration import average_precision, calibration, reliability_diagram


def test_by_hand():
    found = calibration([0.95, 0.85, 0.55, 0.25, 0.05], [True, False, True, True, False])
    assert (found.n, found.accuracy) == (5, 3 / 5)
    assert (found.precision, found.recall) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    # precision 1 at recall 1/3, 2/3 at 2/3, 3/4 at 1
    assert found.average_precision == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert found.brier == pytest.approx((0.05**2 + 0.85**2 + 0.45**2 + 0.75**2 + 0.05**2) / 5)
    assert found.error == pytest.approx((0.05 + 0.85 + 0.45 + 0.75 + 0.05) / 5)
    assert [count for count, _, _ in found.bins] == [1, 0, 1, 0, 0, 1, 0, 0, 1, 1]


def test_a_calibrated_critic_has_no_error_and_an_overconfident_one_has():
    rng = np.random.default_rng(0)
    p = rng.uniform(0, 1, 200_000)
    truth = rng.random(200_000) < p
    assert calibration(p, truth).error < 0.01
    assert calibration(np.where(p > 0.5, 0.99, 0.01), truth).error > 0.2


def test_average_precision_knows_ties_and_extremes():
    truth = np.array([True, False, True, False])
    assert average_precision(np.array([0.9, 0.1, 0.8, 0.2]), truth) == 1
    # one threshold for all: precision 1/2 at recall 1, whatever the order
    assert (
        average_precision(np.full(4, 0.5), truth)
        == average_precision(np.full(4, 0.5), truth[::-1])
        == pytest.approx(0.5)
    )
    assert average_precision(np.full(4, 0.5), np.zeros(4, bool)) == 0


def test_nothing_to_judge_is_refused():
    with pytest.raises(InputError, match="calibration"):
        calibration([], [])


def test_the_diagram_shows_each_bin():
    found = calibration([0.05, 0.95], [False, True])
    picture = reliability_diagram({"critic": found}, "holds")
    assert picture.ndim == 3 and (picture != 255).any()
    assert not np.array_equal(picture, reliability_diagram({}, "holds"))
