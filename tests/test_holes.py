from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graspling.errors import InputError
from graspling.holes import fill_holes, masked_mean


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    share=st.floats(0, 0.98),
    seed=st.integers(0, 99),
)
def test_valid_depth_stays_and_holes_lie_between_the_extremes(
    height: int, width: int, share: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.5, 0.8, (height, width)).astype(np.float32)
    missing = rng.random(depth.shape) < share
    missing[rng.integers(height), rng.integers(width)] = False
    depth[missing] = rng.choice([0, -1, np.nan, np.inf], missing.sum())
    filled = fill_holes(depth)
    np.testing.assert_array_equal(filled[~missing], depth[~missing])
    assert filled.dtype == np.float32
    assert filled.min() >= depth[~missing].min() - 1e-6
    assert filled.max() <= depth[~missing].max() + 1e-6


def test_holes_in_a_slope_are_filled_with_the_slope() -> None:
    rows, columns = np.mgrid[:121, :163]
    slope = (0.6 + 0.0004 * columns + 0.0002 * rows).astype(np.float32)
    holes = slope.copy()
    holes[np.random.default_rng(1).random(slope.shape) < 0.3] = 0
    holes[40:60, 50:80] = np.nan
    assert np.abs(fill_holes(holes) - slope).max() < 0.004


def test_depth_without_any_pixel_is_refused() -> None:
    for nothing in (0, -1, np.nan, np.inf):
        with pytest.raises(InputError, match="every pixel"):
            fill_holes(np.full((9, 9), nothing))


def test_filling_turns_with_the_picture() -> None:
    rng = np.random.default_rng(2)
    depth = rng.uniform(0.5, 0.8, (64, 64)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.4] = 0
    turned = fill_holes(np.rot90(depth).copy())
    np.testing.assert_allclose(turned, np.rot90(fill_holes(depth)), atol=1e-6)


@pytest.mark.parametrize("factor", range(2, 65))
def test_depth_without_holes_stays_without_holes(factor: int) -> None:
    """Whatever the area averaging of so many pixels rounds to."""
    depth = np.full((2 * factor, 3 * factor), 0.7, np.float32)
    mean, some = masked_mean(depth, np.full(depth.shape, 255, np.uint8), factor)
    assert some.tolist() == [[255] * 3] * 2
    np.testing.assert_allclose(mean, 0.7, rtol=1e-4)
