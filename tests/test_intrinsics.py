"""Projection, crop and resize; bad values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graspling.camera import Intrinsics
from graspling.errors import InputError

CAMERA = Intrinsics(fx=525.0, fy=520.0, cx=319.5, cy=239.5, width=640, height=480)
POINTS = np.random.default_rng(0).uniform([-0.3, -0.3, 0.4], [0.3, 0.3, 1.5], (50, 3))


@given(st.floats(-500, 1200), st.floats(-500, 1200), st.floats(0.05, 20))
def test_deproject_is_the_inverse_of_project(u: float, v: float, z: float) -> None:
    point = CAMERA.deproject(u, v, z)
    assert point[2] == z
    np.testing.assert_allclose(CAMERA.project(point), [u, v], rtol=0, atol=1e-9)


def test_axes_of_the_camera_frame() -> None:
    np.testing.assert_allclose(CAMERA.project([0, 0, 1]), [319.5, 239.5])
    right, down = CAMERA.project([[0.1, 0, 1], [0, 0.1, 1]])
    np.testing.assert_allclose(right, [319.5 + 52.5, 239.5])
    np.testing.assert_allclose(down, [319.5, 239.5 + 52.0])
    homogeneous = POINTS @ CAMERA.matrix.T
    np.testing.assert_allclose(CAMERA.project(POINTS), homogeneous[:, :2] / homogeneous[:, 2:])


def test_what_the_camera_does_not_see_is_nan() -> None:
    assert np.isnan(CAMERA.project([[0, 0, 0], [0, 0, -1]])).all()
    z = np.array([0.0, -1.0, np.nan, np.inf, 1.0])
    points = CAMERA.deproject(10, 20, z)
    assert points.shape == (5, 3)
    assert np.isnan(points[:4]).all()
    assert np.isfinite(points[4]).all()
    with pytest.raises(InputError, match=r"points: got shape \(5, 2\)"):
        CAMERA.project(points[:, :2])


def test_crop_shifts_pixels() -> None:
    cropped = CAMERA.crop(100, 50, 300, 200)
    assert (cropped.width, cropped.height) == (300, 200)
    np.testing.assert_allclose(cropped.project(POINTS), CAMERA.project(POINTS) - [100, 50])


@pytest.mark.parametrize("size", [(320, 240), (1280, 960), (200, 600)])
def test_resize_follows_the_pixel_convention(size: tuple[int, int]) -> None:
    scale = np.array(size) / [640, 480]
    resized = CAMERA.resize(*size)
    expected = (CAMERA.project(POINTS) + 0.5) * scale - 0.5
    np.testing.assert_allclose(resized.project(POINTS), expected, atol=1e-9)
    back = resized.resize(640, 480)
    np.testing.assert_allclose(back.matrix, CAMERA.matrix, atol=1e-9)


def test_transform_moves_projected_pixels() -> None:
    affine = np.array([[0.5, 0, -30.25], [0, 0.4, 7]])
    moved = CAMERA.transform(affine, 224, 200)
    expected = CAMERA.project(POINTS) @ affine[:, :2].T + affine[:, 2]
    np.testing.assert_allclose(moved.project(POINTS), expected, atol=1e-9)
    assert (moved.width, moved.height) == (224, 200)
    assert CAMERA.transform(affine).width == 640


@pytest.mark.parametrize(
    "affine", [[[0, -1, 0], [1, 0, 0]], [[-1, 0, 0], [0, 1, 0]], [[1, 0.1, 0], [0, 1, 0]]]
)
def test_transform_refuses_turn_mirror_and_shear(affine: list[list[float]]) -> None:
    with pytest.raises(InputError, match="shift and scale only"):
        CAMERA.transform(affine)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fx": 0}, "fx is 0, expected above 0"),
        ({"fy": float("nan")}, "fy is nan"),
        ({"cx": "left"}, "cx is 'left', expected finite"),
        ({"width": 0}, "width is 0, expected a whole number above 0"),
        ({"height": 480.5}, "height is 480.5, expected a whole number"),
    ],
)
def test_bad_values(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Intrinsics(**CAMERA.to_dict() | change)
