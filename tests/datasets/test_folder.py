"""The folder of one's own images: what its labels.json may say, and what it says of faults."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from graspling.datasets import open_dataset
from graspling.errors import InputError
from graspling.evaluation.evaluate import nothing_to_grasp

CAMERA = {"fx": 150, "fy": 150, "cx": 79.5, "cy": 59.5, "width": 160, "height": 120}


def test_folder_faults_name_the_place(fakes: ModuleType, tmp_path: Path) -> None:
    path = fakes.folder(tmp_path) / "labels.json"
    document = json.loads(path.read_text())
    document["images"][1]["grasps"] += [{"u": 1}, {"corners": [[0, 0]]}, 7]
    path.write_text(json.dumps(document))
    faults = [str(fault) for fault in open_dataset(f"folder:{tmp_path}").verify()]
    assert len(faults) == 3
    assert all(f"labels.json: images[1].grasps[{n + 1}]" in f for n, f in enumerate(faults))


@pytest.mark.parametrize(("wrong", "meant"), [("rbg", "rgb"), ("objct", "object")])
def test_folder_asks_about_misspelt_keys(
    wrong: str, meant: str, fakes: ModuleType, tmp_path: Path
) -> None:
    path = fakes.folder(tmp_path) / "labels.json"
    document = json.loads(path.read_text())
    entry = document["images"][0]
    entry["my notes"] = "a nice picture"
    entry.setdefault("depth", entry["rgb"])  # some picture is left
    entry[wrong] = entry.pop(meant, "thing")
    document["depthunit"] = "mm"
    document.pop("depth_unit", None)
    path.write_text(json.dumps(document))
    said = [
        fault for fault in map(str, open_dataset(f"folder:{tmp_path}").verify()) if "meant" in fault
    ]
    assert said == [
        'labels.json: at the top: nothing reads "depthunit"; was "depth_unit" meant?',
        f'labels.json: images[0]: nothing reads "{wrong}"; was "{meant}" meant?',
    ]


@pytest.mark.parametrize(("place", "wrong"), [("at the top", "intrinsic"), ("images[0]", "objct")])
def test_a_misspelt_key_is_told_without_a_check_and_refused_where_asked(
    place: str, wrong: str, fakes: ModuleType, tmp_path: Path
) -> None:
    """To who trains on the folder, too."""
    path = fakes.folder(tmp_path) / "labels.json"
    document = json.loads(path.read_text())
    (document if place == "at the top" else document["images"][0])[wrong] = "thing"
    document.pop("intrinsics")
    document["images"][0].pop("object")
    path.write_text(json.dumps(document))
    dataset = open_dataset(f"folder:{tmp_path}")
    line = f'labels.json: {place}: nothing reads "{wrong}"; was "'
    assert line in dataset.complaint and "1 so far" in dataset.complaint
    for found in (dataset.verify(), open_dataset(f"folder:{tmp_path}").faults):
        assert [str(fault).startswith(line) for fault in found] == [True]
    with pytest.raises(InputError, match=re.escape(line) + r".*strict=true refuses it"):
        open_dataset(f"folder:{tmp_path},strict=true")


@pytest.mark.parametrize(
    ("grasps", "words"),
    [
        (None, r"images\[1\] is labelled and has no list \"grasps\""),
        ([{"u": 9, "v": 9, "angle_rad": 45, "width_px": 9}], "grasps.0.: angle_rad is 45.*radians"),
        ([{"corners": [[0, 0], [100, 0], [50, 50], [0, 30]]}], "grasps.0.: .* form no rectangle"),
        ([{"corners": [[0, 0], [100, 0], [0, 50], [100, 50]]}], "grasps.0.: .* form no rectangle"),
        (
            [{"corners": [[300, 90], [360, 90], [420, 115], [360, 115]]}],
            "grasps.0.: .* form no rectangle; .* at 23 degrees",
        ),
        (
            [{"u": 9, "v": 9, "angle_rad": 1, "width_px": 9, "jaw": 5}],
            'grasps.0.: nothing reads "jaw"; was "jaw_px" meant',
        ),
        (
            [{"corners": [[0, 0], [9, 0], [9, 5], [0, 5]], "width_px": 9}],
            'grasps.0.: expected either "corners" or "u", .*, got both',
        ),
    ],
)
def test_folder_reports_labels_that_say_something_else(
    grasps: object, words: str, fakes: ModuleType, tmp_path: Path
) -> None:
    """What could be read, but surely was not meant so."""
    path = fakes.folder(tmp_path) / "labels.json"
    document = json.loads(path.read_text())
    document["images"][1]["grasps"] = grasps
    if grasps is None:
        del document["images"][1]["grasps"]
    path.write_text(json.dumps(document))
    (fault,) = open_dataset(f"folder:{tmp_path}").verify()
    assert re.search(words, str(fault)) and fault.malformed
    with pytest.raises(InputError, match=words):
        open_dataset(f"folder:{tmp_path},strict=true").verify()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"depth_unit": None}, r'state their unit: "depth_unit" in .*labels.json'),
        ({"depth_unit": "furlong"}, r"labels.json: depth unit 'furlong'"),
        ({"intrinsics": {"fx": 1}}, r"labels.json: intrinsics are"),
        ({"intrinsics": CAMERA | {"fx": "wide"}}, r"labels.json: intrinsics: fx is 'wide'"),
        ({"intrinsics": CAMERA | {"width": 320}}, r"labels.json: .* 320x120, .* is 160x120"),
    ],
)
def test_folder_names_the_file_whose_setting_is_wrong(
    change: dict[str, object], words: str, fakes: ModuleType, tmp_path: Path
) -> None:
    path = fakes.folder(tmp_path) / "labels.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=words):
        open_dataset(f"folder:{tmp_path}")["image 0"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": "other"}, "schema 'other'"),
        ({"version": 2}, "version 2"),
        ({"images": []}, "at least one entry"),
        ({"images": [{"id": "a", "rgb": "0.png", "state": "done"}]}, "labelled, unlabelled"),
        ({"images": [{"id": "a", "state": "labelled"}]}, '"rgb", "depth" or both'),
        ({"images": [{"id": "a", "rgb": "0.png", "state": "skipped"}] * 2}, "there twice"),
    ],
)
def test_folder_refuses_what_its_schema_does_not_allow(
    change: dict[str, object], words: str, fakes: ModuleType, tmp_path: Path
) -> None:
    path = fakes.folder(tmp_path) / "labels.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=words):
        open_dataset(f"folder:{tmp_path}")


def test_images_of_different_sizes_are_refused(fakes: ModuleType, tmp_path: Path) -> None:
    dataset = open_dataset(f"folder:{fakes.folder(tmp_path)}")
    fakes.write_image(tmp_path / "0-depth.png", np.ones((60, 80), np.uint16))
    with pytest.raises(InputError, match="160x120, 80x60.*same pixels"):
        dataset["image 0"]


def test_folder_states_authors_and_camera(fakes: ModuleType, tmp_path: Path) -> None:
    dataset = open_dataset(f"folder:{fakes.folder(tmp_path)}")
    assert dataset.unlabelled_ids == ("image 4",)
    assert dataset.skipped_ids == ("image 5",)
    sample = dataset["image 0"]
    assert sample.intrinsics is not None and sample.intrinsics.fx == 150
    assert sample.negatives.jaw[0] == fakes.OPENING / 2
    assert dataset.authors["image 0"] == "Ada" and sample.object_id == "thing 0"


def test_an_empty_list_says_that_nothing_can_be_grasped(fakes: ModuleType, tmp_path: Path) -> None:
    path = fakes.folder(tmp_path) / "labels.json"
    document = json.loads(path.read_text())
    entry = document["images"][1]
    entry["grasps"] = []
    entry.pop("negatives", None)
    path.write_text(json.dumps(document))
    assert nothing_to_grasp(open_dataset(f"folder:{tmp_path}")[entry["id"]])
    entry["negatives"] = [{"u": "left"}]  # malformed: of what fails, not of what holds
    path.write_text(json.dumps(document))
    dataset = open_dataset(f"folder:{tmp_path}")
    assert nothing_to_grasp(dataset[entry["id"]]) and len(dataset.faults) == 1
    entry["grasps"] = [{"u": "left"}]  # malformed: nobody knows
    path.write_text(json.dumps(document))
    assert not nothing_to_grasp(open_dataset(f"folder:{tmp_path}")[entry["id"]])
