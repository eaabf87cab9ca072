"""Intrinsics under crop and resize, projection, files, registration of depth to colour."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from graspling.camera import Intrinsics, register_depth
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


# ---- files ----------------------------------------------------------------------------------

K = [525.0, 0, 319.5, 0, 520.0, 239.5, 0, 0, 1]
BERKELEY = {f"_{key}": value for key, value in CAMERA.to_dict().items()} | {
    "_skew": 0.0,
    "_K": 0,
    "_frame": "overhead",
}
CALIBRATION = {
    "image_width": 640,
    "image_height": 480,
    "camera_name": "head",
    "camera_matrix": {"rows": 3, "cols": 3, "data": K},
    "distortion_model": "plumb_bob",
    "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.0] * 5},
}


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".intr"])
@pytest.mark.parametrize(
    "document",
    [
        CAMERA.to_dict(),
        CAMERA.to_dict() | {"depth_unit": "mm"},
        BERKELEY,
        CALIBRATION,
        {"width": 640, "height": 480, "K": K, "D": [0.0] * 5},
        {"width": 640, "height": 480, "k": K, "d": []},
    ],
)
def test_load(tmp_path: Path, document: dict[str, Any], suffix: str) -> None:
    path = tmp_path / f"camera{suffix}"
    text = yaml.safe_dump(document) if suffix == ".yaml" else json.dumps(document)
    path.write_text(text)
    assert Intrinsics.load(path) == CAMERA


REALSENSE = {"width": 640, "height": 480, "ppx": 319.5, "ppy": 239.5, "fx": 525.0, "fy": 520.0}
LISTING = """ Intrinsic of "Color" / 640x480 / {RGB8/BGR8}
  Width:      \t640
  Height:     \t480
  PPX:        \t319.5
  PPY:        \t239.5
  Fx:         \t525
  Fy:         \t520
  Distortion: \tInverse Brown Conrady
  Coeffs:     \t0.1  \t-0.2  \t0.001  \t0  \t5e-2
  FOV (deg):  \t62.7 x 49.5
"""


def test_lenses_of_files_are_carried_along(tmp_path: Path) -> None:
    bent = (0.1, -0.2, 0.001, 0.002, 0.05)
    ros = CALIBRATION | {"distortion_coefficients": {"data": list(bent)}}
    assert Intrinsics.from_dict(ros) == replace(CAMERA, distortion=bent)
    for model in ("brown_conrady", "distortion.brown_conrady"):
        profile = REALSENSE | {"model": model, "coeffs": list(bent)}
        assert Intrinsics.from_dict(profile) == replace(CAMERA, distortion=bent)
    straight = REALSENSE | {"model": "distortion.inverse_brown_conrady", "coeffs": [0.0] * 5}
    assert Intrinsics.from_dict(straight) == CAMERA
    path = tmp_path / "listing.txt"
    path.write_text(LISTING)
    listed = Intrinsics.load(path)
    assert listed.distortion_model == "inverse_brown_conrady"
    assert listed.rectified == CAMERA and listed.distortion == (0.1, -0.2, 0.001, 0, 0.05)
    assert Intrinsics.from_dict(listed.to_dict()) == listed
    path.write_text(LISTING + LISTING)
    with pytest.raises(InputError, match="several streams"):
        Intrinsics.load(path)
    for words, change in (
        ("model 'ftheta' is not known", {"model": "ftheta", "coeffs": list(bent)}),
        ("3 coefficients", {"coeffs": [1, 2, 3]}),
        ("expected a list of numbers", {"coeffs": ["a"]}),
    ):
        with pytest.raises(InputError, match=words):
            Intrinsics.from_dict(REALSENSE | change)


def test_region_and_binning_of_a_camera_info() -> None:
    """The intrinsics belong to the image as it comes: the part of the sensor, then binned."""
    document = {"width": 640, "height": 480, "K": K, "binning_x": 2, "binning_y": 2}
    document["roi"] = {"x_offset": 100, "y_offset": 40, "width": 400, "height": 300}
    assert Intrinsics.from_dict(document) == CAMERA.crop(100, 40, 400, 300).resize(200, 150)


@pytest.mark.parametrize("unit", [1 / 640, 0.003, 1e-3])
def test_a_focal_length_that_is_not_in_pixels_is_refused(unit: float) -> None:
    document = {"fx": 600 * unit, "fy": 600 * unit, "cx": 320 * unit, "cy": 240 * unit}
    with pytest.raises(InputError, match="expected pixels"):
        Intrinsics.from_dict({**document, "width": 640, "height": 480})


def test_unknown_keys_are_warned_of_in_one_line() -> None:
    with pytest.warns(UserWarning, match="unknown keys exposure, focal are ignored") as caught:
        Intrinsics.from_dict(CAMERA.to_dict() | {"focal": 3, "exposure": 4})
    assert len(caught) == 1
    with pytest.warns(UserWarning, match="unknown keys focal are"):
        Intrinsics.from_dict(CAMERA.to_dict() | {"focal": 3, "exposure": 4}, also=["exposure"])


LENSES = [
    ("plumb_bob", (0.1, -0.2, 0.001, 0.002, 0.05)),
    ("rational_polynomial", (0.1, -0.2, 0.001, 0.002, 0.05, 0.1, 0.02, 0.01)),
    ("equidistant", (0.1, -0.02, 0.001, 0.002)),
    ("inverse_brown_conrady", (0.1, -0.2, 0.001, 0.002, 0.05)),
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
    inverse = replace(camera, distortion_model="inverse_brown_conrady")
    np.testing.assert_allclose(inverse.deproject(100 * x, 100 * y, 1), [u, v, 1])


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


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "fx, fy, cx, cy, width, height missing"),
        ('{"width": 640, "height": 480, "K": [1, 2]}', "K is not a list of 9 numbers"),
        ("[1, 2]", "expected keys and values"),
        ("a: [1,\nb: }", "neither JSON nor YAML"),
        (json.dumps(BERKELEY | {"_skew": 2}), "skew is 2"),
        (json.dumps(BERKELEY | {"_fx": -1}), "fx is -1"),
    ],
)
def test_broken_files(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match="camera.yaml") as caught:
        Intrinsics.load(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_picture(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the camera file .*No such file"):
        Intrinsics.load(tmp_path / "none.json")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\xff\xfe")
    with pytest.raises(InputError, match="not a text file"):
        Intrinsics.load(tmp_path / "a.png")


# ---- registration ---------------------------------------------------------------------------

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


def test_registration_errors() -> None:
    depth = np.ones((48, 64))
    with pytest.raises(InputError, match=r"shape \(48, 63\), expected \(48, 64\)"):
        register_depth(depth[:, 1:], SMALL, SMALL, np.eye(4))
    with pytest.raises(InputError, match=r"got shape \(3, 4\)"):
        register_depth(depth, SMALL, SMALL, np.eye(4)[:3])
    for wrong in (np.diag([1000, 1000, 1000, 1]), np.diag([-1, 1, 1, 1]), shift() + shift()):
        with pytest.raises(InputError, match="rotation and a shift"):
            register_depth(depth, SMALL, SMALL, wrong)


def test_the_core_needs_neither_torch_nor_onnxruntime() -> None:
    modules = "camera, errors, files, formats, grasps, gripper, image, iou, maps"
    code = (
        f"import sys; from graspling import {modules}; "
        "print([m for m in ('torch', 'onnxruntime', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
