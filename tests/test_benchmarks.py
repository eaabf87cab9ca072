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
