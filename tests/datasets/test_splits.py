"""Splits: disjoint, covering, nested fractions, and no object on both sides."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from graspling.datasets import Fold, Splits, label_fraction, open_dataset
from graspling.datasets.splits import PARTS, image_wise, object_wise
from graspling.errors import InputError

IDS = [f"{n:03d}" for n in range(103)]
OBJECTS = {i: f"object {int(i) * 7 % 31}" for i in IDS}


@pytest.mark.parametrize("split", [image_wise(IDS), object_wise(OBJECTS)], ids=lambda s: s.name)
def test_parts_are_disjoint_and_tests_cover(split: Splits) -> None:
    assert len(split.folds) == 5
    assert sorted(i for fold in split.folds for i in fold.test) == IDS
    for fold in split.folds:
        assert sorted(fold.train + fold.val + fold.test) == IDS
        assert 17 <= len(fold.test) <= 24 and 8 <= len(fold.val) <= 16


def test_no_object_crosses_an_object_wise_split() -> None:
    assert object_wise(OBJECTS).crossing(OBJECTS) == []
    assert image_wise(IDS).crossing(OBJECTS) != []  # the check can fail


def test_no_object_crosses_in_the_fakes(fakes: ModuleType, tmp_path: Path) -> None:
    for kind, write in fakes.WRITERS.items():
        (tmp_path / kind).mkdir()
        dataset = open_dataset(f"{kind}:{write(tmp_path / kind)}")
        if dataset.objects:
            folds = object_wise(dataset.objects, folds=3)
            assert folds.crossing(dataset.objects) == []


@pytest.mark.parametrize("kind", ["cornell", "jacquard"])
def test_no_object_crosses_in_the_real_data(kind: str, real_data: Path) -> None:
    dataset = open_dataset(f"{kind}:{real_data / kind}")
    split = dataset.split("object-wise")
    for fold in split.folds:
        train, val, test = ({dataset.objects[i] for i in fold.part(p)} for p in PARTS)
        assert not train & val and not train & test and not val & test
        assert fold.train and fold.val and fold.test
    assert not set.intersection(*(set(fold.test) for fold in split.folds))
    assert split.ids <= set(dataset.ids)


def test_a_leaking_object_wise_file_is_refused(fakes: ModuleType, tmp_path: Path) -> None:
    root = fakes.cornell_recovered(tmp_path)
    objects = (root / "objects.csv").read_text().replace("0101,thing1", "0101,thing0")
    (root / "objects.csv").write_text(objects)
    dataset = open_dataset(f"cornell:{root}")
    with pytest.raises(InputError, match="object 'thing0' is in two parts"):
        dataset.split("object-wise")
    assert dataset.split("image-wise").name == "image-wise"


def test_building_is_deterministic_and_seeded() -> None:
    assert object_wise(OBJECTS) == object_wise(dict(reversed(list(OBJECTS.items()))))
    assert image_wise(IDS, seed=1).hash != image_wise(IDS, seed=2).hash


def test_hash_is_of_the_parts_alone(tmp_path: Path) -> None:
    split = image_wise(IDS)
    shuffled = [Fold(*(tuple(reversed(f.part(p))) for p in PARTS)) for f in split.folds]
    assert Splits("other name", 5, "image id", tuple(shuffled)).hash == split.hash
    moved = Fold(split.folds[0].train[1:], split.folds[0].val, split.folds[0].test)
    assert Splits("image-wise", 1, "image id", (moved, *split.folds[1:])).hash != split.hash
    # written down here: a change of the hash would make published numbers untraceable
    tiny = Splits("tiny", 0, "image id", (Fold(("a",), ("b",), ("c",)),))
    assert tiny.hash == "7d6fe7f24d2a"


def test_file_round_trip_and_versions(tmp_path: Path) -> None:
    split = object_wise(OBJECTS)
    split.save(tmp_path / "s.json")
    assert Splits.load(tmp_path / "s.json") == split
    document = json.loads(split.to_json())
    for change, words in (
        ({"version": 99}, "version 99"),
        ({"schema": "x"}, "schema 'x'"),
        ({"seed": None}, "seed is None, expected a whole number"),
        ({"folds": 3}, 'list "folds"'),
        ({"folds": [{"train": []}]}, "train, val, test"),
        ({"folds": []}, "no folds"),
        ({"folds": [{"train": ["a"], "val": ["a"], "test": []}]}, "'a' is there twice"),
        ({"folds": [{"train": [], "val": [], "test": ["a"]}] * 2}, "two test parts"),
    ):
        with pytest.raises(InputError, match=words):
            Splits.from_document(document | change, "s.json")


def test_label_fractions_are_nested_and_independent_of_order() -> None:
    chosen = {f: set(label_fraction(IDS, f, seed=3)) for f in (0.125, 0.25, 0.5, 1.0)}
    assert [len(c) for c in chosen.values()] == [13, 26, 52, 103]
    assert chosen[0.125] < chosen[0.25] < chosen[0.5] < chosen[1.0] == set(IDS)
    assert set(label_fraction(IDS[::-1], 0.25, seed=3)) == chosen[0.25]
    assert set(label_fraction(IDS, 0.25, seed=4)) != chosen[0.25]
    for fraction in (0, 1.1, -1):
        with pytest.raises(InputError, match="label fraction"):
            label_fraction(IDS, fraction, seed=0)
    for draw in (lambda: label_fraction(IDS, 0.5, seed=-1), lambda: image_wise(IDS, seed=-1)):
        with pytest.raises(InputError, match="seed is -1, expected 0 or more"):
            draw()


@pytest.mark.parametrize(
    ("fraction", "count"),
    [(0.07, 7), (0.14, 14), (0.28, 28), (0.125, 13), (0.25, 25), (0.5, 50), (0.001, 1), (1, 100)],
)
def test_a_label_fraction_takes_no_label_too_many(fraction: float, count: int) -> None:
    """0.07 times 100 is more than 7 in floating point."""
    assert len(label_fraction(IDS[:100], fraction, seed=0)) == count


@pytest.mark.parametrize("others", [2, 3])
def test_no_fold_is_without_a_part(others: int) -> None:
    """One object has most of the images: a fold of two tests on all of the others."""
    objects = {f"{n}": "large" for n in range(20)}
    objects |= {f"other {n}": f"other {n}" for n in range(others)}
    with pytest.raises(InputError, match="none is left to validate on; use 3 folds or more"):
        object_wise(objects, folds=2)
    for fold in object_wise(objects, folds=3).folds:
        assert fold.train and fold.val and fold.test


def test_joined_data_sets_share_the_objects_that_they_call_alike(
    fakes: ModuleType, tmp_path: Path
) -> None:
    parts = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        parts.append(fakes.folder(tmp_path / name))
    both = open_dataset(f"folder:{parts[0]} + folder:{parts[1]}")
    assert both.objects["0/image 1"] == both.objects["1/image 1"] != both.objects["0/image 2"]
    (tmp_path / "c").mkdir()
    other = open_dataset(f"folder:{parts[0]} + cornell:{fakes.cornell_original(tmp_path / 'c')}")
    kinds = [{o for i, o in other.objects.items() if i.startswith(k)} for k in "01"]
    assert not kinds[0] & kinds[1]
    # labels stay with the parts
    both.labels("0/image 1")
    assert not both._labels and both.faults == both.parts[0].faults + both.parts[1].faults
    with pytest.raises(InputError, match="no sample '2/image 1'"):
        both.labels("2/image 1")


def test_a_fold_and_a_data_set_can_be_looked_at(fakes: ModuleType, tmp_path: Path) -> None:
    ids = tuple(map(str, range(1000)))
    assert repr(Fold(ids, (), ids[:3])) == "Fold(1000 train, 0 val, 3 test)"
    root = fakes.cornell_recovered(tmp_path)
    dataset = open_dataset(f"cornell:{root}")
    assert repr(dataset) == f"Cornell({str(root)!r}, {len(dataset)} labelled samples)"


def test_errors_say_what_there_is(fakes: ModuleType, tmp_path: Path) -> None:
    dataset = open_dataset(f"multi_object:{fakes.multi_object(tmp_path)}")
    with pytest.raises(InputError, match="use image-wise"):
        dataset.split("object-wise")
    assert list(dataset.splits()) == ["image-wise"]
    with pytest.raises(InputError, match="expected image-wise"):
        dataset.split("by-colour")
    with pytest.raises(InputError, match="folds 0 to 4"):
        dataset.split("image-wise").fold(5)
    image_wise(IDS).save(tmp_path / "other.json")
    with pytest.raises(InputError, match="made for other data"):
        dataset.split(str(tmp_path / "other.json"))
    with pytest.raises(InputError, match="do not make 5 folds"):
        image_wise(IDS[:4])
    with pytest.raises(InputError, match="1 objects, those that share images counted as one, do"):
        object_wise(dict.fromkeys(IDS, "bolt, nut"))
