"""Converting, checking and showing data sets."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from graspling.datasets import open_dataset
from graspling.datasets.check import check
from graspling.datasets.convert import WRITERS, convert
from graspling.datasets.records import Sample
from graspling.datasets.show import closer, show
from graspling.datasets.splits import Fold, Splits
from graspling.errors import InputError
from graspling.grasps import Grasps


@pytest.mark.parametrize("to", sorted(WRITERS))
@pytest.mark.parametrize("kind", ["cornell", "jacquard", "multi_object", "folder"])
def test_converting_keeps_pixels_labels_and_objects(
    kind: str, to: str, fakes: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    source = open_dataset(f"{kind}:{fakes.WRITERS[kind](tmp_path / 'in')}")
    out = convert(source, tmp_path / "new" / "out", to, progress=False)
    result = open_dataset(f"{to}:{out}")
    rows = [row.split(",") for row in (out / "ids.csv").read_text().splitlines()[1:]]
    assert {old for _, old in rows} == set(source.ids + source.unlabelled_ids)
    assert len(result.unlabelled_ids) == len(source.unlabelled_ids)
    assert not [fault for fault in result.verify() if fault.malformed]
    for new, old in rows:
        a, b = source[old], result[new]
        np.testing.assert_array_equal(a.rgb, b.rgb)
        np.testing.assert_allclose(a.depth, b.depth, atol=1e-6)
        if a.grasps is None:
            assert b.grasps is None
        else:
            np.testing.assert_allclose(
                a.grasps.to_rectangles(), b.grasps.to_rectangles(), atol=1e-6
            )
        if a.object_id is not None and to != "jacquard":  # there it is part of a file name
            assert a.object_id == b.object_id
    assert len(set(result.objects.values())) >= len(set(source.objects.values()))


def test_converting_keeps_ids_splits_and_states(fakes: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = open_dataset(f"cornell:{fakes.cornell_recovered(tmp_path / 'in')}")
    result = open_dataset(f"folder:{convert(source, tmp_path / 'out', 'folder', progress=False)}")
    assert result.ids == source.ids and result.objects == source.objects
    assert result.split("object-wise").hash == source.split("object-wise").hash
    assert result["0100"].intrinsics == source["0100"].intrinsics


@pytest.mark.parametrize("to", sorted(WRITERS))
def test_where_nobody_knows_the_copy_is_not_labelled(
    to: str, fakes: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    source = open_dataset(f"folder:{fakes.folder(tmp_path / 'in')}")
    doubtful = source.ids[0]

    class Doubtful(type(source)):  # type: ignore[misc]
        def __getitem__(self, sample_id: str) -> Sample:
            sample = super().__getitem__(sample_id)
            if sample_id != doubtful:
                return sample
            return replace(sample, grasps=Grasps.empty(), ambiguous=sample.grasps)

    source.__class__ = Doubtful
    result = open_dataset(f"{to}:{convert(source, tmp_path / 'out', to, progress=False)}")
    assert len(result.unlabelled_ids) == len(source.unlabelled_ids) + 1


def test_copied_splits_name_what_the_copy_has_labelled(fakes: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    labels = fakes.folder(tmp_path / "in") / "labels.json"
    document = json.loads(labels.read_text())
    document["images"][1]["grasps"] = [{"u": 1}]  # the copy has it as unlabelled
    labels.write_text(json.dumps(document))
    (tmp_path / "in" / "splits").mkdir()
    fold = Fold(("image 0", "image 1"), ("image 2",), ("image 3",))
    split = Splits("mine", 0, "image id", (fold,))
    split.save(tmp_path / "in" / "splits" / "mine.json")
    source = open_dataset(f"folder:{tmp_path / 'in'}")
    copy = open_dataset(f"folder:{convert(source, tmp_path / 'out', 'folder', progress=False)}")
    assert copy.split("mine").fold(0) == Fold(("image 0",), ("image 2",), ("image 3",))
    assert source.split("mine") == split


def test_no_image_of_a_new_folder_replaces_another(fakes: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    labels = fakes.folder(tmp_path / "in") / "labels.json"
    text = labels.read_text()
    for number, name in enumerate(("a-b", "a-b.2", "a/b", "a:b")):
        text = text.replace(f'"image {number}"', f'"{name}"')
    labels.write_text(text)
    source = open_dataset(f"folder:{tmp_path / 'in'}")
    copy = open_dataset(f"folder:{convert(source, tmp_path / 'out', 'folder', progress=False)}")
    for sample in source:
        np.testing.assert_array_equal(copy[sample.id].rgb, sample.rgb)


@pytest.mark.parametrize("to", ["folder", "jacquard"])
def test_names_of_objects_lead_out_of_no_folder(to: str, fakes: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    labels = fakes.folder(tmp_path / "in") / "labels.json"
    labels.write_text(labels.read_text().replace('"thing 0"', '".."').replace('"image 0"', '".."'))
    source = open_dataset(f"folder:{tmp_path / 'in'}")
    before = {path.name for path in tmp_path.iterdir()}
    out = convert(source, tmp_path / "out", to, progress=False)
    assert {path.name for path in tmp_path.iterdir()} == before | {"out"}
    made = {path for path in out.rglob("*") if path.suffix == ".png"}
    assert len(made) == len(source.ids + source.unlabelled_ids)
    assert not any(path.name.startswith(".") for path in made)


def test_converting_leaves_nothing_half_written(fakes: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = open_dataset(f"folder:{fakes.folder(tmp_path / 'in')}")
    with pytest.raises(InputError, match="folder, cornell, jacquard"):
        convert(source, tmp_path / "out", "voc")
    with pytest.raises(InputError, match="not empty"):
        convert(source, tmp_path / "in", "folder")
    (tmp_path / "in" / "3.png").write_bytes(b"broken")
    with pytest.raises(InputError, match="3.png"):
        convert(source, tmp_path / "out", "folder", progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_check_counts_and_finds_faults(fakes: ModuleType, tmp_path: Path) -> None:
    dataset = open_dataset(f"folder:{fakes.folder(tmp_path)}")
    report = check(dataset, progress=False)
    assert (report.labelled, report.unlabelled, report.skipped) == (4, 1, 1)
    assert (report.grasps, report.negatives, report.objects) == (4, 1, 3)
    assert report.ranges["width px"] == pytest.approx((fakes.OPENING,) * 3)
    assert report.ranges["depth m"][2] == pytest.approx(fakes.TABLE_M, abs=1e-4)
    assert report.sizes == {"160x120": 5} and report.outside == 0 and report.faults == ()
    assert json.loads(json.dumps(report.to_dict()))["grasps"] == 4
    assert "4 labelled, 1 unlabelled, 1 skipped" in report.text()

    path = tmp_path / "labels.json"
    document = json.loads(path.read_text())
    document["images"][0]["grasps"] = [{"u": 500, "v": 5, "angle_rad": 0, "width_px": 9}, {}]
    path.write_text(json.dumps(document))
    (tmp_path / "1.png").write_bytes(b"broken")
    report = check(open_dataset(f"folder:{tmp_path}"), progress=False)
    assert report.outside == 1
    expected = ["grasps[1]", "1 of 1 grasps lie outside of the 160x120 frame", "1.png"]
    assert len(report.faults) == 3 and "1.png" in report.text()
    assert all(text in fault for text, fault in zip(expected, report.faults, strict=True))


def test_check_counts_a_fault_once(fakes: ModuleType, tmp_path: Path) -> None:
    """A file that two images need and that is missing; labels that cannot be read."""
    (tmp_path / "folder").mkdir()
    labels = fakes.folder(tmp_path / "folder") / "labels.json"
    labels.write_text(labels.read_text().replace('"2-depth.png"', '"1-depth.png"'))
    (tmp_path / "folder" / "1-depth.png").unlink()
    report = check(open_dataset(f"folder:{tmp_path / 'folder'}"), progress=False)
    assert report.faults == ("1-depth.png: the file is missing",)
    (tmp_path / "cornell").mkdir()
    root = fakes.cornell_recovered(tmp_path / "cornell")
    label = root / "annotations" / "pcd0100cpos.txt"
    label.write_bytes(b"\xff")
    (fault,) = check(open_dataset(f"cornell:{root}"), progress=False).faults
    assert "not a text file" in fault
    # a row that is left out hides nothing else that is wrong with its image
    label.write_text("1 2\nx y\n3 4\n5 6\n")
    (root / "images" / "pcd0100r.jpg").write_bytes(b"broken")
    first, second = check(open_dataset(f"cornell:{root}"), progress=False).faults
    assert "pcd0100cpos.txt" in first and "pcd0100r.jpg" in second


@pytest.mark.parametrize(("u", "faults"), [(165.0, 0), (175.0, 1)])
def test_check_allows_grasps_that_reach_into_the_frame(
    fakes: ModuleType, tmp_path: Path, u: float, faults: int
) -> None:
    """30 px wide across the right border at 160: they begin at u - 15."""
    path = fakes.folder(tmp_path) / "labels.json"
    document = json.loads(path.read_text())
    document["images"][0]["grasps"] = [{"u": u, "v": 50, "angle_rad": 0, "width_px": 30}]
    path.write_text(json.dumps(document))
    report = check(open_dataset(f"folder:{tmp_path}"), progress=False)
    assert (report.outside, len(report.faults)) == (1, faults)


def test_check_does_not_call_it_a_fault_when_the_format_allows_it(
    fakes: ModuleType, tmp_path: Path
) -> None:
    report = check(open_dataset(f"cornell:{fakes.cornell_original(tmp_path)}"), progress=False)
    assert report.faults == () and len(report.left_out) == 1
    assert "pcd0100cpos.txt:1" in report.text() and "split object-wise" not in report.text()


def test_show_draws_a_sheet_by_seed(fakes: ModuleType, tmp_path: Path) -> None:
    dataset = open_dataset(f"multi_object:{fakes.multi_object(tmp_path)}")
    picture = show(dataset, count=3, seed=1)
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    np.testing.assert_array_equal(picture, show(dataset, count=3, seed=1))
    with pytest.raises(InputError, match="nothing to show"):
        show(dataset, count=0)
    with pytest.raises(InputError, match="seed is -1, expected 0 or more"):
        show(dataset, seed=-1)


def test_the_shown_window_keeps_labels_on_the_object(fakes: ModuleType, tmp_path: Path) -> None:
    sample = open_dataset(f"jacquard:{fakes.jacquard(tmp_path)}")["0_thing_1"]
    near = closer(sample)
    assert near.rgb.shape[0] < sample.rgb.shape[0]
    u, v = round(near.grasps.u[0]), round(near.grasps.v[0])
    assert near.rgb[v, u].sum() < 400  # the dark bar


@pytest.mark.parametrize("name", ["width_px", "jaw_px"])
def test_check_finds_grasps_larger_than_the_frame(
    name: str, fakes: ModuleType, tmp_path: Path
) -> None:
    path = fakes.folder(tmp_path) / "labels.json"
    document = json.loads(path.read_text())
    grasp = {"u": 80, "v": 50, "angle_rad": 0, "width_px": 30, "jaw_px": 10}
    document["images"][0]["grasps"] = [grasp | {name: 3000}]
    path.write_text(json.dumps(document))
    (fault,) = check(open_dataset(f"folder:{tmp_path}"), progress=False).faults
    assert "a grasp of 3000 pixels is larger than the 160x120 frame" in fault
