"""Charts: a line where its points are."""

from __future__ import annotations

import numpy as np
import pytest

from graspling.curves import _ticks, chart
from graspling.errors import InputError

BLUE = (0, 114, 178)


def test_a_line_rises_from_the_lower_left_to_the_upper_right() -> None:
    picture = chart({"a": [(x, x) for x in range(41)]}, x="epoch", y="loss", size=(400, 300))
    assert picture.shape == (300, 400, 3)
    rows, columns = np.nonzero((picture[:, 80:165] == BLUE).all(axis=2))
    # ticks 0 to 40 both ways: 300 pixels wide from 80 on, 190 high from 240 up
    expected = 240 - columns / 300 * 190
    assert len(rows) > 50 and np.abs(rows - expected).max() < 4


def test_values_that_are_not_finite_are_left_out_and_nothing_is_refused() -> None:
    assert chart({"a": [(0, 1), (1, float("nan")), (2, 2)]}, x="x", y="y").any()
    with pytest.raises(InputError, match="no point"):
        chart({"a": [(0, float("inf"))]}, x="x", y="y")


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_equal_values_have_an_axis_that_can_be_read(value: float) -> None:
    ticks = _ticks(value, value)
    assert ticks[0] <= value < ticks[-1] and ticks[1] - ticks[0] >= 0.1
