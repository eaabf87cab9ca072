"""The description of a gripper: what is shipped, its axes, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from graspling.errors import InputError
from graspling.gripper import Box, Gripper, shipped_grippers

DOCUMENT: dict[str, Any] = {
    "name": "mine",
    "opening": 0.1,
    "max_force": 40,
    "pad_length": 0.02,
    "pad_width": 0.03,
    "tcp": [0, 0, 0.2],
    "opening_axis": [0, 1, 0],
    "approach_axis": [1, 0, 0],
    "fingers": [{"low": [0, -0.01, -0.05], "high": [0.02, 0.01, 0.015]}],
    "palm": {"low": [-0.1, -0.03, -0.2], "high": [0.1, 0.03, -0.05]},
}


@pytest.mark.parametrize(("name", "opening"), [("panda", 0.080), ("robotiq_2f85", 0.085)])
def test_shipped(name: str, opening: float) -> None:
    gripper = Gripper.load(name)
    assert (gripper.name, gripper.opening) == (name, opening)
    # the pads lie on the finger boxes, the palm behind them
    tip = gripper.fingers[0]
    assert tip.low[0] == 0
    assert tip.size[1] >= gripper.pad_length
    assert tip.size[2] >= gripper.pad_width
    assert gripper.palm.high[2] < -gripper.pad_width / 2
    assert gripper.palm.low[2] == pytest.approx(-np.linalg.norm(gripper.tcp), abs=0.001)
    # both are made symmetric about the approach
    np.testing.assert_allclose(gripper.palm.centre[:2], 0, atol=1e-12)


def test_every_shipped_file_loads() -> None:
    assert shipped_grippers() == ["panda", "robotiq_2f85"]
    for name in shipped_grippers():
        np.testing.assert_allclose(np.linalg.det(Gripper.load(name).axes), 1)


def test_axes_take_house_vectors_to_the_grippers_own_frame() -> None:
    gripper = Gripper.from_dict(DOCUMENT)
    np.testing.assert_allclose(gripper.axes @ [1, 0, 0], [0, 1, 0])  # opening
    np.testing.assert_allclose(gripper.axes @ [0, 0, 1], [1, 0, 0])  # approach
    np.testing.assert_allclose(gripper.axes @ [0, 1, 0], [0, 0, 1])  # right-handed
    np.testing.assert_allclose(gripper.own_from_house @ [0, 0, 0, 1], [0, 0, 0.2, 1])


def test_finger_boxes_open_symmetrically() -> None:
    gripper = Gripper.from_dict(DOCUMENT)
    right, left = gripper.finger_boxes(0.06)
    assert right.low[0] == pytest.approx(0.03)
    assert left.high[0] == pytest.approx(-0.03)
    np.testing.assert_allclose(right.centre * [-1, 1, 1], left.centre)
    np.testing.assert_allclose(right.size, left.size)
    for wrong in (0.11, -0.01):
        with pytest.raises(InputError, match="opens from 0 to 0.1 m"):
            gripper.finger_boxes(wrong)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"opening": 0}, "opening is 0, expected a number above 0"),
        ({"opening": 80}, "in millimetres?"),
        ({"opening": 10**400}, "expected a number above 0"),
        ({"tcp": [0, 0, 10**400]}, "expected three numbers"),
        ({"opening": "wide"}, "opening is 'wide'"),
        ({"min_opening": 0.2}, "min_opening is 0.2, expected from 0 to opening"),
        ({"clearance": 0.05}, "clearance is 0.05"),
        ({"max_force": float("nan")}, "max_force is nan"),
        ({"pad_length": True}, "pad_length is True"),
        ({"tcp": [0, 0]}, "tcp is"),
        ({"opening_axis": [1, 0, 0]}, "not perpendicular"),
        ({"approach_axis": [2, 0, 0]}, "unit vectors"),
        ({"fingers": []}, "at least one"),
        ({"fingers": {"low": 1}}, "list of boxes"),
        ({"fingers": [{"low": [-1, 0, 0], "high": [1, 1, 1]}]}, "none below x = 0"),
        ({"palm": {"low": [0, 0, 0], "high": [1, 1, 0]}}, "is not below"),
        ({"palm": {"low": [0, 0, 0]}}, "palm: expected a box"),
        ({"palm": {"low": [-1, -1, -1], "high": [1, 1, 1]}}, "beyond the fingertips"),
        ({"fingers": [{"low": [0, -0.01, -0.05], "high": [0.02, 0.01, -0.02]}]}, "20 mm behind"),
        ({"colour": "red"}, "unknown key colour"),
    ],
)
def test_errors_name_file_and_value(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(DOCUMENT | change))
    with pytest.raises(InputError, match="mine.yaml") as caught:
        Gripper.load(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_own_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(DOCUMENT))
    gripper = Gripper.load(path)
    assert gripper == Gripper.from_dict(DOCUMENT)
    assert gripper.reach == 0.015
    assert gripper.clearance == 0.005


def test_a_file_that_changes_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    for opening in (0.07, 0.06):
        path.write_text(yaml.safe_dump({**DOCUMENT, "opening": opening}))
        assert Gripper.load(path).opening == opening


def test_errors_of_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'pnda': neither one of panda, robotiq_2f85"):
        Gripper.load("pnda")
    (tmp_path / "broken.yaml").write_text("a: [1,\nb: }")
    with pytest.raises(InputError, match="broken.yaml: not YAML"):
        Gripper.load(tmp_path / "broken.yaml")
    for text in ("name: 2026-13-45", "[" * 3000):
        (tmp_path / "broken.yaml").write_text(text)
        with pytest.raises(InputError, match="broken.yaml: not YAML"):
            Gripper.load(tmp_path / "broken.yaml")
    (tmp_path / "empty.yaml").write_text("")
    with pytest.raises(InputError, match="expected the keys name, opening"):
        Gripper.load(tmp_path / "empty.yaml")
    (tmp_path / "short.yaml").write_text("name: mine")
    with pytest.raises(InputError, match="opening is missing"):
        Gripper.load(tmp_path / "short.yaml")


def test_box() -> None:
    box = Box((0, 0, 0), (1, 2, 4))
    np.testing.assert_array_equal(box.centre, [0.5, 1, 2])
    np.testing.assert_array_equal(box.size, [1, 2, 4])
