"""Exact IoU against shapely, and the properties that hold whatever the oracle says."""

from __future__ import annotations

import time

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from graspling.errors import InputError
from graspling.grasps import Grasps
from graspling.iou import rectangle_iou, rotated_iou, rotated_iou_matrix


def random_grasps(count: int, seed: int, spread: float = 60.0) -> Grasps:
    random = np.random.default_rng(seed)
    size = random.uniform(5, 80, (2, count))
    return Grasps.from_arrays(
        *random.uniform(0, spread, (2, count)), random.uniform(-2, 2, count), *size
    )


def with_shapely(a: Grasps, b: Grasps) -> np.ndarray:
    first, second = (shapely.polygons(g.to_rectangles()) for g in (a, b))
    shared = shapely.area(shapely.intersection(first, second))
    return shared / (shapely.area(first) + shapely.area(second) - shared)


def hard_pairs(count: int) -> tuple[Grasps, Grasps]:
    """Near misses, contained, identical, shared edges, thin, small beside large, parallel."""
    random = np.random.default_rng(7)
    a = random_grasps(count, 3)
    along = np.stack([np.cos(a.angle), np.sin(a.angle)], axis=1)
    kind = random.integers(0, 8, count)
    u, v, angle, width, jaw = (column.copy() for column in a.columns[:5])
    quarter = np.where(random.random(count) < 0.5, 0, np.pi / 2)  # width and jaw exchanged

    def shift(rows: np.ndarray, distance: np.ndarray) -> None:
        u[rows] += (along[:, 0] * distance)[rows]
        v[rows] += (along[:, 1] * distance)[rows]

    shift(kind == 1, a.width)  # an edge in common
    shift(kind == 2, a.width * (1 + random.choice([-1e-12, 1e-12], count)))  # nearly touching
    width[kind == 3] *= 0.3  # contained
    jaw[kind == 3] *= 0.5
    angle[kind == 4] += quarter[kind == 4]  # the same centre, crossed or the same
    width[kind == 5] *= 100  # large aspect ratio; with collinear edges shapely itself is wrong
    jaw[kind == 5] *= 0.9
    jaw[kind == 6] /= 1000
    shift(kind == 7, random.uniform(-1, 1, count) * a.width)
    angle[kind == 7] += random.choice([0, 1e-13, 1e-9], count)[kind == 7]  # nearly parallel
    return a, Grasps.from_arrays(u, v, angle, width, jaw)


@pytest.mark.parametrize("far", [0.0, 1000.0])
def test_equals_shapely_on_100000_random_pairs(far: float) -> None:
    a, b = random_grasps(100_000, 1), random_grasps(100_000, 2)
    move = [[1, 0, far], [0, 1, -far]]
    a, b = a.transform(move), b.transform(move)
    ours = rotated_iou(a, b)
    assert np.abs(ours - with_shapely(a, b)).max() < 1e-9
    assert 0.5 < (ours > 0).mean() < 1  # the pairs are worth comparing


def test_equals_shapely_on_degenerate_pairs() -> None:
    a, b = hard_pairs(40_000)
    assert np.abs(rotated_iou(a, b) - with_shapely(a, b)).max() < 1e-9


def test_symmetric_and_one_for_itself() -> None:
    for a, b in (hard_pairs(20_000), (random_grasps(20_000, 4), random_grasps(20_000, 5))):
        np.testing.assert_allclose(rotated_iou(a, b), rotated_iou(b, a), rtol=0, atol=1e-12)
        np.testing.assert_allclose(rotated_iou(a, a), 1, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_invariant_under_rotation_translation_and_scale(scale: float) -> None:
    a, b = hard_pairs(20_000)
    cos, sin = scale * np.cos(0.7), scale * np.sin(0.7)
    move = [[cos, -sin, 3 * scale], [sin, cos, -5 * scale]]
    moved = rotated_iou(a.transform(move), b.transform(move))
    np.testing.assert_allclose(moved, rotated_iou(a, b), rtol=0, atol=1e-10)


def test_far_from_the_origin() -> None:
    # exact shifts: only the differences of the centres may count
    a = Grasps.from_arrays([0.0, 0.25], 0.5, [0.3, -1.0], 20, 8)
    b = Grasps.from_arrays([4.5, 3.0], 2.0, [0.5, 1.2], 16, 10)
    far = [[1, 0, 2.0**40], [0, 1, -(2.0**40)]]
    np.testing.assert_array_equal(
        rotated_iou(a.transform(far), b.transform(far)), rotated_iou(a, b)
    )


def test_invariant_under_corner_order() -> None:
    a, b = random_grasps(2000, 8).to_rectangles(), random_grasps(2000, 9).to_rectangles()
    expected = rectangle_iou(a, b)
    for first in range(4):
        for direction in (1, -1):
            other = np.roll(b, first, axis=1)[:, ::direction]
            np.testing.assert_allclose(rectangle_iou(a, other), expected, rtol=0, atol=1e-12)


def test_known_values() -> None:
    def one(*row: float) -> Grasps:
        return Grasps.from_arrays(*row)

    square = one(0, 0, 0, 2, 2)
    cases = [
        (one(1, 0, 0, 2, 2), 1 / 3),  # half shifted
        (one(2, 0, 0, 2, 2), 0.0),  # an edge in common
        (one(2, 2, 0, 2, 2), 0.0),  # a corner in common
        (one(9, 9, 1, 2, 2), 0.0),
        (one(0, 0, np.pi / 2, 2, 2), 1.0),
        (one(0, 0, 0, 1, 1), 0.25),  # contained
        (one(0, 0, np.pi / 4, 2, 2), 1 / np.sqrt(2)),  # octagon, area 8 (sqrt 2 - 1)
    ]
    for other, expected in cases:
        assert rotated_iou(square, other)[0] == pytest.approx(expected, abs=1e-15)


numbers = st.floats(-100, 100)
sizes = st.floats(1e-3, 1e3)
rows = st.tuples(numbers, numbers, st.floats(-10, 10), sizes, sizes)


@given(rows, rows)
def test_always_between_zero_and_one(first: tuple[float, ...], second: tuple[float, ...]) -> None:
    a, b = Grasps.from_arrays(*first), Grasps.from_arrays(*second)
    iou = rotated_iou(a, b)[0]
    assert 0 <= iou <= 1
    area_a, area_b = (float(g.width[0] * g.jaw[0]) for g in (a, b))
    assert iou <= min(area_a, area_b) / max(area_a, area_b) + 1e-9


def test_matrix_is_all_pairs() -> None:
    a, b = random_grasps(37, 10), random_grasps(5001, 11)  # more than one block across
    matrix = rotated_iou_matrix(a, b)
    i, j = np.indices(matrix.shape).reshape(2, -1)
    np.testing.assert_allclose(matrix.ravel(), rotated_iou(a[i], b[j]), rtol=0, atol=1e-14)


def test_collinear_edges() -> None:
    # closed form: same centre, angle and jaw, 100 times as wide (shapely finds 0 for a few)
    a = random_grasps(20_000, 13)
    b = Grasps(a.u, a.v, a.angle, 100 * a.width, a.jaw, a.quality)
    np.testing.assert_allclose(rotated_iou(a, b), 0.01, rtol=0, atol=1e-12)


def test_empty_tables() -> None:
    none, some = Grasps.empty(), random_grasps(3, 12)
    assert rotated_iou(none, none).shape == (0,)
    assert rotated_iou_matrix(none, some).shape == (0, 3)
    assert rotated_iou_matrix(some, none).shape == (3, 0)


def test_errors_say_what_to_do() -> None:
    with pytest.raises(InputError, match="3 and 2 rectangles.*rotated_iou_matrix"):
        rotated_iou(random_grasps(3, 0), random_grasps(2, 0))
    good = random_grasps(3, 0).to_rectangles()
    with pytest.raises(InputError, match=r"second rectangles: got shape \(3, 8\)"):
        rectangle_iou(good, good.reshape(3, 8))
    for bad in (np.nan, np.inf):
        broken = good.copy()
        broken[1, 2, 0] = bad
        with pytest.raises(InputError, match="first rectangles: row 1"):
            rectangle_iou(broken, good)
    flat = good.copy()
    flat[2] = flat[2, 0]
    with pytest.raises(InputError, match="row 2"):
        rectangle_iou(good, flat)


def test_half_a_million_pairs_a_second() -> None:
    a, b = random_grasps(50_000, 1), random_grasps(50_000, 2)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        rotated_iou(a, b)
        seconds.append(time.perf_counter() - start)
    assert len(a) / min(seconds) > 500_000  # measured: 5 to 8 million
