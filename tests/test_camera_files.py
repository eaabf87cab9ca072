"""Intrinsics from files: the house's own, ROS, Berkeley, RealSense."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from graspling.camera import Intrinsics
from graspling.cli.camera import CameraFile
from graspling.errors import InputError
from graspling.simulation.views import CameraModel

CAMERA = Intrinsics(fx=525.0, fy=520.0, cx=319.5, cy=239.5, width=640, height=480)


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


ECHO = f"""header:
  stamp: {{sec: 1, nanosec: 2}}
  frame_id: camera_color_optical_frame
height: 480
width: 640
distortion_model: plumb_bob
d: [0.0, 0.0, 0.0, 0.0, 0.0]
k: {K}
binning_x: 0
binning_y: 0
roi: {{x_offset: 0, y_offset: 0, height: 0, width: 0, do_rectify: false}}
---
"""


@pytest.mark.parametrize("text", [ECHO, ECHO * 2, "---\n" + ECHO])
def test_what_ros2_topic_echo_writes(tmp_path: Path, text: str) -> None:
    path = tmp_path / "info.yaml"
    path.write_text(text)
    assert Intrinsics.load(path) == CAMERA


def test_a_camera_of_generated_data(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """The file of the tutorial serves `generate` and `detect`."""
    tutorial = Path(__file__).parents[1] / "docs" / "tutorials" / "my_gripper_my_camera.md"
    blocks = re.findall(r"```yaml\n(.*?)```", tutorial.read_text(), re.DOTALL)
    (text,) = (block for block in blocks if "disparity_step" in block)
    path = tmp_path / "my_camera.yaml"
    path.write_text(text)
    model = CameraModel.load(path)
    assert CameraFile.load(path).intrinsics == Intrinsics.load(path) == model.intrinsics
    assert not recwarn.list
    # without height_px its keys are strange, as before
    with pytest.warns(UserWarning, match="tilt"):
        Intrinsics.from_dict(CAMERA.to_dict() | {"tilt": 15})


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
    names = ("brown_conrady", "inverse_brown_conrady", "modified_brown_conrady")
    for model in (*names, "distortion.inverse_brown_conrady"):
        profile = REALSENSE | {"model": model, "coeffs": list(bent)}
        assert Intrinsics.from_dict(profile) == replace(CAMERA, distortion=bent)
    straight = REALSENSE | {"model": "distortion.none", "coeffs": [0.0] * 5}
    assert Intrinsics.from_dict(straight) == CAMERA
    path = tmp_path / "listing.txt"
    path.write_text(LISTING)
    listed = Intrinsics.load(path)
    assert listed.distortion_model == "brown_conrady"
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


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ppx": 3195.0}, "cx is 3195 .* far outside of an image of 640 x 480"),
        ({"ppy": -300.0}, "cy -300, far outside"),
        ({"fy": 52.5}, "fx is 525 and fy 52.5"),
        ({"fx": 52500.0, "fy": 52500.0}, "no lens is that long"),
    ],
)
def test_values_that_no_camera_has_are_refused(change: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Intrinsics.from_dict(REALSENSE | change)
    corner = {"x_offset": 600, "y_offset": 440, "width": 40, "height": 40}
    part = Intrinsics.from_dict(REALSENSE | {"roi": corner})
    assert part == CAMERA.crop(600, 440, 40, 40)  # far outside as well, and right


def test_unknown_keys_are_warned_of_in_one_line() -> None:
    with pytest.warns(UserWarning, match="unknown keys exposure, focal are ignored") as caught:
        Intrinsics.from_dict(CAMERA.to_dict() | {"focal": 3, "exposure": 4})
    assert len(caught) == 1
    with pytest.warns(UserWarning, match="unknown keys focal are"):
        Intrinsics.from_dict(CAMERA.to_dict() | {"focal": 3, "exposure": 4}, also=["exposure"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "fx, fy, cx, cy, width, height missing"),
        ('{"width": 640, "height": 480, "K": [1, 2]}', "K is not a list of 9 numbers"),
        ("[1, 2]", "expected keys and values"),
        ("a: [1,\nb: }", "neither JSON nor YAML"),
        ('{"fx": 600\n "fy": 600}', "broken JSON: Expecting ',' delimiter: line 2 column 2"),
        ("width: 2026-13-45", "neither JSON nor YAML"),
        ("[" * 100_000, "neither JSON nor YAML"),
        (json.dumps(BERKELEY | {"_fx": 10**400}), "expected above 0"),
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
