"""Depth as the colour camera would see it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graspling.camera import Intrinsics, register_depth
from graspling.errors import InputError
from graspling.registration import splat
from graspling.straight import straight_view

SMALL = Intrinsics(fx=80, fy=80, cx=31.5, cy=23.5, width=64, height=48)


def shift(x: float = 0, y: float = 0, z: float = 0) -> np.ndarray:
    transform = np.eye(4)
    transform[:3, 3] = x, y, z
    return transform


def test_the_same_camera_sees_the_same() -> None:
    depth = np.random.default_rng(0).uniform(0.3, 2, (48, 64)).astype(np.float32)
    depth[5:9, 7:20] = 0
    depth[30, 30] = np.nan
    depth[31, 31] = -1
    registered = register_depth(depth, SMALL, SMALL, np.eye(4))
    expected = np.where(np.isfinite(depth) & (depth > 0), depth, 0)
    np.testing.assert_allclose(registered, expected, rtol=1e-6)
    assert registered.dtype == np.float32


@pytest.mark.parametrize("factor", [0.5, 2, 3])
def test_another_resolution_leaves_no_cracks_and_fills_no_holes(factor: float) -> None:
    depth = np.full((48, 64), 0.8, np.float32)
    depth[10:20, 20:40] = 0
    colour = SMALL.resize(int(64 * factor), int(48 * factor))
    registered = register_depth(depth, SMALL, colour, np.eye(4))
    v, u = np.indices(registered.shape)
    nearest = np.floor((np.stack([v, u]) + 0.5) / factor + 1e-9).astype(int)
    np.testing.assert_allclose(registered, depth[nearest[0], nearest[1]], rtol=1e-6)


def test_a_turned_camera_sees_a_closed_plane() -> None:
    angle = np.radians(30)
    transform = np.eye(4)
    transform[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    registered = register_depth(np.full((48, 64), 0.8), SMALL, SMALL, transform)
    np.testing.assert_allclose(registered[12:36, 20:44], 0.8, rtol=1e-6)


def test_depth_is_along_the_axis_of_the_colour_camera() -> None:
    registered = register_depth(np.full((48, 64), 0.8), SMALL, SMALL, shift(z=0.1))
    np.testing.assert_allclose(registered[24, 32], 0.9, rtol=1e-6)
    # 0.8 / 0.9 of the image is covered, the border is missing
    assert registered[24, 1] == registered[1, 32] == 0
    assert (registered > 0).mean() == pytest.approx((8 / 9) ** 2, abs=0.04)


def test_near_objects_hide_and_their_shadow_stays_missing() -> None:
    depth = np.full((48, 64), 0.8)
    depth[20:28, 30:34] = 0.4
    registered = register_depth(depth, SMALL, SMALL, shift(x=0.04))
    row = registered[24]
    # 80 * 0.04 / 0.8 = 4 pixels to the right for the plane, 8 for the object
    np.testing.assert_allclose(row[38:42], 0.4, rtol=1e-6)
    np.testing.assert_allclose(row[34:38], 0)
    np.testing.assert_allclose(row[42:], 0.8, rtol=1e-6)
    np.testing.assert_allclose(row[4:34], 0.8, rtol=1e-6)
    np.testing.assert_allclose(row[:4], 0)


def test_points_behind_the_colour_camera_vanish() -> None:
    registered = register_depth(np.full((48, 64), 0.5), SMALL, SMALL, shift(z=-0.6))
    assert not registered.any()
    assert not register_depth(np.zeros((48, 64)), SMALL, SMALL, np.eye(4)).any()


BARREL = (-0.25, 0.05, 0.0, 0.0, 0.0)
CAMERA = Intrinsics(fx=131, fy=131, cx=79.5, cy=59.5, width=160, height=120)
WIDE = Intrinsics(fx=100, fy=100, cx=99.5, cy=74.5, width=200, height=150)


def test_depth_reaches_the_border_of_a_colour_lens_that_bends_inwards() -> None:
    colour = replace(CAMERA, distortion=BARREL)
    registered = register_depth(np.full((150, 200), 0.7, np.float32), WIDE, colour, np.eye(4))
    np.testing.assert_allclose(registered, 0.7, rtol=1e-6)


@pytest.mark.parametrize("bend", [BARREL, (0.1, -0.05, 0.001, 0.002, 0.0)])
def test_the_same_lens_sees_the_same(bend: tuple[float, ...]) -> None:
    camera = replace(CAMERA, distortion=bend)
    rows, columns = np.indices((120, 160)) // 40
    depth = np.where((rows + columns) % 2, 0.5, 0.7).astype(np.float32)
    registered = register_depth(depth, camera, camera, np.eye(4))
    # a lens that bends outwards moves borders of near, far and the image by a pixel here and there
    assert (np.abs(registered - depth) > 1e-6).mean() < 0.005


def test_depth_of_a_lens_that_bends_inwards_is_seen_to_its_border() -> None:
    depth_camera = replace(CAMERA, distortion=BARREL)
    registered = register_depth(np.full((120, 160), 0.7), depth_camera, WIDE, np.eye(4))
    corner = depth_camera.deproject(0, 0, 0.7)
    assert CAMERA.project(corner)[0] < -12  # a camera without the lens does not see it
    u, v = WIDE.project(corner).round().astype(int)
    assert registered[v, u] == pytest.approx(0.7) and registered[v - 2, u - 2] == 0


@pytest.mark.parametrize(("degrees", "missing"), [(110, False), (200, True)])
def test_a_fish_eye_makes_no_image_without_end(degrees: float, missing: bool) -> None:
    focal = 32 / np.radians(degrees / 2)  # equidistant: 32 pixels from the centre to the side
    camera = Intrinsics(focal, focal, 31.5, 23.5, 64, 48, (1e-9, 0, 0, 0), "equidistant")
    registered = register_depth(np.full((48, 64), 0.7, np.float32), camera, camera, np.eye(4))
    assert (registered == 0).any() == missing
    np.testing.assert_allclose(registered[registered > 0], 0.7, rtol=1e-6)
    np.testing.assert_allclose(registered[12:36, 16:48], 0.7, rtol=1e-6)
    view = straight_view(camera)
    assert 64 < view.width <= 3 * 64 + 1 and 48 < view.height <= 3 * 48 + 1


def test_registration_errors() -> None:
    depth = np.ones((48, 64))
    with pytest.raises(InputError, match=r"shape \(48, 63\), expected \(48, 64\)"):
        register_depth(depth[:, 1:], SMALL, SMALL, np.eye(4))
    with pytest.raises(InputError, match=r"got shape \(3, 4\)"):
        register_depth(depth, SMALL, SMALL, np.eye(4)[:3])
    for wrong in (np.diag([1000, 1000, 1000, 1]), np.diag([-1, 1, 1, 1]), shift() + shift()):
        with pytest.raises(InputError, match="rotation and a shift"):
            register_depth(depth, SMALL, SMALL, wrong)


@pytest.mark.parametrize("largest", [1, 3, 4, 40])
def test_footprints_of_any_size_are_filled_and_the_nearest_counts(largest: int) -> None:
    rng = np.random.default_rng(largest)
    height, width = 37, 53
    for number in (0, 1, 60):
        first = np.stack([rng.integers(-largest, size + 2, number) for size in (width, height)])
        count = rng.integers(1, largest + 1, (2, number))
        z = rng.uniform(0.3, 2, number).astype(np.float32)
        expected = np.full((height, width), np.inf, np.float32)
        for (u, v), (across, down), value in zip(first.T, count.T, z, strict=True):
            part = expected[max(v, 0) : max(v + down, 0), max(u, 0) : max(u + across, 0)]
            part[...] = np.minimum(part, value)
        expected[np.isinf(expected)] = 0
        np.testing.assert_array_equal(splat(first, count, z, height, width), expected)
