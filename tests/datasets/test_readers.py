"""Every reader: the grasp opens across a drawn bar, depth is metres, faults name file and line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from graspling.datasets import DATASETS, Dataset, Sample, open_dataset
from graspling.datasets.convert import convert
from graspling.errors import InputError

Make = Callable[[Path], Path]

# (function in fakes.py, spec with the folder to be filled in)
KINDS = [
    ("cornell_original", "cornell:{}"),
    ("cornell_recovered", "cornell:{}"),
    ("cornell_recovered", "cornell:{},exact=true"),
    ("jacquard", "jacquard:{}"),
    ("jacquard", "jacquard:{},depth=stereo"),
    ("multi_object", "multi_object:{}"),
    ("multi_object_boxes", "multi_object:{}"),
    ("folder", "folder:{}"),
]


@pytest.fixture(params=KINDS, ids=[spec.format(fake) for fake, spec in KINDS])
def dataset(request: pytest.FixtureRequest, fakes: ModuleType, tmp_path: Path) -> Dataset:
    fake, spec = request.param
    root = tmp_path / "a folder, with=marks"
    root.mkdir()
    return open_dataset(spec.format(getattr(fakes, fake)(root)))


def is_bar(sample: Sample, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Whether the picture shows the dark bar at these places."""
    assert sample.rgb is not None
    return np.asarray(sample.rgb[np.rint(v).astype(int), np.rint(u).astype(int)].sum(-1) < 400)


def test_grasps_open_across_the_drawn_bar(dataset: Dataset, fakes: ModuleType) -> None:
    assert len(dataset) >= 4
    for sample in dataset:
        grasps = sample.grasps
        assert grasps is not None and len(grasps) >= 1
        along = np.stack([np.cos(grasps.angle), np.sin(grasps.angle)])
        centre = np.stack([grasps.u, grasps.v])
        np.testing.assert_allclose(grasps.width, fakes.OPENING, atol=0.02)
        assert is_bar(sample, *centre).all()
        for end in (-0.5, 0.5):  # the plates stand on the table ...
            assert not is_bar(sample, *(centre + end * grasps.width * along)).any()
        across = np.stack([-along[1], along[0]])
        for end in (-0.45, 0.45):  # ... and the bar goes on beside them
            assert is_bar(sample, *(centre + end * fakes.LONG * across)).all()


def test_depth_is_metres_and_zero_where_missing(dataset: Dataset, fakes: ModuleType) -> None:
    sample = dataset[dataset.ids[0]]
    if sample.depth is None:
        assert dataset.kind == "cornell"  # the recovered copy has colour alone
        return
    assert sample.depth.dtype == np.float32 and sample.rgb is not None
    assert sample.depth.shape == sample.rgb.shape[:2] == sample.size
    assert sample.depth[0, 0] == 0
    u, v = round(sample.grasps.u[0]), round(sample.grasps.v[0])
    assert sample.depth[v, u] == pytest.approx(fakes.BAR_M, abs=1e-4)
    assert sample.depth[-5, -5] == pytest.approx(fakes.TABLE_M, abs=1e-4)


def test_verify_finds_nothing_malformed_and_then_a_missing_file(dataset: Dataset) -> None:
    assert not [fault for fault in dataset.verify() if fault.malformed]
    path = dataset.files(dataset.ids[0])[0]
    path.unlink()
    assert [(f.file, f.line) for f in dataset.verify() if f.malformed] == [
        (str(path.relative_to(dataset.root)), 0)
    ]


def test_verify_reports_label_files_that_cannot_be_read(fakes: ModuleType, tmp_path: Path) -> None:
    spec = f"jacquard:{fakes.jacquard(tmp_path)}"
    (tmp_path / "thing_0/0_thing_0_grasps.txt").write_bytes(b"\xff\xfe\x00")
    assert "not a text file" in str(open_dataset(spec).verify()[0])
    with pytest.raises(InputError, match="not a text file"):
        open_dataset(f"{spec},strict=true").verify()


def test_plot_is_a_picture(dataset: Dataset) -> None:
    picture = dataset.plot(dataset[dataset.ids[0]])
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3


def test_unlabelled_and_unknown_ids(dataset: Dataset) -> None:
    for sample_id in dataset.unlabelled_ids:
        assert dataset[sample_id].grasps is None
        assert dataset[sample_id].size == dataset[dataset.ids[0]].size
    with pytest.raises(InputError, match=f"no sample 'nothing'.*{dataset.ids[0]}"):
        dataset["nothing"]


def test_frames_are_cached_up_to_the_limit(fakes: ModuleType, tmp_path: Path) -> None:
    spec = f"jacquard:{fakes.jacquard(tmp_path)}"
    kept, one, none = (open_dataset(f"{spec},cache_mb={mb}") for mb in ("9", "0.2", "0"))
    a, b = kept.ids[:2]
    assert kept[a].rgb is kept[a].rgb
    assert not kept[a].rgb.flags.writeable
    first = one[a].rgb
    assert one[a].rgb is first
    assert one[b].rgb is one[b].rgb  # takes the place
    assert one[a].rgb is not first
    assert none[a].rgb is not none[a].rgb


@pytest.mark.parametrize("kind", sorted(DATASETS))
def test_missing_or_foreign_folder_says_how_to_get_the_data(kind: str, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError) as error:
            open_dataset(f"{kind}:{folder}")
        assert DATASETS[kind].how_to_get in str(error.value)
        assert "\n" not in str(error.value)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no images here")
    with pytest.raises(InputError, match="notes.txt: it is a file, no folder"):
        open_dataset(f"cornell:{tmp_path / 'notes.txt'}")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("cornel:{}", "cornell, jacquard, multi_object, folder"),
        ("{}", "KIND:FOLDER"),
        ("jacquard:{},dpeth=stereo", "depth, strict, cache_mb"),
        ("jacquard:{},depth=laser", "perfect or stereo or none"),
        ("jacquard:{},strict=maybe", "true or false"),
        ("jacquard:{},cache_mb=-1", "a number from 0 up"),
    ],
)
def test_bad_specs_list_the_choices(
    spec: str, words: str, fakes: ModuleType, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        open_dataset(spec.format(fakes.jacquard(tmp_path)))


# ---- faults -----------------------------------------------------------------------------------


def test_malformed_rows_are_reported_with_line_and_skipped_or_refused(
    fakes: ModuleType, tmp_path: Path
) -> None:
    spec = f"jacquard:{fakes.jacquard(tmp_path)}"
    path = tmp_path / "thing_0/0_thing_0_grasps.txt"
    path.write_text("1;2;3\n" + path.read_text() + "1;2;3;-4;5\n")
    dataset = open_dataset(spec)
    assert len(dataset["0_thing_0"].grasps) == 2
    found = [(fault.file, fault.line) for fault in dataset.verify()]
    assert (
        found
        == [("thing_0/0_thing_0_grasps.txt", n) for n in (1, 4)]
        == [(fault.file, fault.line) for fault in dataset.faults]
    )
    assert str(dataset.faults[0]).startswith("thing_0/0_thing_0_grasps.txt:1: ")
    with pytest.raises(InputError, match=r"0_thing_0_grasps.txt:1: .*strict"):
        open_dataset(f"{spec},strict=true")["0_thing_0"]


def test_cornell_nan_is_dropped_whole_reported_and_not_refused(
    fakes: ModuleType, tmp_path: Path
) -> None:
    dataset = open_dataset(f"cornell:{fakes.cornell_original(tmp_path)},strict=true")
    sample = dataset["0100"]
    assert len(sample.grasps) == 1
    assert [(f.file, f.line, f.malformed) for f in dataset.faults] == [
        ("01/pcd0100cpos.txt", 1, False)
    ]
    # the negative opens along the bar, the label across it
    assert abs(sample.negatives.angle[0] - sample.grasps.angle[0]) == pytest.approx(np.pi / 2)


def test_a_malformed_negative_does_not_hide_that_nothing_can_be_grasped(
    fakes: ModuleType, tmp_path: Path
) -> None:
    root = fakes.cornell_original(tmp_path)
    (root / "01" / "pcd0100cpos.txt").write_text("")
    (root / "01" / "pcd0100cneg.txt").write_text("x y\n1 1\n5 1\n5 5\n")
    dataset = open_dataset(f"cornell:{root}")
    found = dataset["0100"].grasps
    assert found is not None and not len(found)
    assert [fault.file for fault in dataset.faults] == ["01/pcd0100cneg.txt"]
    with pytest.raises(InputError, match="pcd0100cneg.*strict=true"):
        open_dataset(f"cornell:{root},strict=true")["0100"]


# ---- layouts ----------------------------------------------------------------------------------


def test_cornell_point_cloud_gives_z(fakes: ModuleType, tmp_path: Path) -> None:
    dataset = open_dataset(f"cornell:{fakes.cornell_original(tmp_path, depth='cloud')}")
    truth = fakes.depth_picture(640, 480, fakes.BARS[1])
    depth = dataset["0101"].depth
    assert depth[0, 0] == 0 and depth[1, 1] == 0
    np.testing.assert_allclose(depth[40::40, 40::40], truth[40::40, 40::40], atol=1e-5)


def test_cornell_depth_options(fakes: ModuleType, tmp_path: Path) -> None:
    root = fakes.cornell_original(tmp_path)
    z, raw, none = (
        open_dataset(f"cornell:{root},depth={d}")["0100"] for d in ("range", "z", "none")
    )
    assert z.depth[470, 630] == pytest.approx(fakes.TABLE_M, abs=1e-4)
    assert raw.depth[470, 630] > fakes.TABLE_M + 0.1  # the corner is farther along the ray
    assert none.depth is None


def test_depth_is_not_asked_of_a_copy_without_any(fakes: ModuleType, tmp_path: Path) -> None:
    root = fakes.cornell_recovered(tmp_path)
    assert open_dataset(f"cornell:{root},depth=none").unlabelled_ids
    with pytest.raises(InputError, match="this copy has colour alone"):
        open_dataset(f"cornell:{root},depth=z")


def test_cornell_recovered_exact_keeps_exact_rectangles(fakes: ModuleType, tmp_path: Path) -> None:
    root = fakes.cornell_recovered(tmp_path)
    everything, exact = open_dataset(f"cornell:{root}"), open_dataset(f"cornell:{root},exact=true")
    assert [len(s.grasps) for s in everything] == [2] * 5
    assert [len(s.grasps) for s in exact] == [1] * 4
    assert "0102" not in exact.ids and exact.dropped_ids == {"0102"}
    # the split's file still names 0102: it is left out, and the hash says so
    assert exact.split("object-wise").fold(1).test == ()
    assert exact.split("object-wise").hash != everything.split("object-wise").hash


def test_real_cornell_and_jacquard_are_sound(real_data: Path) -> None:
    cornell = open_dataset(f"cornell:{real_data / 'cornell'}")
    assert (len(cornell), len(cornell.unlabelled_ids)) == (595, 159)
    assert cornell.verify() == []
    assert sum(len(cornell.labels(i).grasps) for i in cornell.ids) == 3417
    exact = open_dataset(f"cornell:{real_data / 'cornell'},exact=true")
    assert sum(len(exact.labels(i).grasps) for i in exact.ids) == 2917
    jacquard = open_dataset(f"jacquard:{real_data / 'jacquard'}")
    assert (len(jacquard), len(set(jacquard.objects.values()))) == (23, 5)
    assert jacquard.verify() == []


def test_real_jacquard_plates_stand_beside_long_objects(real_data: Path) -> None:
    dataset = open_dataset(f"jacquard:{real_data / 'jacquard'},depth=none")
    samples = [s for s in dataset if s.object_id[:4] in ("1d78", "b1f4")]
    assert len(samples) == 8

    def under_the_plates(sample: Sample, angle: np.ndarray) -> float:
        """Share of the plates' places that are on the object by the mask."""
        grasps = sample.grasps
        along = np.stack([np.cos(angle), np.sin(angle)])
        across = np.stack([-along[1], along[0]])
        centre = np.stack([grasps.u, grasps.v])
        found = []
        for end in (-0.5, 0.5):
            for place in (-0.5, 0.0, 0.5):
                u, v = centre + end * grasps.width * along + place * grasps.jaw * across
                found.append(sample.mask[np.rint(v).astype(int), np.rint(u).astype(int)])
        return float(np.mean(found))

    assert max(under_the_plates(s, s.grasps.angle) for s in samples) < 0.01
    # the same measure finds a mirrored angle, so a wrong sign would be seen
    assert np.mean([under_the_plates(s, -s.grasps.angle) for s in samples]) > 0.2


def test_labels_that_cannot_be_read_do_not_say_that_nothing_can_be_grasped(
    fakes: ModuleType, tmp_path: Path
) -> None:
    """Neither to who trains on them nor in a copy that is converted from them."""
    (tmp_path / "from").mkdir()
    path = fakes.folder(tmp_path / "from") / "labels.json"
    document = json.loads(path.read_text())
    del document["images"][0]["grasps"]
    document["images"][1]["grasps"] = [{"u": 1}]
    document["images"][2]["grasps"] = []
    document["images"][3]["grasps"] += [{"u": 1}]
    path.write_text(json.dumps(document))
    dataset = open_dataset(f"folder:{path.parent}")
    found = [dataset[f"image {number}"].grasps for number in range(4)]
    assert [grasps if grasps is None else len(grasps) for grasps in found] == [None, None, 0, 1]
    copy = open_dataset(f"folder:{convert(dataset, tmp_path / 'to', 'folder', progress=False)}")
    assert copy.ids == ("image 2", "image 3") and len(copy.unlabelled_ids) == 3
