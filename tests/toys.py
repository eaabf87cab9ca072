"""Fixtures of the command line and the evaluation: a toy model and frames that it sees."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_model import tiny_card, tiny_onnx

from graspling.card import TrainedOn

# Width of every grasp of the toy model, as a share of the input's side.
TOY_WIDTH = 0.25

ToyModel = Callable[..., Path]


@pytest.fixture
def toy_model(tmp_path: Path) -> ToyModel:
    """Writes a model that grasps the brightest (or nearest) blob, always at the same angle.

    Arguments: name, modality, ids it was trained on, angle in radians, threshold, what it was
    trained on in full.
    """

    def build(
        name: str = "toy",
        modality: str = "rgb",
        *,
        ids: tuple[str, ...] = (),
        angle: float = 0.0,
        threshold: float = 0.2,
        trained_on: TrainedOn | None = None,
    ) -> Path:
        path = tmp_path / "models" / f"{name}.onnx"
        path.parent.mkdir(exist_ok=True)
        trained_on = trained_on or TrainedOn(data="folder", ids=ids)
        card = tiny_card(modality, name, threshold=threshold, trained_on=trained_on, seed=7)
        return tiny_onnx(path, card, angle=angle)

    return build


def blob(u: float = 60, v: float = 70, side: int = 128) -> np.ndarray:
    """A bright disc on grey, (side, side, 3) uint8."""
    image = np.full((side, side, 3), 60, np.uint8)
    cv2.circle(image, (round(u), round(v)), 8, (240, 240, 240), -1)
    return image


@pytest.fixture
def frame(tmp_path: Path) -> Path:
    """A colour frame with a disc at (60, 70)."""
    path = tmp_path / "frame_rgb.png"
    cv2.imwrite(str(path), blob())
    return path


@pytest.fixture
def depth_frame(tmp_path: Path) -> Path:
    """16-bit depth in mm, as large as the colour frame: a disc at (60, 70) above a table."""
    depth = np.full((128, 128), 700, np.uint16)
    cv2.circle(depth, (60, 70), 8, 600, -1)
    path = tmp_path / "frame_depth.png"
    cv2.imwrite(str(path), depth)
    return path


@pytest.fixture
def labelled_folder(tmp_path: Path) -> Path:
    """A folder data set of eight frames of four objects; the toy model is right on six.

    On "f6" the label is elsewhere, on "f7" it is turned by 35 degrees.
    """
    root = tmp_path / "labelled"
    root.mkdir()
    images = []
    for number in range(8):
        u, v = 40 + 6 * number, 80 - 4 * number
        cv2.imwrite(str(root / f"f{number}.png"), blob(u, v))
        grasp = {"u": u, "v": v, "angle_rad": 0.0, "width_px": 128 * TOY_WIDTH, "jaw_px": 16.0}
        if number == 6:
            grasp["u"] += 45
        if number == 7:
            grasp["angle_rad"] = float(np.deg2rad(35))
        images.append(
            {
                "id": f"f{number}",
                "rgb": f"f{number}.png",
                "object": f"thing{number // 2}",
                "state": "labelled",
                "grasps": [grasp],
            }
        )
    images.append({"id": "free", "rgb": "f0.png", "state": "unlabelled"})
    document = {"schema": "graspling/folder", "version": 1, "images": images}
    (root / "labels.json").write_text(json.dumps(document))
    return root


def complaint(result: tuple[int, str, str]) -> str:
    """The one line that a mistake prints."""
    status, out, err = result
    assert status in (1, 2)
    assert out == ""
    assert err.startswith("graspling: error: ") and err.count("\n") == 1, err
    return err
