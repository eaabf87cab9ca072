"""Scripts of benchmarks/ run at all: what they measure has no tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the lab is not installed")

from graspling.datasets import open_dataset  # noqa: E402
from graspling.training.log import read_log  # noqa: E402

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def run(script: str, *words: str) -> str:
    return subprocess.run(
        [sys.executable, BENCHMARKS / script, *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_the_loop_is_compared_with_a_plain_one(labelled_folder: Path, tmp_path: Path) -> None:
    found = tmp_path / "speed.json"
    words = ["--networks", "graspling_s", "--quick", "--json", str(found)]
    run("training_speed.py", "--data", f"folder:{labelled_folder}", *words)
    row = json.loads(found.read_text())["graspling_s"]
    assert row["images_per_second"] > 0 and row["plain_images_per_second"] > 0
    assert 0 <= row["waiting_share"] < 1


@pytest.mark.parametrize(
    ("recipe", "teacher"), [("distill_graspling", "graspling_s"), ("semi_graspling", "itself")]
)
def test_a_taught_step_is_measured(recipe: str, teacher: str) -> None:
    row = json.loads(run("distill_cost.py", "--one", recipe, teacher, "--size", "32"))
    assert row["milliseconds"] > 0 and row["megabytes"] > 0


def test_folds_are_judged_as_one(labelled_folder: Path, tmp_path: Path) -> None:
    words = ["--data", f"folder:{labelled_folder}", "--split", "image-wise", "--folds", "0", "1"]
    words += ["--seeds", "0", "--size", "64", "--runs", "teacher", "--out", str(tmp_path / "runs")]
    lines = run("distill.py", "ggcnn", "--quick", *words).strip().splitlines()
    dataset = open_dataset(f"folder:{labelled_folder}").split("image-wise")
    images = sum(len(dataset.fold(fold).test) for fold in (0, 1))
    assert lines[-1].split("|")[4].strip() == str(images)


def test_labels_alone_means_no_pseudo_label(labelled_folder: Path, tmp_path: Path) -> None:
    """In the same two phases and with the same augmentation as with the other images."""
    words = ["--data", f"folder:{labelled_folder}", "--split", "image-wise", "--shares", "0.5"]
    words += ["--ablation", "--runs", "50 % labels alone, strongly", "--out", str(tmp_path)]
    words += ["--seeds", "0", "--size", "64", "--epochs", "1", "--set", "steps=2", "batch=2"]
    run("distill.py", "few", *words)
    log = read_log(tmp_path / "seed-0" / "50-%-labels-alone_strongly" / "log.jsonl")
    assert [row["accepted"] for row in log if row["kind"] == "epoch"] == [0.0]


def test_kept_scores_replace_nothing_that_is_there(tmp_path: Path) -> None:
    job = {"budget": {"network": "ggcnn", "modality": "rgb", "variant": {}}, "epochs": []}
    kept = {name: job | {"documents": {"test": {"accuracy": 0.5}}} for name in ("new", "done")}
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / "test.json").write_text("mine")
    (tmp_path / "kept.json").write_text(json.dumps(kept))
    run("kept.py", "restore", str(tmp_path / "kept.json"), str(tmp_path))
    assert (tmp_path / "done" / "test.json").read_text() == "mine"
    assert json.loads((tmp_path / "new" / "test.json").read_text()) == {"accuracy": 0.5}


def test_a_folder_passes_for_no_run_of_other_settings(
    labelled_folder: Path, tmp_path: Path
) -> None:
    """Neither what ran here nor what was kept elsewhere."""
    words = ["networks.py", "--parts", "generated", "--generated", f"folder:{labelled_folder}"]
    words += ["--split", "image-wise", "--test", f"folder:{labelled_folder}", "--networks"]
    words += ["ggcnn_student_v1", "--modalities", "rgb", "--quick", "--presentations", "16"]
    here = [*words, "--out", str(tmp_path / "runs")]
    run(*here)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run(*here, "--seed", "1")
    assert "asked for with seed 0, now it is 1; give another --out" in failed.value.stderr
    run("kept.py", "save", str(tmp_path / "runs"), str(tmp_path / "kept.json"))
    kept = json.loads((tmp_path / "kept.json").read_text())
    for case in ("as asked", "by its budget alone"):
        if case == "by its budget alone":  # as files of before have it
            for job in kept.values():
                del job["asked"]
        (tmp_path / "kept.json").write_text(json.dumps(kept))
        run("kept.py", "restore", str(tmp_path / "kept.json"), str(tmp_path / case))
        with pytest.raises(subprocess.CalledProcessError) as failed:
            run(*words, "--out", str(tmp_path / case), "--seed", "1")
        assert ": its run was asked for with " in failed.value.stderr, case


@pytest.mark.parametrize("words", [("a/best.onnx", "b/best.onnx"), ("a/gq_stn_light.onnx",)])
def test_two_models_are_never_one_row(words: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        names = ["--models", *words, "shipped/graspling_s-generated-depth.onnx"]
        run("simulate.py", "table", *names, "--out", str(tmp_path))
    assert "there is a row" in failed.value.stderr


SHARE = {"share": 0.5, "successes": 1, "interval": [0.4, 0.6]}
SHARES = ("rectangle", "robust", "physics", "rectangle_right_given_not_robust")
JUDGED = {
    **dict.fromkeys((*SHARES, "rectangle_wrong_given_robust"), SHARE),
    **{"n": 2, "label": {"robust": SHARE}, "median_ms": 1.0},
    "cells": {
        f"rectangle_{a}_{b}": 1 for a in ("right", "wrong") for b in ("robust", "not_robust")
    },
}
TRIED = {
    **dict.fromkeys(("attempts", "successes", "success", "lifted", "cleared", "workers"), 1),
    **{"interval": [0, 1], "causes": {}, "trials_per_second": 1, "stages": {}, "command": ""},
}
TESTED = {"n": 2, "accuracy": 0.5, "by_angle": {"10": 0.5}, "iou_only": 0.5, "split_hash": "ab"}


def refused(*words: str) -> str:
    """Why a script stops at what is kept."""
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run(*words)
    return str(failed.value.stderr)


def keep(file: Path, found: dict[str, object]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found))


def test_a_cell_passes_for_no_verdict_on_another_model_of_its_name(tmp_path: Path) -> None:
    keep(tmp_path / "generated" / "mine" / "robust.json", JUDGED)
    model = tmp_path / "mine.onnx"
    model.write_text("trained once")
    words = ["robust.py", "--models", str(model), "--detectors", "mine", "--out", str(tmp_path)]
    run(*words, "--data", "generated:first")
    model.write_text("trained again")
    assert "asked for with model " in refused(*words, "--data", "generated:first")


def test_a_cell_passes_for_no_trials_of_other_settings(tmp_path: Path) -> None:
    files = [tmp_path / "mine.onnx", tmp_path / "other.onnx"]
    for number, file in enumerate(files):
        file.write_text("trained once")
        folder, share = tmp_path / "link" / file.stem, SHARE | {"share": 0.2 + 0.1 * number}
        keep(folder / "robust.json", JUDGED | {"rectangle": share, "robust": share})
        keep(folder / "simulate.json", TRIED | {"success": 0.2 + 0.1 * number})
    words = ["simulate.py", "link", "--models", *map(str, files), "--out", str(tmp_path)]
    words += ["--data", "generated:first"]
    run(*words, "--workers", "2")
    # the numbers do not depend on how many work
    assert "asked for with poses 4, now it is 2" in refused(
        *words, "--poses", "2", "--workers", "1"
    )


def test_a_fold_passes_for_none_of_another_recipe(tmp_path: Path) -> None:
    folder, recipe = tmp_path / "ggcnn" / "image-wise-0", tmp_path / "own.yaml"
    keep(folder / "test.json", TESTED)
    rows = ({"kind": "validation", "accuracy": 0.5}, {"kind": "epoch", "seconds": 1})
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe.write_text("lr: 0.1")
    words = ["cornell.py", "--data", "cornell:none", "--out", str(tmp_path), "--folds", "0"]
    words += ["--networks", "ggcnn", "--splits", "image-wise", "--recipe"]
    run(*words, f"ggcnn={recipe}")
    recipe.write_text("lr: 0.2")
    assert "asked for with recipe " in refused(*words, f"ggcnn={recipe}")
