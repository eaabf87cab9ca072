"""Distortion: there and back, by formula, rectified images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graspling import lens
from graspling.camera import Intrinsics

CAMERA = Intrinsics(fx=525.0, fy=520.0, cx=319.5, cy=239.5, width=640, height=480)
POINTS = np.random.default_rng(0).uniform([-0.3, -0.3, 0.4], [0.3, 0.3, 1.5], (50, 3))


LENSES = [
    ("plumb_bob", (0.1, -0.2, 0.001, 0.002, 0.05)),
    ("rational_polynomial", (0.1, -0.2, 0.001, 0.002, 0.05, 0.1, 0.02, 0.01)),
    ("equidistant", (0.1, -0.02, 0.001, 0.002)),
]


@pytest.mark.parametrize(("model", "bent"), LENSES)
def test_lenses_there_and_back(model: str, bent: tuple[float, ...]) -> None:
    camera = replace(CAMERA, distortion=bent, distortion_model=model)
    pixels = camera.project(POINTS)
    assert np.abs(pixels - CAMERA.project(POINTS)).max() > 1
    back = camera.deproject(pixels[:, 0], pixels[:, 1], POINTS[:, 2])
    np.testing.assert_allclose(back, POINTS, atol=1e-8)
    np.testing.assert_allclose(camera.rectify_pixels(pixels), CAMERA.project(POINTS), atol=1e-5)
    # crop and resize take the lens along
    part = camera.crop(40, 30, 500, 400).resize(250, 200)
    np.testing.assert_allclose(part.project(POINTS), (pixels - [40, 30] + 0.5) / 2 - 0.5)


@pytest.mark.parametrize(("model", "bent"), LENSES)
def test_a_point_that_is_no_number_spoils_no_other(model: str, bent: tuple[float, ...]) -> None:
    camera = replace(CAMERA, distortion=bent, distortion_model=model)
    u, v = camera.project(POINTS).T
    alone = camera.deproject(u, v, POINTS[:, 2])
    u[3] = np.nan
    found = camera.deproject(u, v, POINTS[:, 2])
    assert np.isnan(found[3, 0])
    np.testing.assert_array_equal(np.delete(found, 3, axis=0), np.delete(alone, 3, axis=0))


@pytest.mark.parametrize(
    ("model", "bent", "focal"),
    [("brown_conrady", (-0.5, 0.1, 0, 0, 0), 280.0), ("equidistant", (0.01, 0, 0, 0), 150.0)],
)
def test_where_a_lens_has_no_inverse_there_is_no_number(
    model: str, bent: tuple[float, ...], focal: float
) -> None:
    """A lens too strong for its corners: what is given there goes back to its pixel, or is NaN."""
    camera = Intrinsics(focal, focal, 319.5, 239.5, 640, 480, bent, model)
    v, u = np.mgrid[0:480:20, 0:640:20].astype(np.float64).reshape(2, -1)
    points = camera.deproject(u, v, 0.5)
    known = np.isfinite(points).all(axis=1)
    assert 0.3 < known.mean() < 1 and known[np.hypot(u - 319.5, v - 239.5) < 150].all()
    back = camera.project(points[known])
    np.testing.assert_allclose(back, np.stack([u, v], axis=1)[known], atol=0.01)


def test_a_picture_is_rectified_without_the_inverse(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []
    plain = lens._brown
    monkeypatch.setattr(
        lens, "_brown", lambda points, k: looked_at.append(len(points)) or plain(points, k)
    )
    camera = replace(CAMERA, distortion=(-0.3, 0.1, 0, 0, 0), width=160, height=120)
    camera = replace(camera, fx=130.0, fy=130.0, cx=79.5, cy=59.5)
    camera.rectify(np.zeros((120, 160), np.float32))
    assert looked_at == [160 * 120]
    camera.unrectify(np.zeros((120, 160), np.float32))
    # a hundred steps at the rim, a few elsewhere
    assert sum(looked_at) < 50 * 160 * 120


def test_brown_conrady_by_its_formula() -> None:
    """Brown's model as OpenCV documents it, for one point by hand."""
    k1, k2, p1, p2, k3 = bent = (0.1, -0.2, 0.001, 0.002, 0.05)
    x, y = 0.3, -0.2
    r = x * x + y * y
    radial = 1 + k1 * r + k2 * r**2 + k3 * r**3
    u = x * radial + 2 * p1 * x * y + p2 * (r + 2 * x * x)
    v = y * radial + p1 * (r + 2 * y * y) + 2 * p2 * x * y
    camera = Intrinsics(100, 100, 0, 0, 10, 10, bent)
    np.testing.assert_allclose(camera.project([x, y, 1]), [100 * u, 100 * v])


@pytest.mark.parametrize("name", ["brown", "inverse_brown", "modified_brown"])
def test_realsense_s_names_mean_what_its_library_computes(name: str) -> None:
    """Values of pyrealsense2 2.59.1; of the modified model it projects only."""
    bent = (-0.055, 0.066, -0.0006, 0.0004, -0.021)
    camera = Intrinsics(640, 640, 640, 360, 1280, 720, bent, f"{name}_conrady")
    np.testing.assert_allclose(camera.project([-0.9, 0.5, 1]), [70.3, 676.245], atol=0.01)
    np.testing.assert_allclose(camera.deproject(1024, 500, 1), [0.6076, 0.22184, 1], atol=1e-5)


def test_rectified_images_show_things_where_rectified_pixels_are() -> None:
    camera = replace(CAMERA, distortion=(0.2, -0.1, 0, 0, 0))
    image = np.zeros((480, 640), np.float32)
    image[50:54, 80:84] = 1
    v, u = np.nonzero(camera.rectify(image))
    where = camera.rectify_pixels([81.5, 51.5])
    np.testing.assert_allclose([u.mean(), v.mean()], where, atol=0.7)
    v, u = np.nonzero(camera.unrectify(camera.rectify(image)))
    np.testing.assert_allclose([u.mean(), v.mean()], [81.5, 51.5], atol=0.7)
    assert CAMERA.rectify(image) is image
