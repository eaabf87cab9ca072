from __future__ import annotations

from dataclasses import replace

import pytest

from graspling.datasets import open_dataset
from graspling.detector import load
from graspling.errors import InputError
from graspling.evaluation.compare import compare
from graspling.evaluation.evaluate import choose, evaluate
from graspling.evaluation.failures import failure_sheet
from graspling.evaluation.rectangle import Rule
from graspling.grasps import Grasps


@pytest.fixture
def dataset(labelled_folder):
    return open_dataset(f"folder:{labelled_folder}")


def test_the_score_counts_what_the_labels_say(toy_model, dataset):
    result = evaluate(load(toy_model()), dataset, choose(dataset))
    assert result.n == 8 and result.accuracy == 6 / 8
    assert [judged.id for judged in result.failures] == ["f6", "f7"]
    found = result.to_dict()
    assert found["interval"][0] < 0.75 < found["interval"][1]
    assert list(found["by_angle"]) == ["30", "25", "20", "15", "10"]
    assert list(found["by_iou"]) == ["0.25", "0.30", "0.35", "0.40", "0.45", "0.50"]
    assert found["by_angle"]["30"] == found["by_iou"]["0.25"] == found["accuracy"]
    assert found["iou_only"] == 7 / 8
    assert (found["split"], found["split_hash"]) == ("all", None)
    assert (found["crop"], found["model"], found["seed"]) == ("centre", "toy", 7)


def test_images_that_the_model_was_trained_on_are_counted(toy_model, dataset):
    detector = load(toy_model(ids=("f1", "f2", "another")))
    assert evaluate(detector, dataset, choose(dataset)).trained_on == 2


def test_no_grasp_is_a_miss_and_the_threshold_of_the_card_hides_nothing(toy_model, dataset):
    shy = load(toy_model(threshold=0.99))
    assert len(shy.detect(dataset["f0"].rgb)) == 0
    assert evaluate(shy, dataset, choose(dataset)).accuracy == 6 / 8


def test_unlabelled_images_are_left_out_and_counted(toy_model, dataset):
    result = evaluate(load(toy_model()), dataset, ["f0", "free"])
    assert (result.n, result.unlabelled) == (1, ("free",))
    with pytest.raises(InputError, match="label"):
        evaluate(load(toy_model()), dataset, ["free"])


def test_a_part_of_a_split_carries_name_and_hash(toy_model, dataset):
    subset = choose(dataset, "image-wise", fold=1)
    split = dataset.split("image-wise")
    assert subset.ids == split.fold(1).test
    found = evaluate(load(toy_model()), dataset, subset).to_dict()
    assert (found["split"], found["split_hash"], found["fold"]) == ("image-wise", split.hash, 1)


def test_one_score_is_of_one_model(toy_model, dataset):
    class Best:
        """Takes another model for each of the first two frames, as images are missing in some."""

        def __init__(self):
            self.models = [load(toy_model("first")), load(toy_model("second"))]

        @property
        def card(self):
            return self.models[0].card

        def detect(self, *images, **how):
            self.models.reverse()
            return self.models[0].detect(*images, **how)

    assert evaluate(Best(), dataset, ["f0"]).model == "second"
    with pytest.raises(InputError, match=r"f1 is one for first, those before it for second.*name"):
        evaluate(Best(), dataset, ["f0", "f1"])


def test_another_rule_gives_another_score(toy_model, dataset):
    strict = evaluate(load(toy_model()), dataset, choose(dataset), rule=Rule(iou_only=True))
    assert strict.accuracy == 7 / 8


def test_failures_are_drawn(toy_model, dataset):
    result = evaluate(load(toy_model()), dataset, choose(dataset))
    assert failure_sheet(dataset, result).shape[2] == 3
    right = evaluate(load(toy_model()), dataset, ["f0", "f1"])
    with pytest.raises(InputError, match="no failure"):
        failure_sheet(dataset, right)


def test_compare_pairs_the_same_images_and_counts_objects(toy_model, dataset):
    subset = choose(dataset)
    straight = evaluate(load(toy_model("straight")), dataset, subset)
    turned = evaluate(load(toy_model("turned", angle=1.2)), dataset, subset)
    found = compare(turned, straight, repeats=200).to_dict()
    assert found["difference"] == found["accuracy_b"] - found["accuracy_a"] > 0
    assert (found["n"], found["n_objects"]) == (8, 4)
    other = evaluate(load(toy_model()), dataset, ["f0", "f1"])
    with pytest.raises(InputError, match="same images"):
        compare(straight, other)


def test_ambiguous_labels_and_silence_are_told_apart(toy_model, dataset):
    """f6 and f7 are wrong; an ambiguous label where f6's grasp is says that nobody knows. A frame
    where nothing can be grasped is no image to judge, but the toy grasps there."""

    class Knowing:
        name, jaw_rule, identity = "knowing", "half", ""

        def __getitem__(self, sample_id):
            sample = dataset["f0" if sample_id == "bare" else sample_id]
            none = Grasps.empty()
            if sample_id == "bare":
                return replace(sample, id="bare", grasps=none, negatives=none, ambiguous=none)
            shifted = Grasps.concatenate([sample.grasps])
            if sample_id == "f6":
                shifted = replace(shifted, u=shifted.u - 45)
            return replace(sample, negatives=none, ambiguous=shifted)

    result = evaluate(load(toy_model()), Knowing(), [*dataset.ids, "bare"])
    assert (result.n, result.accuracy, result.unknown) == (8, 6 / 8, 1)
    assert result.accuracy_known == 6 / 7
    assert (result.silence.n, result.silence.silent, result.silence.grasps) == (1, 0, 1)
    shy = evaluate(load(toy_model(threshold=0.99)), Knowing(), ["f0", "bare"])
    assert shy.silence.silent == 1 and shy.to_dict()["silence"]["grasps"] == 0
