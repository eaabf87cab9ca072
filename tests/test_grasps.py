"""The table of grasps: validation that names the row, constructors and back, geometry."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graspling.errors import InputError
from graspling.grasps import Grasps, angle_difference, wrap_angle


def random_grasps(count: int = 20, seed: int = 0) -> Grasps:
    random = np.random.default_rng(seed)
    return Grasps.from_arrays(
        *random.uniform(0, 300, (2, count)),
        random.uniform(-10, 10, count),
        *random.uniform(1, 90, (2, count)),
        random.uniform(0, 1, count),
    )


def assert_same(a: Grasps, b: Grasps, atol: float = 1e-9) -> None:
    np.testing.assert_allclose(a.centres, b.centres, rtol=0, atol=atol)
    np.testing.assert_allclose(a.width, b.width, rtol=0, atol=atol)
    np.testing.assert_allclose(a.jaw, b.jaw, rtol=0, atol=atol)
    np.testing.assert_array_equal(a.quality, b.quality)
    assert angle_difference(a.angle, b.angle).max(initial=0) <= atol


# ---- angles ---------------------------------------------------------------------------------


@given(st.floats(-1e6, 1e6))
def test_wrapped_angles_are_in_range_and_the_same_modulo_pi(angle: float) -> None:
    wrapped = float(wrap_angle(angle))
    assert -np.pi / 2 <= wrapped < np.pi / 2
    assert np.sin(angle - wrapped) == pytest.approx(0, abs=1e-8)


def test_wrap_angle_at_the_seam() -> None:
    below = np.nextafter(-np.pi / 2, -np.inf)
    angles = [np.pi / 2, -np.pi / 2, 3 * np.pi / 2, -1e-320, below]
    wrapped = wrap_angle(angles)
    assert np.all((wrapped >= -np.pi / 2) & (wrapped < np.pi / 2))
    assert wrapped[0] == wrapped[1] == -np.pi / 2


def test_angle_difference_across_the_seam() -> None:
    assert np.degrees(angle_difference(*np.radians([89.0, -89.0]))) == pytest.approx(2)
    assert np.degrees(angle_difference(0, np.pi / 2)) == pytest.approx(90)


# ---- validation -----------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["u", "v", "angle", "width", "jaw", "quality"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_names_row_and_column(column: str, value: float) -> None:
    columns = {name: np.ones(5) for name in ("u", "v", "angle", "width", "jaw", "quality")}
    columns[column][3] = value
    with pytest.raises(InputError, match=f"row 3: {column} is"):
        Grasps(**columns)


@pytest.mark.parametrize("column", ["width", "jaw"])
@pytest.mark.parametrize("value", [0.0, -2.0])
def test_a_size_that_is_not_positive_names_the_row(column: str, value: float) -> None:
    sizes = {"width": np.ones(4), "jaw": np.ones(4)}
    sizes[column][2] = value
    with pytest.raises(InputError, match=f"row 2: {column} is"):
        Grasps.from_arrays(0, 0, 0, **sizes)


def test_wrong_shapes() -> None:
    one, two = np.ones(1), np.ones(2)
    with pytest.raises(InputError, match="'width' has 2 rows, column 'u' has 1"):
        Grasps(one, one, one, two, one, one)
    with pytest.raises(InputError, match=r"'v' has shape \(1, 2\)"):
        Grasps(one, np.ones((1, 2)), one, one, one, one)
    with pytest.raises(InputError, match="do not fit together"):
        Grasps.from_arrays([1, 2, 3], [1, 2], 0, 1)
    with pytest.raises(InputError, match=r"\(2,\), \(1,\), \(\), .* do not fit together"):
        Grasps.from_arrays([1, 2], [1], 0, 1)  # a value is missing; a number would be for all
    assert len(Grasps.from_arrays([], 0, 0, 1)) == 0
    with pytest.raises(InputError, match="not numeric"):
        Grasps(np.array(["a"]), one, one, one, one, one)


def test_quality_is_clamped_and_columns_are_ours() -> None:
    u = np.array([1.0, 2.0])
    grasps = Grasps.from_arrays(u, 0, 0, 1, quality=[-0.5, 1.5])
    u[0] = 99
    assert grasps.u[0] == 1
    assert grasps.quality.tolist() == [0, 1]
    with pytest.raises(ValueError, match="read-only"):
        grasps.u[0] = 5


def test_jaw_defaults_to_half_the_width() -> None:
    assert Grasps.from_arrays(0, 0, 0, [10, 20]).jaw.tolist() == [5, 10]


# ---- rectangles, records, JSON --------------------------------------------------------------


def test_rectangles_round_trip() -> None:
    grasps = random_grasps()
    assert_same(Grasps.from_rectangles(grasps.to_rectangles(), grasps.quality), grasps)


def test_first_edge_is_the_opening_direction() -> None:
    # opening to the right and down as seen: a positive angle
    corners = [[[0, 0], [3, 3], [2, 4], [-1, 1]]]
    grasps = Grasps.from_rectangles(corners)
    assert np.degrees(grasps.angle[0]) == pytest.approx(45)
    assert grasps.width[0] == pytest.approx(3 * np.sqrt(2))
    assert grasps.jaw[0] == pytest.approx(np.sqrt(2))
    np.testing.assert_allclose(grasps.to_rectangles(), corners, atol=1e-12)


def test_rectangles_with_errors() -> None:
    corners = random_grasps(4).to_rectangles()
    corners[2, 1, 0] = np.nan
    with pytest.raises(InputError, match="row 2"):
        Grasps.from_rectangles(corners)
    for row in ([[0, 0], [60, 0], [120, 25], [60, 25]], [[0, 0], [60, 0], [40, 25], [20, 25]]):
        corners[2] = row  # a sheared one, a trapezoid
        with pytest.raises(InputError, match="row 2 is no rectangle"):
            Grasps.from_rectangles(corners)
    with pytest.raises(InputError, match=r"shape \(4, 8\), expected \(N, 4, 2\)"):
        Grasps.from_rectangles(corners.reshape(4, 8))


def test_json_round_trip_is_exact() -> None:
    grasps = random_grasps()
    back = Grasps.from_json(grasps.to_json())
    for old, new in zip(grasps.columns, back.columns, strict=True):
        np.testing.assert_array_equal(old, new)
    assert len(Grasps.from_json(Grasps.empty().to_json())) == 0


def test_json_of_another_schema_or_version() -> None:
    document = json.loads(random_grasps().to_json())
    with pytest.raises(InputError, match="version 99"):
        Grasps.from_json(document | {"version": 99})
    with pytest.raises(InputError, match="got None, expected a list"):
        Grasps.from_json(document | {"grasps": None})
    for other in ("[]", "{}", '{"schema": "other"}'):
        with pytest.raises(InputError, match="schema"):
            Grasps.from_json(other)
    with pytest.raises(InputError, match="not JSON"):
        Grasps.from_json("{")


def test_records_with_errors() -> None:
    good = {"u": 1, "v": 2, "angle_rad": 0.1, "width_px": 10}
    assert Grasps.from_records([good]).jaw[0] == 5
    with pytest.raises(InputError, match="record 1: key 'v' is missing"):
        Grasps.from_records([good, {"u": 1}])
    with pytest.raises(InputError, match="record 1: not numbers"):
        Grasps.from_records([good, good | {"v": "two"}])


# ---- selection ------------------------------------------------------------------------------


def test_selection_always_gives_a_table() -> None:
    grasps = random_grasps(6)
    assert len(grasps[2]) == 1
    assert grasps[-1].u[0] == grasps.u[5]
    assert grasps[1:3].u.tolist() == grasps.u[1:3].tolist()
    assert grasps[grasps.quality > 2].u.tolist() == []
    assert grasps[[]].u.tolist() == []
    assert grasps[[4, 0]].u.tolist() == grasps.u[[4, 0]].tolist()
    with pytest.raises(IndexError, match="row 6 of 6"):
        grasps[6]


def test_iteration_ends() -> None:
    assert [len(grasp) for grasp in random_grasps(3)] == [1, 1, 1]


def test_sorting_and_concatenation() -> None:
    grasps = Grasps.from_arrays([1, 2, 3, 4], 0, 0, 1, quality=[0.2, 0.9, 0.2, 0.5])
    assert grasps.sorted().u.tolist() == [2, 4, 1, 3]  # ties keep their order
    assert grasps.top(2).u.tolist() == [2, 4]
    assert len(grasps.top(0)) == len(grasps.top(-1)) == 0
    both = Grasps.concatenate([grasps, Grasps.empty(), grasps[:1]])
    assert both.u.tolist() == [1, 2, 3, 4, 1]
    assert len(Grasps.concatenate([])) == 0


# ---- transforms -----------------------------------------------------------------------------


@pytest.mark.parametrize("mirror", [1, -1])
def test_transform_moves_the_corners(mirror: int) -> None:
    """Rotation, shift, uniform scale and mirror are exact: the same corners, as a set."""
    cos, sin = 1.7 * np.cos(2.1), 1.7 * np.sin(2.1)
    affine = np.array([[cos, -sin * mirror, 4], [sin, cos * mirror, -9]])
    grasps = random_grasps()
    corners = grasps.to_rectangles() @ affine[:, :2].T + affine[:, 2]
    moved = grasps.transform(affine).to_rectangles()
    distance = np.linalg.norm(corners[:, :, None] - moved[:, None], axis=-1)
    assert distance.min(axis=2).max() < 1e-9


def test_transform_there_and_back() -> None:
    affine = np.array([[0.3, -1.2, 5], [1.2, 0.3, 8]])
    inverse = np.linalg.inv(np.vstack([affine, [0, 0, 1]]))[:2]
    grasps = random_grasps()
    assert_same(grasps.transform(affine).transform(inverse), grasps)


def test_transform_under_unequal_scales_keeps_edge_and_area() -> None:
    grasps = Grasps.from_arrays(10, 20, [0, np.pi / 2, 0.5], 8, 4)
    moved = grasps.transform([[2, 0, 0], [0, 3, 0]])
    np.testing.assert_allclose(moved.width[:2], [16, 24])
    np.testing.assert_allclose(moved.jaw[:2], [12, 8])
    np.testing.assert_allclose(moved.width * moved.jaw, 8 * 4 * 6)


def test_transform_with_errors() -> None:
    with pytest.raises(InputError, match=r"shape \(3, 3\)"):
        random_grasps().transform(np.eye(3))
    with pytest.raises(InputError, match="flattens"):
        random_grasps().transform([[1, 0, 0], [1, 0, 0]])
    with pytest.raises(InputError, match="finite"):
        random_grasps().transform([[np.nan, 0, 0], [0, 1, 0]])
