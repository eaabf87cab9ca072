from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml
from toys import complaint


@pytest.mark.parametrize("verb", ["train", "export", "distill", "semi"])
def test_without_pytorch_the_extra_is_named(verb):
    """In a process of its own: what is imported once cannot be taken away cleanly."""
    program = f"""
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, NoTorch())
from graspling.cli import main
sys.exit(main(["{verb}", "x.safetensors"]))
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.returncode == 1
    assert "graspling[lab]" in found.stderr and found.stderr.count("\n") == 1


def test_train_export_and_evaluate_in_a_row(run, labelled_folder, tmp_path):
    pytest.importorskip("torch")
    data, out = f"folder:{labelled_folder}", tmp_path / "run"
    labels = json.loads((labelled_folder / "labels.json").read_text())
    for image in labels["images"]:
        if image.get("grasps"):  # one more, in degrees
            image["grasps"].append({**image["grasps"][0], "angle_rad": 45})
    (labelled_folder / "labels.json").write_text(json.dumps(labels))
    words = ["train", "graspling_s", "--data", data, "--split", "image-wise", "--out", out]
    changes = ["threads=1", "lr=0.002", "loss.width=2", "loss.angle=3"]
    status, _, err = run(*words, "--quick", "--seed", 3, "--set", *changes)
    assert status == 0 and "malformed labels are left out" in err
    assert "--quick has its own" not in err
    saved = yaml.safe_load((out / "recipe.yaml").read_text())
    assert (saved["seed"], saved["lr"], saved["split"]) == (3, 0.002, "image-wise")
    assert (saved["loss"]["width"], saved["loss"]["angle"]) == (2, 3)
    assert "--resume" in complaint(run(*words, "--quick"))
    own = [*words[:-1], labelled_folder, "--quick"]
    assert "the data lie there" in complaint(run(*own))
    others = ["--epochs", 7, "--set", "threads=1", "batch=1"]
    _, _, err = run(*words[:-1], tmp_path / "other", "--quick", *others)
    assert "--quick has its own epochs, batch, yours do not count" in err
    model = tmp_path / "mine.onnx"
    assert run("export", out / "best.safetensors", "--out", model, "--name", "mine")[0] == 0
    scores = []
    for name in (out / "best.safetensors", model):
        status, text, _ = run(
            "evaluate", "--model", name, "--data", data, "--split", "image-wise", "--json", "-"
        )
        assert status == 0
        scores.append(json.loads(text))
    assert [score["model"] for score in scores] == ["graspling_s-folder-rgb-run", "mine"]
    assert scores[0]["accuracy"] == scores[1]["accuracy"]
    assert scores[0]["trained_on"] == scores[1]["trained_on"] == 0


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("lr", "name=value"),
        ("lr.x=1", "no group"),
        ("speed=3", "no setting"),
        ("lr=[1", "not YAML"),
    ],
)
def test_settings_that_make_no_sense_are_refused(run, setting, said):
    pytest.importorskip("torch")
    assert said in complaint(run("train", "graspling_s", "--data", "a:b", "--set", setting))


@pytest.mark.parametrize("name", [["graspling_s"], []])
def test_a_run_goes_on_with_its_own_settings(run, labelled_folder, tmp_path, name):
    pytest.importorskip("torch")
    out = tmp_path / "run"
    data = ["--data", f"folder:{labelled_folder}", "--split", "image-wise"]
    assert run("train", "graspling_s", *data, "--out", out, "--quick")[0] == 0
    before = (out / "recipe.yaml").read_text()
    assert run("train", *name, "--out", out, "--resume")[0] == 0
    assert (out / "recipe.yaml").read_text() == before


def test_resuming_where_no_run_is(run, tmp_path):
    pytest.importorskip("torch")
    assert "give --out FOLDER" in complaint(run("train", "--resume"))
    assert "no run in" in complaint(run("train", "--resume", "--out", tmp_path / "none"))
    named = ("train", "graspling_s", "--data", "a:b", "--resume", "--out", tmp_path / "none")
    assert "no run in" in complaint(run(*named))


def test_the_recipes_to_choose_from_are_those_that_train_takes(run):
    pytest.importorskip("torch")
    lines = [complaint(run("train", *words)) for words in ((), ("nosuch",))]
    assert "'nosuch'" in lines[1]
    listed = [line.partition("choose one of ")[2].partition(" or ")[0] for line in lines]
    assert listed[0] == listed[1]
    names = listed[0].split(", ")
    assert {"graspling_s", "gq_stn", "gqcnn", "direct_grasp"} <= set(names)
    assert not any(name.startswith(("distill_", "semi_")) for name in names)
    assert "use graspling distill" in complaint(run("train", "distill_ggcnn"))
