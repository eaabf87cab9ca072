from __future__ import annotations

import json
from dataclasses import replace

import cv2
import pytest
from toys import complaint

from graspling.card import TrainedOn
from graspling.datasets import open_dataset
from graspling.errors import InputError


def test_evaluate_writes_what_was_measured(run, toy_model, labelled_folder, tmp_path):
    sheet = tmp_path / "failures.png"
    status, out, err = run(
        "evaluate", "--model", toy_model(ids=("f1",)), "--data", f"folder:{labelled_folder}",
        "--json", "-", "--failures", sheet,
    )  # fmt: skip
    assert status == 0
    found = json.loads(out)
    assert (found["accuracy"], found["n"], found["trained_on"]) == (0.75, 8, 1)
    asked = "accuracy n interval by_angle by_iou split split_hash crop jaw_rule model seed"
    assert set(asked.split()) <= set(found)
    assert "warning: toy was trained on 1 of these 8" in err
    assert cv2.imread(str(sheet)) is not None


def test_what_the_weights_come_from_has_not_seen_the_part_that_is_recommended(
    run, toy_model, labelled_folder
):
    split = open_dataset(f"folder:{labelled_folder}").split("image-wise")
    fold = split.folds[0]
    own = TrainedOn("folder", "", "image-wise", 0, split.hash, fold.train)
    words = ["evaluate", "--data", f"folder:{labelled_folder}"]
    for trained_on, said in (
        (own, "it has not seen --split image-wise --fold 0 --part test"),
        (replace(own, before={"": fold.test}), "judge it by other data"),
        (replace(own, split_hash="of another"), "judge it by other data"),
        (replace(own, split="unknown here"), "judge it by other data"),
    ):
        _, _, err = run(*words, "--model", toy_model(trained_on=trained_on))
        assert f"({said})" in err


def test_the_signs_of_the_rule_stand_in_the_tables(run, toy_model, labelled_folder):
    words = ["evaluate", "--model", toy_model(), "--data", f"folder:{labelled_folder}"]
    assert "angle < " in run(*words)[1] and "IoU > " in run(*words)[1]
    out = run(*words, "--at-least")[1]
    assert "angle <= " in out and "IoU >= " in out and "angle < " not in out


def test_evaluate_one_part_of_a_split(run, toy_model, labelled_folder):
    words = ["evaluate", "--model", toy_model(), "--data", f"folder:{labelled_folder}"]
    status, out, _ = run(*words, "--split", "image-wise", "--fold", 1, "--part", "val", "--json")
    found = json.loads(out)
    assert status == 0 and found["split"] == "image-wise" and len(found["split_hash"]) == 12
    complaint(run(*words, "--split", "image-wise", "--fold", 9))
    complaint(run(*words, "--split", "by-colour"))


def test_malformed_labels_are_told_of(run, toy_model, labelled_folder):
    path = labelled_folder / "labels.json"
    document = json.loads(path.read_text())
    wrong = {**document["images"][0]["grasps"][0], "angle_rad": 45}
    document["images"][0]["grasps"].append(wrong)
    path.write_text(json.dumps(document))
    status, _, err = run("evaluate", "--model", toy_model(), "--data", f"folder:{labelled_folder}")
    assert status == 0
    assert "malformed" in err and "images[0].grasps[1]: angle_rad is 45" in err


def test_a_sheet_of_no_failures_is_no_error(run, toy_model, labelled_folder, tmp_path):
    words = ["evaluate", "--model", toy_model(), "--data", f"folder:{labelled_folder}"]
    easy = [*words, "--iou", 0, "--iou-only", "--split", "image-wise"]
    for fold in range(5):
        status, out, _ = run(*easy, "--fold", fold, "--failures", tmp_path / f"{fold}.png")
        assert status == 0
        assert ("no failure" in out) != (tmp_path / f"{fold}.png").exists()


def test_nothing_is_written_over_what_is_read(run, toy_model, labelled_folder, tmp_path):
    model, data = toy_model(), ("--data", f"folder:{labelled_folder}")
    split = tmp_path / "split.json"
    for target in (split, model.with_suffix(".json")):
        words = (*data, "--split", split, "--json", target)
        assert "is an input" in complaint(run("evaluate", "--model", model, *words))
        assert "is an input" in complaint(run("compare", model, model, *words))


def test_what_was_found_is_printed_even_if_it_cannot_be_written(
    run, toy_model, labelled_folder, monkeypatch
):
    def full(*_):
        raise InputError("cannot write found.json: no space left on device")

    monkeypatch.setattr("graspling.cli.output.write_text", full)
    model, words = toy_model(), ("--data", f"folder:{labelled_folder}", "--json", "found.json")
    for command in (["evaluate", "--model", model], ["compare", model, model]):
        status, out, err = run(*command, *words)
        assert status != 0 and "no space left" in err
        assert "accuracy" in out


def test_compare_prints_the_difference(run, toy_model, labelled_folder):
    status, out, err = run(
        "compare", toy_model("turned", angle=1.2), toy_model("straight"),
        "--data", f"folder:{labelled_folder}", "--repeats", 200, "--json", "-",
    )  # fmt: skip
    found = json.loads(out)
    assert status == 0 and found["difference"] > 0 and found["n_objects"] == 4
    # what was judged, by which rule: a score without these says nothing
    assert found["rule"]["iou"] == 0.25 and found["data"] and found["command"].startswith("grasp")
    assert found["crop_a"] == found["crop_b"] == "centre" and found["part"] is None
    assert "rule      IoU > 0.25 and angle < 30 degrees, any label" in err
    assert "data      folder, all: 8 images" in err and "crop      centre" in err
    assert "4 objects that do not depend on each other: too few" in err


@pytest.mark.parametrize("spec", ["nowhere", "cornell:/no/such/folder", "unknown:x"])
def test_data_that_cannot_be_used(run, toy_model, spec):
    complaint(run("evaluate", "--model", toy_model(), "--data", spec))
    complaint(run("data", "check", spec))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fold", 1], "--split"),
        (["--part", "val"], "--split"),
        (["--part", "test"], "--split"),
        (["--limit", 3], "--limit is not for --metric rectangle"),
        (["--truth", "label"], "--truth is not for"),
        (["--rerank", "--reliability", "r.png"], "is not for --metric rectangle"),
        (["--metric", "critic", "--iou-only"], "--iou-only is not for --metric critic"),
        (["--metric", "critic", "--fold", "1"], "--fold is not for --metric critic"),
        (["--metric", "critic", "--backend", "openvino"], "--backend is not for"),
        (["--metric", "robust", "--backend", "abacus"], "no backend 'abacus'"),
        (["--metric", "robust", "--failures", "f.png"], "--failures"),
        (["--metric", "robust", "--reliability", "r.png"], "--truth physics"),
        (["--metric", "robust", "--distance", "0.7", "--truth", "label"], "no --truth then"),
        (["--metric", "robust", "--focal", "-3"], "--focal is -3"),
        (["--model", "gq_stn"], "--metric robust judges it"),
        (["--model", "prop_gqcnn"], "--metric robust judges it"),
        (["--failures", "sheet.gif"], ".png"),
        (["--json", "same.png", "--failures", "same.png"], "name of its own"),
    ],
)
def test_options_that_nothing_would_read_are_refused(
    run, toy_model, labelled_folder, options, said
):
    words = ["evaluate", "--model", toy_model(), "--data", f"folder:{labelled_folder}"]
    assert said in complaint(run(*words, *options))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--repeats", 0], "repeats is 0"),
        (["--seed", -1], "seed is -1"),
        (["--fold", 2], "--split"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_refused(
    run, toy_model, labelled_folder, options, said
):
    words = ["compare", toy_model("a"), toy_model("b"), "--data", f"folder:{labelled_folder}"]
    assert said in complaint(run(*words, *options))


def test_a_wrong_second_model_is_told_before_the_first_is_judged(
    run, toy_model, labelled_folder, monkeypatch
):
    judged = []
    monkeypatch.setattr(
        "graspling.cli.evaluate.evaluate_detector", lambda *_, **__: judged.append(1)
    )
    words = ["compare", toy_model("a"), "nobody", "--data", f"folder:{labelled_folder}"]
    assert "no shipped model" in complaint(run(*words))
    assert not judged
