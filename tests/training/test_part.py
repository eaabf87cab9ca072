"""Which images a run works on."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="the lab is not installed")

from graspling.datasets.splits import Fold, Splits  # noqa: E402
from graspling.errors import InputError  # noqa: E402
from graspling.training.batches import Batches  # noqa: E402
from graspling.training.part import choose_ids, open_data, preparation_of  # noqa: E402
from graspling.training.recipe import Recipe  # noqa: E402


@pytest.mark.parametrize(("fraction", "labelled"), [(0.125, 38), (0.25, 75), (0.5, 150), (1, 300)])
def test_a_share_of_the_labels_is_one_of_the_images_that_the_run_sees(fraction, labelled):
    """With a limit, too: otherwise all shares would have as many labels as the limit allows."""
    ids = tuple(f"{number:04d}" for number in range(1000))
    split = Splits("made", 0, "image id", (Fold(ids[:600], ids[600:], ()),))
    dataset = SimpleNamespace(ids=ids, split=lambda name: split)
    part = choose_ids(dataset, Recipe("ggcnn", split="made", fraction=fraction, limit=300))
    assert (len(part.train), len(part.rest)) == (labelled, 300 - labelled)
    assert {*part.train, *part.rest} == set(ids[:300]) and part.val == ids[600:900]


def folder_of(root: Path, grasps: list[list[dict[str, float]]], depth: int = 0) -> str:
    """Frames with these labels; the first ``depth`` of them have depth as well."""
    root.mkdir()
    images = []
    for number, labels in enumerate(grasps):
        cv2.imwrite(str(root / f"{number}.png"), np.full((48, 64, 3), 90, np.uint8))
        entry: dict[str, object] = {"id": f"f{number}", "rgb": f"{number}.png", "state": "labelled"}
        if number < depth:
            cv2.imwrite(str(root / f"{number}d.png"), np.full((48, 64), 700, np.uint16))
            entry["depth"] = f"{number}d.png"
        images.append(entry | {"grasps": labels})
    document = {"schema": "graspling/folder", "version": 1, "images": images, "depth_unit": "mm"}
    (root / "labels.json").write_text(json.dumps(document))
    return f"folder:{root}"


GRASP = {"u": 30.0, "v": 20.0, "angle_rad": 0.0, "width_px": 16.0, "jaw_px": 8.0}


def recipe_of(data: str, **changes: Any) -> Recipe:
    return Recipe("ggcnn", data=data, split="all", size=32, batch=4, **changes)


def test_data_without_a_grasp_are_refused(tmp_path: Path) -> None:
    none = folder_of(tmp_path / "none", [[], []])
    with pytest.raises(InputError, match="none of the 2 images to train on has a grasp$"):
        open_data(recipe_of(none), tmp_path)
    broken = folder_of(tmp_path / "broken", [[GRASP | {"width_px": 0.0}]] * 2)
    with pytest.raises(InputError, match="has a grasp; folder: malformed labels .* 2 so far"):
        open_data(recipe_of(broken), tmp_path)


def test_malformed_labels_are_known_before_the_training(tmp_path: Path) -> None:
    data = folder_of(tmp_path / "some", [[GRASP], [GRASP | {"width_px": 0.0}]])
    assert "1 so far" in open_data(recipe_of(data), tmp_path)[0].complaint


def test_files_that_are_missing_are_known_before_the_training(tmp_path: Path) -> None:
    data = folder_of(tmp_path / "gone", [[GRASP]] * 4)
    (tmp_path / "gone" / "3.png").unlink()
    with pytest.raises(InputError, match="1 of its files are missing, such as .*3.png"):
        open_data(recipe_of(data), tmp_path)


def test_an_image_without_what_the_network_sees_is_named(tmp_path: Path) -> None:
    data = folder_of(tmp_path / "late", [[GRASP]] * 3, depth=2)
    recipe = recipe_of(data, modality="depth")
    dataset, part = open_data(recipe, tmp_path)
    batches = Batches(dataset, part.train, preparation_of(recipe), recipe.augmentation, size=1)
    with pytest.raises(InputError, match="image 'f2': .* depth image is missing"):
        batches.load(["f2"], 0)


def test_an_image_whose_labels_cannot_be_read_is_ignored(tmp_path: Path) -> None:
    data = folder_of(tmp_path / "some", [[GRASP], [GRASP | {"width_px": 0.0}], []])
    recipe = recipe_of(data)
    dataset, part = open_data(recipe, tmp_path)
    batches = Batches(dataset, part.train, preparation_of(recipe), recipe.augmentation, size=3)
    batch = batches.load(part.train, 0)
    assert [bool(x.all()) for x in batch.ignored] == [False, True, False]
