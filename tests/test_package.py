from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import graspling
from graspling.frames import read_depth, read_rgb

SAMPLES = Path(graspling.__file__).parent / "samples"


def test_what_a_user_needs_is_there_and_nothing_else() -> None:
    assert set(dir(graspling)) == {"Grasps", "__version__", "detect", "load", "models"}
    for name in dir(graspling):
        assert getattr(graspling, name)
    with pytest.raises(AttributeError, match="no attribute 'grasp'"):
        _ = graspling.grasp


def test_importing_loads_nothing_heavy_and_the_runtime_never_torch() -> None:
    code = """
import sys, graspling
light = {"numpy", "cv2", "onnxruntime", "torch"} & set(sys.modules)
graspling.load, graspling.models
print(light, {"onnxruntime", "torch"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["set()", "set()"]


def test_the_sample_frames_are_whole_and_small() -> None:
    camera = json.loads((SAMPLES / "camera.json").read_text("utf-8"))
    names = sorted(file.name[: -len("_rgb.jpg")] for file in SAMPLES.glob("*_rgb.jpg"))
    assert len(names) >= 4
    for name in names:
        rgb = read_rgb(SAMPLES / f"{name}_rgb.jpg")
        depth = read_depth(SAMPLES / f"{name}_depth.png", camera["depth_unit"])
        assert rgb.shape[:2] == depth.shape == (camera["height"], camera["width"])
        assert 0 < (depth == 0).mean() < 0.05
        assert 0.3 < depth[depth > 0].min() < depth.max() < 1.6
    assert sum(file.stat().st_size for file in SAMPLES.iterdir()) < 1.5e6


def test_the_core_needs_neither_torch_nor_onnxruntime() -> None:
    modules = "camera, errors, files, formats, grasps, gripper, image, iou, maps"
    code = (
        f"import sys; from graspling import {modules}; "
        "print([m for m in ('torch', 'onnxruntime', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
