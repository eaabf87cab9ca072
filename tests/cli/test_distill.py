from __future__ import annotations

import re

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
        (
            ["semi", "semi_graspling", "--data", "a:b", "--fraction", "0"],
            "recipe semi_graspling: fraction is 0",
        ),
        (
            ["semi", "semi_graspling", "--data", "a:b", "--set", "semi.weak.flip=0.5"],
            "is not set in this recipe; set it as a whole: --set 'semi.weak={flip: 0.5}'",
        ),
        (
            ["semi", "semi_graspling", "--data", "a:b", "--set", "semi.mixup.a=0.5"],
            "'mixup' is no group of settings; those of 'semi' are strong",
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
        (
            ["distill", "distill_ggcnn", "--data", "a:b", "--set", "distill.terms.more.weight=2"],
            "a new one is set as a whole: --set 'distill.terms.more={compare: outputs, weight: 2}'",
        ),
        (
            ["distill", "distill_ggcnn", "--data", "a:b", "--set", "distill.fruit.weight=2"],
            "'fruit' is no group of settings; those of 'distill' are terms",
        ),
        (
            [
                "distill",
                "distill_kufenet",
                "--data",
                "a:b",
                "--set",
                "distill.terms.hint.shares=[1]",
            ],
            "distill: terms.hint: 1 shares for 3 pairs of taps",
        ),
        (["distill", "mine.yaml", "--data", "a:b"], "the recipe mine.yaml: there is no such file"),
        (["distill", "nope"], "no recipe 'nope'; choose one of distill_ggcnn, distill_graspling,"),
        (["semi", "nope"], "no recipe 'nope'; choose one of semi_graspling, semi_litegrasp or a"),
        (
            ["distill", "distill_ggcnn", "--set", "distill.terms={3: {compare: labels}}"],
            "the name 3 is no text",
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


def test_the_document_has_a_place_before_any_is_trained(run, labelled_folder, tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "file").write_text("")
    data, out = f"folder:{labelled_folder}", tmp_path / "job"
    words = ["continual", "--old", data, "--new", data, "--quick", "--networks", "ggcnn"]
    own = labelled_folder / "labels.json"
    for place, said in ((tmp_path / "file" / "x.json", "not a folder"), (own, "lies in the data")):
        assert said in complaint(run(*words, "--out", out, "--json", place))
    assert not out.exists()


@pytest.mark.parametrize("verb", ["distill", "semi"])
def test_several_processes_are_no_option(verb, run):
    pytest.importorskip("torch")
    assert "--devices" not in run(verb, "--help")[1]
    assert "--devices" in complaint(run(verb, "--devices", 2))


def test_quick_says_which_of_your_settings_it_replaces(run, labelled_folder, tmp_path):
    pytest.importorskip("torch")
    data, out = f"folder:{labelled_folder}", tmp_path / "job"
    words = ["continual", "--old", data, "--new", data, "--quick", "--networks", "ggcnn"]
    asked = ["--size", 64, "--pretrain", 3, "--images", 6, "--modality", "rgb", "--threads", 1]
    said = run(*words, *asked, "--out", out)[2]
    assert "--quick has its own size, pretrain, yours do not count" in said


def test_a_run_is_not_gone_on_with_by_another_recipe(run, labelled_folder, tmp_path):
    pytest.importorskip("torch")
    out, more = tmp_path / "out", ["--split", "image-wise", "--quick", "--set", "threads=1"]
    words = ["--data", f"folder:{labelled_folder}", "--out", out, *more]
    assert run("train", "ggcnn", *words)[0] == 0
    said = complaint(run("train", "graspling_s", "--resume", "--out", out))
    assert f"the run in {out} trains ggcnn, the recipe graspling_s is of graspling_s" in said
    assert run("train", "ggcnn", "--resume", "--out", out)[0] == 0
    said = complaint(run("distill", "distill_ggcnn", "--resume", "--out", out))
    assert "has no part 'distill'; use graspling train" in said
    teacher, taught = out / "best.safetensors", tmp_path / "taught"
    words = ["--data", f"folder:{labelled_folder}", "--out", taught, *more, "modality=rgb"]
    words += ["size=64", "--student", "ggcnn_student_v1", "--teacher", teacher]
    assert run("distill", "distill_ggcnn", *words)[0] == 0
    said = complaint(run("distill", "distill_litegrasp", "--resume", "--out", taught))
    assert (
        "learns by ground_truth, outputs, the recipe distill_litegrasp by supervised, outp" in said
    )
    assert run("distill", "distill_ggcnn", "--resume", "--out", taught)[0] == 0


def test_how_many_images_are_learned_from_is_said(run, labelled_folder, tmp_path):
    pytest.importorskip("torch")
    words = ["semi", "semi_graspling", "--data", f"folder:{labelled_folder}", "--split", "all"]
    words += ["--fraction", 0.5, "--quick", "--set", "threads=1", "--out", tmp_path / "out"]
    status, _, said = run(*words)
    assert status == 0
    assert re.search(r"images: [1-9]\d* with labels, [1-9]\d* without, 0 to validate on", said)


def test_a_folder_of_a_run_is_no_teacher_but_names_one(run, labelled_folder, tmp_path):
    pytest.importorskip("torch")
    teacher = tmp_path / "teacher"
    teacher.mkdir()
    (teacher / "best.safetensors").touch()
    words = ["distill", "distill_ggcnn", "--data", f"folder:{labelled_folder}", "--quick"]
    words += ["--split", "image-wise", "--out", tmp_path / "out", "--teacher", teacher]
    assert f"did you mean {teacher / 'best.safetensors'}?" in complaint(run(*words))


def test_a_tap_that_is_missing_is_told_with_those_there_are(run, labelled_folder, tmp_path):
    pytest.importorskip("torch")
    data = ["--data", f"folder:{labelled_folder}", "--split", "image-wise", "--quick"]
    teacher, out = tmp_path / "teacher", tmp_path / "out"
    assert run("train", "ggcnn", *data, "--out", teacher, "--set", "threads=1")[0] == 0
    words = ["distill", "distill_kufenet", *data, "--teacher", teacher / "best.safetensors"]
    said = complaint(run(*words, "--out", out, "--set", "modality=rgb"))
    assert "has no tap 'decoder1'; any of its modules can be one, such as its convolutions" in said
    assert "down.0" in said and "(kufenet_15k" in said
    pairs = "distill.terms.hint.taps=[[decoder1,up.0],[decoder2,up.2],[decoder3,up.4]]"
    assert run(*words, "--out", out, "--set", "modality=rgb", "threads=1", pairs)[0] == 0


def test_a_teacher_that_was_moved_and_a_cache_that_is_a_file(run, labelled_folder, tmp_path):
    pytest.importorskip("torch")
    data = ["--data", f"folder:{labelled_folder}", "--split", "image-wise", "--quick"]
    best, file = tmp_path / "teacher" / "best.safetensors", tmp_path / "file"
    words = ["distill", "distill_ggcnn", *data, "--teacher", best, "--out", tmp_path / "out"]
    assert "there is no such file; give --teacher CHECKPOINT" in complaint(run(*words))
    assert run("train", "ggcnn", *data, "--out", best.parent, "--set", "threads=1")[0] == 0
    file.touch()
    said = complaint(run(*words, "--cache", file, "--set", "distill.views=2"))
    assert "distill: cache: cannot write" in said and "give --cache another folder" in said
    assert not (tmp_path / "out").exists()
