from __future__ import annotations

import pytest
import yaml
from toys import complaint


def test_train_distil_and_evaluate_in_a_row(run, labelled_folder, tmp_path):
    pytest.importorskip("torch")
    data = ["--data", f"folder:{labelled_folder}", "--split", "image-wise"]
    plain = ["--quick", "--set", "threads=1", "size=64"]
    teacher, out = tmp_path / "teacher", tmp_path / "student"
    assert run("train", "ggcnn", *data, "--out", teacher, *plain)[0] == 0
    best = teacher / "best.safetensors"
    words = ["distill", "distill_ggcnn", *data, "--teacher", best, "--out", out]
    changes = ["threads=1", "distill.terms.outputs.loss=smooth_l1"]
    student = ["--student", "ggcnn_student_v1", "--alpha", 0.25, "--quick"]
    assert run(*words, *student, "--set", *changes)[0] == 0
    saved = yaml.safe_load((out / "recipe.yaml").read_text())
    assert saved["network"] == "ggcnn_student_v1" and saved["distill"]["alpha"] == 0.25
    assert saved["distill"]["terms"]["outputs"]["loss"] == "smooth_l1"
    assert run("evaluate", "--model", out / "best.safetensors", *data[:2])[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["distill"], "distill_ggcnn"),
        (["semi"], "semi_litegrasp"),
        (["distill", "distill_ggcnn"], "which data"),
        (["distill", "ggcnn", "--data", "a:b"], "use graspling train"),
        (["semi", "distill_ggcnn", "--data", "a:b"], "use graspling distill"),
        (["train", "semi_litegrasp", "--data", "a:b"], "use graspling semi"),
        (["distill", "distill_ggcnn", "--data", "a:b", "--alpha", "2"], "alpha is 2"),
        (["semi", "semi_graspling", "--data", "a:b", "--fraction", "0"], "fraction is 0"),
        (
            ["semi", "semi_graspling", "--data", "a:b", "--set", "semi.weak.flip=0.5"],
            "is not set in this recipe; set it as a whole: --set 'semi.weak={flip: 0.5}'",
        ),
        (
            ["semi", "semi_graspling", "--data", "a:b", "--set", "semi.mixup.a=0.5"],
            "'mixup' is no group of settings",
        ),
        (
            ["distill", "distill_ggcnn", "--data", "a:b", "--set", "distill=5"],
            "distill is 5, expected its settings",
        ),
        (
            [
                "distill",
                "distill_ggcnn",
                "--data",
                "a:b",
                "--set",
                "distill.terms={a.b: {compare: labels}}",
            ],
            "a term is called 'a.b'",
        ),
        (
            ["semi", "semi_graspling", "--data", "a:b", "--set", "semi.strong.window=0.5"],
            "strong.window is above 0",
        ),
        (["continual"], "--old"),
    ],
)
def test_what_makes_no_sense_is_said(run, words, said):
    pytest.importorskip("torch")
    assert said in complaint(run(*words))


def test_a_teacher_that_is_missing_or_no_teacher(run, labelled_folder, tmp_path):
    pytest.importorskip("torch")
    words = ["distill", "distill_ggcnn", "--data", f"folder:{labelled_folder}"]
    words += ["--split", "image-wise", "--quick", "--out", tmp_path / "out"]
    assert "--teacher" in complaint(run(*words))
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(b"no")
    assert "not a safetensors file" in complaint(run(*words, "--teacher", foreign)).replace(
        "is not", "not"
    )
    assert "no shipped model" in complaint(run(*words, "--teacher", "nobody"))


def test_a_quick_comparison_on_the_job_needs_few_images(run, labelled_folder, tmp_path):
    pytest.importorskip("torch")
    data, out = f"folder:{labelled_folder}", tmp_path / "job"
    words = ["continual", "--old", data, "--new", data, "--quick", "--networks", "ggcnn"]
    status, text, _ = run(*words, "--modality", "rgb", "--threads", 1, "--out", out)
    assert status == 0 and "/6" in text
    assert (out / "continual.png").exists()


def test_networks_are_looked_at_before_any_is_trained(run, labelled_folder, tmp_path):
    pytest.importorskip("torch")
    data = f"folder:{labelled_folder}"
    words = ["continual", "--old", data, "--new", data, "--quick", "--networks", "ggcnn", "ggcn"]
    assert "no network 'ggcn'" in complaint(run(*words, "--out", tmp_path / "job"))
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize("words", [["distill", "distill_ggcnn"], ["semi", "semi_graspling"]])
def test_several_processes_are_refused(words, run, labelled_folder, tmp_path):
    pytest.importorskip("torch")
    words += ["--data", f"folder:{labelled_folder}", "--quick", "--out", tmp_path / "out"]
    said = complaint(run(*words, "--devices", 2, "--nodes", 2))
    assert "runs in one process; leave out --devices and --nodes" in said


def test_a_folder_of_a_run_is_no_teacher_but_names_one(run, labelled_folder, tmp_path):
    pytest.importorskip("torch")
    teacher = tmp_path / "teacher"
    teacher.mkdir()
    (teacher / "best.safetensors").touch()
    words = ["distill", "distill_ggcnn", "--data", f"folder:{labelled_folder}", "--quick"]
    words += ["--split", "image-wise", "--out", tmp_path / "out", "--teacher", teacher]
    assert f"did you mean {teacher / 'best.safetensors'}?" in complaint(run(*words))
