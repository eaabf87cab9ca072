"""Encoding and decoding of grasp maps: round trips, equivariance, faults of public code."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from graspling.errors import InputError
from graspling.grasps import Grasps, angle_difference
from graspling.maps import Decoding, Encoding, decode, encode, magnitude

SIDE = 224


def random_grasp(rng: np.random.Generator, low: float = 20, high: float = 120) -> Grasps:
    width = rng.uniform(low, high)
    return Grasps.from_arrays(
        rng.uniform(85, 139),
        rng.uniform(85, 139),
        rng.uniform(-2, 2),
        width,
        width * rng.uniform(0.3, 1.0),
    )


@pytest.mark.parametrize("taper", [0.0, 0.5])
def test_round_trip_of_one_grasp(taper: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(150):
        grasp = random_grasp(rng)
        found = decode(encode(grasp, SIDE, SIDE, encoding=Encoding(taper)).maps, top=5)
        assert len(found) == 1
        assert np.hypot(found.u - grasp.u, found.v - grasp.v)[0] < 1
        assert np.rad2deg(angle_difference(found.angle, grasp.angle))[0] < 2
        assert abs(found.width / grasp.width - 1)[0] < 0.03


def test_round_trip_of_several_separate_grasps() -> None:
    rng = np.random.default_rng(2)
    centres = np.array([(40, 40), (180, 50), (110, 115), (45, 180), (180, 180)], float)
    for _ in range(20):
        grasps = Grasps.from_arrays(
            *(centres + rng.uniform(-5, 5, centres.shape)).T,
            rng.uniform(-2, 2, 5),
            rng.uniform(20, 60, 5),
        )
        found = decode(encode(grasps, SIDE, SIDE).maps, top=10)
        assert len(found) == 5
        gap = np.hypot(found.u[:, None] - grasps.u, found.v[:, None] - grasps.v)
        match = gap.argmin(axis=1)
        assert sorted(match) == [0, 1, 2, 3, 4]
        assert gap.min(axis=1).max() < 1
        assert np.abs(found.width / grasps.width[match] - 1).max() < 0.03
        assert np.rad2deg(angle_difference(found.angle, grasps.angle[match])).max() < 2


def test_targets_do_not_depend_on_the_order_of_overlapping_labels() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        count = 8
        grasps = Grasps.from_arrays(
            *rng.uniform(80, 140, (2, count)),
            rng.uniform(-2, 2, count),
            rng.uniform(30, 90, count),
            rng.uniform(15, 60, count),
        )
        # exact duplicates of the centre: the tie must be broken by something else than the order
        grasps = Grasps.concatenate(
            [grasps, Grasps.from_arrays(grasps.u[:2], grasps.v[:2], grasps.angle[:2] + 1, 50)]
        )
        one = encode(grasps, SIDE, SIDE)
        other = encode(grasps[rng.permutation(len(grasps))], SIDE, SIDE)
        np.testing.assert_array_equal(one.maps, other.maps)
        np.testing.assert_array_equal(one.inside, other.inside)


def test_overlaps_are_decided_pixel_by_pixel() -> None:
    """Against the definition, one pixel and one label at a time; more labels than one chunk."""
    rng = np.random.default_rng(5)
    count, height, width = 150, 40, 52
    grasps = Grasps.from_arrays(
        rng.uniform(-6, 58, count).round(),  # whole pixels: equal distances happen
        rng.uniform(-6, 46, count).round(),
        rng.choice([-0.7, 0.0, 0.4], count),
        rng.uniform(1, 30, count).round(),
        jaw=rng.uniform(1, 8, count).round(),
        quality=rng.uniform(0, 1, count),
    )
    found = encode(grasps, height, width, encoding=Encoding(taper=0.5))
    ordered = grasps[np.lexsort(grasps.columns)]
    for v in range(height):
        for u in range(width):
            du, dv = u - ordered.u, v - ordered.v
            cos, sin = np.cos(ordered.angle), np.sin(ordered.angle)
            opening = abs(du * cos + dv * sin) / np.maximum(ordered.width / 6, 0.75)
            plate = abs(dv * cos - du * sin) / np.maximum(ordered.jaw / 2, 0.75)
            distance = np.maximum(opening, plate).round(6).astype(np.float32)
            best = int(distance.argmin())
            assert found.inside[v, u] == (distance[best] <= 1)
            if found.inside[v, u]:
                quality = ordered.quality[best] * (1 - 0.5 * distance[best])
                assert found.maps[0, v, u] == pytest.approx(quality, abs=1e-6)
                assert found.maps[3, v, u] == pytest.approx(ordered.width[best] / width)


def test_target_fills_the_middle_third_along_the_opening() -> None:
    target = encode(Grasps.from_arrays(100, 100, 0.0, 60, 40), SIDE, SIDE)
    rows, columns = np.nonzero(target.inside)
    assert (columns.min(), columns.max()) == (90, 110)
    assert (rows.min(), rows.max()) == (80, 120)
    np.testing.assert_allclose(target.maps[:, 100, 100], [1, 1, 0, 60 / SIDE], atol=1e-6)
    assert not target.maps[:, ~target.inside].any()


@pytest.mark.parametrize("mirror", [1.0, -1.0])
def test_encoding_is_equivariant(mirror: float) -> None:
    """encode(transform(g)) = transform(encode(g)), with cos and sin turned as values, too."""
    rng = np.random.default_rng(4)
    for _ in range(10):
        grasp = random_grasp(rng, 60, 120)
        turn = rng.uniform(-np.pi, np.pi)
        linear = np.array(
            [[np.cos(turn) * mirror, -np.sin(turn)], [np.sin(turn) * mirror, np.cos(turn)]]
        )
        centre = np.full(2, (SIDE - 1) / 2)
        affine = np.column_stack([linear, centre - linear @ centre])
        expected = encode(grasp.transform(affine), SIDE, SIDE).maps
        before = encode(grasp, SIDE, SIDE).maps
        moved = np.stack([cv2.warpAffine(m, affine, (SIDE, SIDE)) for m in before])
        cos, sin = moved[1], mirror * moved[2]
        c, s = np.cos(2 * turn), np.sin(2 * turn)
        moved[1], moved[2] = c * cos - s * sin, s * cos + c * sin
        # only the rim, where interpolation mixes in and out, may differ
        differs = np.abs(moved - expected).max(axis=0) > 0.02
        interior = cv2.erode((expected[0] > 0).astype(np.uint8), np.ones((5, 5))) > 0
        exterior = cv2.dilate((expected[0] > 0).astype(np.uint8), np.ones((5, 5))) == 0
        assert interior.sum() > 100
        assert not differs[interior | exterior].any()


def test_angles_are_averaged_on_the_circle() -> None:
    """Neighbours at +89 and -89 degrees mean 90, not 0 (fault 4 of public code)."""
    maps = encode(Grasps.from_arrays(100, 100, np.pi / 2, 60), SIDE, SIDE).maps
    noise = np.where(np.arange(SIDE) % 2, np.deg2rad(89), np.deg2rad(-89))[:, None]
    inside = maps[0] > 0
    maps[1] = np.where(inside, np.cos(2 * noise), 0)
    maps[2] = np.where(inside, np.sin(2 * noise), 0)
    found = decode(maps, top=1)
    assert np.rad2deg(angle_difference(found.angle, np.pi / 2))[0] < 1


@pytest.mark.parametrize(
    ("u", "v"), [(0, 100), (223, 100), (100, 0), (100, 223), (0, 0), (223, 223)]
)
def test_peaks_at_the_border_are_found(u: int, v: int) -> None:
    found = decode(encode(Grasps.from_arrays(u, v, 0.3, 30), SIDE, SIDE).maps, top=3)
    assert len(found) == 1
    # half of the region is cut off, so its centre is a few pixels inside
    assert np.hypot(found.u - u, found.v - v)[0] < 8


def test_top_grasps_are_distinct() -> None:
    rng = np.random.default_rng(5)
    maps = encode(random_grasp(rng), SIDE, SIDE).maps
    maps += rng.normal(0, 0.1, maps.shape).astype(np.float32)
    found = decode(maps, top=20)
    assert 1 < len(found) <= 20
    assert np.all(np.diff(found.quality) <= 0)
    gap = np.hypot(found.u[:, None] - found.u, found.v[:, None] - found.v)
    turn = np.rad2deg(angle_difference(found.angle[:, None], found.angle))
    same = (gap < 0.05 * SIDE) & (turn < 30)
    np.fill_diagonal(same, False)
    assert not same.any()


def test_a_ridge_around_a_better_place_is_a_grasp_of_its_own() -> None:
    v, u = np.mgrid[:SIDE, :SIDE]
    radius = np.hypot(u - 112, v - 112)
    middle, ring = radius < 10, (radius > 25) & (radius < 32)
    maps = np.zeros((4, SIDE, SIDE), np.float32)
    maps[0] = 0.9 * middle + 0.6 * ring
    maps[1:3] = np.where(middle, [[[1.0]], [[0.0]]], [[[-1.0]], [[0.0]]])
    maps[3] = 0.2
    found = decode(maps, top=5)
    np.testing.assert_allclose(found.quality, [0.9, 0.6], rtol=0.1)
    distance = np.hypot(found.u - 112, found.v - 112)
    assert distance[0] < 1 and 25 <= distance[1] <= 32


@pytest.mark.parametrize("qualities", [(0.8, 0.8), (0.9, 0.7)])
def test_a_large_plateau_hides_no_other_grasp(qualities: tuple[float, float]) -> None:
    grasps = Grasps.from_arrays([60, 170], [60, 170], [0.2, 0.9], 120, 60, quality=qualities)
    found = decode(encode(grasps, SIDE, SIDE).maps, top=5)
    assert len(found) == 2
    order = np.argsort(found.u)
    np.testing.assert_allclose(found.centres[order], grasps.centres, atol=1)


def test_of_two_places_the_one_whose_angle_is_sure_is_preferred() -> None:
    grasps = Grasps.from_arrays([60, 160], [60, 160], [0.3, 0.9], 40, quality=[0.9, 0.8])
    maps = encode(grasps, SIDE, SIDE).maps
    certain = Decoding(certain=True)
    for plain, weighed in zip(
        decode(maps, top=2).columns, decode(maps, top=2, decoding=certain).columns, strict=True
    ):
        np.testing.assert_allclose(plain, weighed, rtol=1e-5)
    maps[1:3, :110] *= 0.5  # the better one has two minds
    unsure = decode(maps, top=2, decoding=certain)
    np.testing.assert_allclose(unsure.u, [160, 60], atol=0.5)
    np.testing.assert_allclose(unsure.quality, [0.8, 0.9 * 0.5**0.25], rtol=0.02)
    np.testing.assert_allclose(unsure.angle, [0.9, 0.3], atol=0.02)
    np.testing.assert_allclose(decode(maps, top=2).u, [60, 160], atol=0.5)
    maps[1:3] *= 3.0  # longer than 1 is no surer than 1
    np.testing.assert_allclose(decode(maps, top=1, decoding=certain).quality, 0.9, rtol=0.02)


def test_no_grasp_is_an_answer() -> None:
    assert len(decode(np.zeros((4, 64, 64), np.float32), top=5)) == 0
    weak = encode(Grasps.from_arrays(32, 32, 0, 30, quality=0.2), 64, 64).maps
    assert len(decode(weak, top=5, threshold=0.3)) == 0
    assert len(decode(weak, top=5, threshold=0.1)) == 1
    assert len(decode(weak, top=0)) == 0


def test_mask_restricts_centres() -> None:
    grasps = Grasps.from_arrays([40, 160], [40, 160], 0.2, 40)
    maps = encode(grasps, SIDE, SIDE).maps
    mask = np.zeros((SIDE, SIDE), bool)
    mask[100:, 100:] = True
    found = decode(maps, top=5, mask=mask)
    assert len(found) == 1
    assert abs(found.u[0] - 160) < 1


def test_width_scale_has_one_owner() -> None:
    """A crop of another side than the default decodes to the same pixels (fault 5)."""
    grasp = Grasps.from_arrays(50, 40, 0.5, 40)
    target = encode(grasp, 96, 128, side=300)
    assert decode(target.maps, top=1, side=300).width[0] == pytest.approx(40, rel=0.01)
    target = encode(grasp, 96, 128)
    assert decode(target.maps, top=1).width[0] == pytest.approx(40, rel=0.01)


def test_ambiguous_regions_are_ignored_but_never_hide_a_label() -> None:
    label = Grasps.from_arrays(50, 50, 0, 30)
    unsure = Grasps.from_arrays([55, 90], [50, 90], 0, 30)
    target = encode(label, 128, 128, ambiguous=unsure)
    assert target.ignored[90, 90]
    assert not target.ignored[50, 50]
    assert not (target.ignored & target.inside).any()


def test_ambiguous_labels_can_be_graded_by_their_quality() -> None:
    label = Grasps.from_arrays(50, 50, 0.0, 60, 20, quality=0.9)
    unsure = Grasps.from_arrays([50, 90, 94], [50, 90, 90], 0.0, 60, 20, quality=[0.1, 0.4, 0.2])
    ignoring = encode(label, 128, 128, ambiguous=unsure)
    graded = encode(label, 128, 128, ambiguous=unsure, encoding=Encoding(graded=0.5))
    assert not graded.ignored.any()
    assert (graded.inside == ignoring.inside).all()
    assert (graded.maps[1:] == ignoring.maps[1:]).all()
    assert (graded.maps[0] > 0).sum() == (ignoring.inside | ignoring.ignored).sum()
    at = graded.maps[0, 90]
    assert graded.maps[0, 50, 50] == np.float32(0.9)
    assert at[90] == np.float32(0.2) and at[95] == np.float32(0.1)
    again = encode(label, 128, 128, ambiguous=unsure[[2, 0, 1]], encoding=Encoding(graded=0.5))
    assert (again.maps == graded.maps).all()


def test_tiny_and_outside_grasps() -> None:
    assert encode(Grasps.from_arrays(20.5, 20.5, 0.7, 0.5, 0.1), 64, 64).inside.any()
    assert not encode(Grasps.from_arrays(500, 500, 0, 30), 64, 64).inside.any()
    assert not encode(Grasps.empty(), 64, 64).maps.any()


def test_damaged_maps_never_give_damaged_grasps() -> None:
    rng = np.random.default_rng(6)
    for kind in (np.nan, np.inf, -np.inf):
        maps = rng.normal(0.5, 1, (4, 64, 64)).astype(np.float32)
        maps[rng.random(maps.shape) < 0.3] = kind
        found = decode(maps, top=10)
        assert all(np.isfinite(column).all() for column in found.columns)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected \(4, H, W\)"):
        decode(np.zeros((3, 64, 64), np.float32), top=1)
    with pytest.raises(InputError, match="taper"):
        Encoding(taper=2)
    with pytest.raises(InputError, match="graded"):
        Encoding(graded=-0.1)


def moved(array: np.ndarray, by: int) -> np.ndarray:
    """The same values, so many of them farther from where the processor likes arrays to begin."""
    room = np.empty(array.size + 64, array.dtype)
    start = -(room.ctypes.data // array.itemsize) % 64 + by
    view = room[start % 64 :][: array.size].reshape(array.shape)
    view[...] = array
    return view


@pytest.mark.parametrize("certain", [False, True])
def test_decoding_does_not_depend_on_where_maps_lie_in_memory(certain: bool) -> None:
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(4, 61, 67)).astype(np.float32)
    found = {
        decode(moved(maps, by), top=20, decoding=Decoding(certain=certain)).to_json()
        for by in range(16)
    }
    assert len(found) == 1
    lengths = {magnitude(moved(maps[1], by), moved(maps[2], by)).tobytes() for by in range(16)}
    assert len(lengths) == 1
    np.testing.assert_allclose(magnitude(maps[1], maps[2]), np.hypot(maps[1], maps[2]), rtol=1e-6)
