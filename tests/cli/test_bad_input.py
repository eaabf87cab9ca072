from __future__ import annotations

import errno
import os

import cv2
import numpy as np
import pytest
from toys import complaint


def write_bad(kind: str, folder, frame, depth_frame) -> list[object]:
    """The options of `detect` for one kind of bad input, and its files."""
    path = folder / f"bad-{kind}.png"
    if kind == "missing":
        return ["--rgb", path]
    if kind == "missing glob":
        return ["--rgb", folder / "nothing-*.png"]
    if kind == "no image":
        path.write_text("this is text")
        return ["--rgb", path]
    if kind == "empty file":
        path.touch()
        return ["--rgb", path]
    if kind == "empty folder":
        (folder / "empty").mkdir()
        return ["--rgb", folder / "empty"]
    if kind == "grey":
        cv2.imwrite(str(path), np.zeros((40, 40), np.uint8))
        return ["--rgb", path]
    if kind == "16 bit":
        cv2.imwrite(str(path), np.zeros((40, 40, 3), np.uint16))
        return ["--rgb", path]
    if kind == "no unit":
        return ["--depth", depth_frame]
    if kind == "bad unit":
        return ["--depth", depth_frame, "--depth-unit", "furlong"]
    if kind == "all missing":
        cv2.imwrite(str(path), np.zeros((40, 40), np.uint16))
        return ["--depth", path, "--depth-unit", "mm"]
    if kind == "another size":
        cv2.imwrite(str(path), np.full((40, 40), 700, np.uint16))
        return ["--rgb", frame, "--depth", path, "--depth-unit", "mm"]
    if kind == "mask of another size":
        cv2.imwrite(str(path), np.full((40, 40), 255, np.uint8))
        return ["--rgb", frame, "--mask", path]
    raise AssertionError(kind)


@pytest.mark.parametrize(
    ("kind", "modality", "said"),
    [
        ("missing", "rgb", "no such file"),
        ("missing glob", "rgb", "pattern"),
        ("no image", "rgb", "image"),
        ("empty file", "rgb", "empty"),
        ("empty folder", "rgb", "folder"),
        ("grey", "rgb", "one channel"),
        ("16 bit", "rgb", "16"),
        ("no unit", "depth", "--depth-unit"),
        ("bad unit", "depth", "furlong"),
        ("all missing", "depth", "missing"),
        ("another size", "rgbd", "register"),
        ("mask of another size", "rgb", "mask"),
    ],
)
def test_bad_images(run, toy_model, tmp_path, frame, depth_frame, kind, modality, said):
    words = write_bad(kind, tmp_path, frame, depth_frame)
    out, picture = tmp_path / "out.json", tmp_path / "out.png"
    result = run(
        "detect", *words, "--model", toy_model(modality=modality), "--json", out,
        "--picture", picture,
    )  # fmt: skip
    assert said in complaint(result)
    assert not out.exists() and not picture.exists()


def test_a_model_that_needs_depth_says_so(run, toy_model, frame):
    assert "depth" in complaint(
        run("detect", "--rgb", frame, "--model", toy_model(modality="rgbd"))
    )


@pytest.mark.parametrize("damage", ["text", "half", "foreign", "absent", "unknown"])
def test_bad_weights(run, toy_model, frame, tmp_path, damage):
    path = toy_model()
    if damage == "text":
        path.write_text("no weights")
    elif damage == "half":
        path.write_bytes(path.read_bytes()[:200])
    elif damage == "foreign":
        onnx = pytest.importorskip("onnx")
        model = onnx.load(path)
        del model.metadata_props[:]
        onnx.save(model, path)
    else:
        path = tmp_path / "absent.onnx" if damage == "absent" else "no-such-model"
    complaint(run("detect", "--rgb", frame, "--model", path, "--json", tmp_path / "out.json"))
    assert not (tmp_path / "out.json").exists()


def test_a_full_disk_leaves_nothing_half_written(run, toy_model, frame, tmp_path, monkeypatch):
    kept = tmp_path / "results" / "out.json"
    kept.parent.mkdir()
    kept.write_text("the old result")
    model = toy_model()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    result = run("detect", "--rgb", frame, "--model", model, "--json", kept)
    assert "No space left" in complaint(result)
    assert kept.read_text() == "the old result"
    assert os.listdir(kept.parent) == ["out.json"]


def test_a_folder_that_is_a_file_cannot_be_written_to(run, toy_model, frame):
    complaint(run("detect", "--rgb", frame, "--model", toy_model(), "--json", frame / "out.json"))
