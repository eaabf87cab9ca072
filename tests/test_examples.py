"""The examples do what the package does."""

from __future__ import annotations

import ast
import runpy
import sys
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

import graspling
from graspling import models
from graspling.grasps import angle_difference
from graspling.image import read_depth, read_rgb
from graspling.quantise import with_card

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "onnxruntime_only.py"


def test_it_needs_onnx_runtime_numpy_and_opencv_alone() -> None:
    tree = ast.parse(EXAMPLE.read_text("utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in imports for alias in node.names}
    assert names == {"json", "sys", "cv2", "numpy", "onnxruntime"}


DETECTORS = [name for name in models.shipped() if models.card(name).kind == "maps"]


@pytest.mark.parametrize("name", DETECTORS)
def test_onnx_runtime_alone_finds_the_same_grasp(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = models.path(name)
    detector = graspling.load(model, backend="onnxruntime")
    folder = Path(str(resources.files("graspling") / "samples"))
    agreed = []
    for rgb in sorted(folder.glob("*_rgb.jpg")):
        depth = Path(str(rgb).replace("_rgb.jpg", "_depth.png"))
        expected = detector.detect(read_rgb(rgb), read_depth(depth, "0.1mm"))
        monkeypatch.setattr(sys, "argv", ["", str(model), str(rgb), str(depth), "0.0001"])
        planes = runpy.run_path(str(EXAMPLE))["planes"]
        tensor = detector.card.preparation(read_rgb(rgb), read_depth(depth, "0.1mm")).tensor
        # holes filled from around them, resampled alike: what is left is rounding and rims
        difference = np.abs(np.array(planes) - tensor)
        assert difference.mean() < 0.02 and np.quantile(difference, 0.99) < 0.1, rgb.name
        lines = capsys.readouterr().out.splitlines()
        rows = [[float(number) for number in line.split()] for line in lines]
        assert rows == sorted(rows, key=lambda row: -row[4])
        if len(expected) and rows:
            u, v, angle, _, _ = rows[0]
            away = float(np.hypot(u - expected.u[0], v - expected.v[0]))
            turned = angle_difference(np.deg2rad([angle]), expected.angle[:1])[0]
            agreed.append(away < 10 and turned < np.deg2rad(15))
    # of two grasps that are as good, now and then the other one comes first
    assert not agreed or np.mean(agreed) >= 0.8, agreed


def test_a_frame_that_is_cut_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = next(n for n in DETECTORS if models.card(n).preparation.modality == "rgb")
    card = models.card(name)
    card = replace(card, preparation=replace(card.preparation, crop="letterbox"))
    model = tmp_path / "whole.onnx"
    model.write_bytes(with_card(models.path(name).read_bytes(), card))
    monkeypatch.setattr(sys, "argv", ["", str(model), "x_rgb.jpg"])
    with pytest.raises(SystemExit, match="takes a frame by letterbox"):
        runpy.run_path(str(EXAMPLE))
