"""Frames without labels: any folder, and Cornell's, made to look like the labelled ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from graspling.datasets import open_dataset
from graspling.datasets.matching import black_border, matched, softened
from graspling.errors import InputError


def test_a_folder_of_frames_has_no_labels(tmp_path: Path) -> None:
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / f"{name}_rgb.png"), np.full((6, 8, 3), 9, np.uint8))
        cv2.imwrite(str(tmp_path / f"{name}_depth.png"), np.full((6, 8), 500, np.uint16))
    both = open_dataset(f"frames:{tmp_path},depth_unit= mm ")  # blanks are nothing
    assert both.ids == () and len(both.unlabelled_ids) == 2
    sample = both[both.unlabelled_ids[0]]
    assert sample.grasps is None and sample.rgb is not None and sample.depth is not None
    assert sample.depth[0, 0] == pytest.approx(0.5)
    colour = open_dataset(f"frames:{tmp_path},modality=rgb")
    assert colour[colour.unlabelled_ids[0]].depth is None
    (tmp_path / "b_depth.png").unlink()
    with pytest.raises(InputError, match="no depth file"):
        open_dataset(f"frames:{tmp_path},modality=rgbd")


@pytest.mark.parametrize(("lone", "lacks"), [("b_depth", "colour"), ("b_rgb", "depth")])
def test_an_image_without_its_partner_is_named(tmp_path: Path, lone: str, lacks: str) -> None:
    for name in ("a_rgb", "a_depth", "c_rgb", "c_depth", lone):
        image = np.full((6, 8, 3), 9, np.uint8) if "rgb" in name else np.full((6, 8), 5, np.uint16)
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
    said = rf"{lone}.png: no {lacks} file .*modality=rgb or modality=depth reads one kind alone"
    with pytest.raises(InputError, match=said):
        open_dataset(f"frames:{tmp_path}")
    alone = {kind: open_dataset(f"frames:{tmp_path},modality={kind}") for kind in ("rgb", "depth")}
    counts = {kind: len(frames.unlabelled_ids) for kind, frames in alone.items()}
    assert counts == {"rgb": 2, "depth": 2} | {"depth" if lacks == "colour" else "rgb": 3}


def test_a_png_whose_name_says_nothing_is_colour(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), np.full((6, 8, 3), 9, np.uint8))
    sample = open_dataset(f"frames:{tmp_path}")["1"]
    assert sample.rgb is not None and sample.depth is None


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no") as error:
        open_dataset(f"frames:{tmp_path}")
    assert "folders within" not in str(error.value)
    assert str(error.value).count(str(tmp_path)) == 1
    (tmp_path / "first day").mkdir()
    with pytest.raises(InputError, match="but not in the folders within it"):
        open_dataset(f"frames:{tmp_path},modality=depth")


def test_softening_takes_detail_and_keeps_what_is_large() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(60, 190, (80, 80, 3), dtype=np.uint8)
    soft = softened(image)
    assert soft.astype(float).std() < 0.8 * image.astype(float).std()
    assert soft.mean() == pytest.approx(image.mean(), abs=1.5)


def test_only_black_that_touches_the_border_is_border() -> None:
    like = np.full((20, 20, 3), 120, np.uint8)
    like[:4, :6] = 3
    like[10:13, 10:13] = 0  # a black object
    border = black_border(like)
    assert border[:4, :6].all() and border.sum() == 24
    made = matched(np.full((20, 20, 3), 200, np.uint8), like)
    assert not made[border].any() and (made[~border] > 150).all()


def test_matched_frames_are_as_sharp_as_labelled_ones(real_data: Path) -> None:
    def sharpness(dataset, ids) -> float:
        found = []
        for sample_id in ids:
            grey = dataset[sample_id].rgb[60:-60, 60:-60].mean(axis=2).astype(np.float32)
            found.append((grey - cv2.GaussianBlur(grey, (0, 0), 0.6)).std())
        return float(np.mean(found))

    plain, alike = (
        open_dataset(f"cornell:{real_data / 'cornell'}{option}") for option in ("", ",match=true")
    )
    wanted = sharpness(plain, plain.ids[::20])
    raw, made = (sharpness(d, d.unlabelled_ids[::6]) for d in (plain, alike))
    assert abs(made / wanted - 1) < 0.15 < raw / wanted - 1
