"""Several data sets as one: ids and faults are numbered, splits of the parts do not carry over."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from graspling.datasets import open_dataset
from graspling.datasets.check import check
from graspling.datasets.convert import convert


@pytest.fixture
def spec(fakes: ModuleType, tmp_path: Path) -> str:
    """A recovered Cornell, which has splits of its own, and a folder."""
    for name in ("cornell", "folder"):
        (tmp_path / name).mkdir()
    cornell = fakes.cornell_recovered(tmp_path / "cornell")
    return f"cornell:{cornell} + folder:{fakes.folder(tmp_path / 'folder')}"


def test_splits_are_made_anew(spec: str, tmp_path: Path) -> None:
    both = open_dataset(spec)
    assert both.split_names == ["image-wise", "object-wise"]
    for name in both.split_names:
        split = both.split(name)
        assert split.ids == set(both.ids) and len(split.folds) == 5
    report = check(both, progress=False)
    assert report.faults == () and set(report.splits) == {"image-wise", "object-wise"}
    copy = open_dataset(f"folder:{convert(both, tmp_path / 'copy', 'folder', progress=False)}")
    assert copy.ids == both.ids and copy.split_files == {}


def test_what_parts_leave_out_is_left_out_of_the_whole(spec: str, tmp_path: Path) -> None:
    both = open_dataset(spec)
    assert both.skipped_ids == ("1/image 5",) and check(both, progress=False).skipped == 1
    both.split("image-wise").save(tmp_path / "all.json")
    fewer = open_dataset(spec.replace(" + ", ",exact=true + "))
    assert fewer.dropped_ids == {"0/0102"}
    assert fewer.split(str(tmp_path / "all.json")).ids == set(fewer.ids)


def test_blanks_around_the_plus_may_be_left_out(spec: str, tmp_path: Path) -> None:
    assert open_dataset(spec.replace(" + ", "+")).ids == open_dataset(spec).ids
    (tmp_path / "folder").rename(tmp_path / "a+b")
    assert open_dataset(f"folder:{tmp_path / 'a+b'}").ids


def test_faults_are_those_that_the_parts_find(spec: str, tmp_path: Path) -> None:
    labels = tmp_path / "folder" / "labels.json"
    labels.write_text(labels.read_text().replace('"author"', '"autor"', 1))
    (tmp_path / "folder" / "3.png").unlink()
    (tmp_path / "cornell" / "annotations" / "pcd0100cpos.txt").write_bytes(b"\xff")
    found = open_dataset(spec).verify()
    assert [fault.file for fault in found] == ["0/0100", "1/labels.json", "1/3.png"]
    assert len(check(open_dataset(spec), progress=False).faults) == 3
