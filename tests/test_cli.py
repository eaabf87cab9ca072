from __future__ import annotations

import errno
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from graspling.cli import VERBS, main
from graspling.cli.camera import CameraFile
from graspling.cli.inputs import frame_paths


@pytest.fixture
def run(capsys):
    """Run the command line here: status, standard output, standard error."""

    def call(*words: object) -> tuple[int, str, str]:
        status = main([str(word) for word in words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def complaint(result: tuple[int, str, str]) -> str:
    """The one line that a mistake prints."""
    status, out, err = result
    assert status in (1, 2)
    assert out == ""
    assert err.startswith("graspling: error: ") and err.count("\n") == 1, err
    return err


# ---- usage ------------------------------------------------------------------------------------


def test_help_lists_every_command(run):
    for words in ((), ("--help",)):
        status, out, _ = run(*words)
        assert status == 0
        assert all(name in out for name in VERBS)


@pytest.mark.parametrize("name", VERBS)
def test_every_command_has_help(run, name):
    status, out, _ = run(*name.split(), "--help")
    assert status == 0 and f"usage: graspling {name}" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["grasp"], "no command"),
        (["data"], "one more word"),
        (["data", "eat"], "no command"),
        (["detect", "--bogus", "1"], "--bogus"),
        (["detect", "--top", "many"], "--top"),
        (["detect", "--threshold", "high"], "'high'"),
        (["evaluate", "--part", "all"], "test"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(run, words, said):
    result = run(*words)
    assert said in complaint(result) and result[0] == 2


@pytest.mark.parametrize(
    "words", [["detect"], ["evaluate"], ["compare", "a"], ["data", "show"], ["data", "convert"]]
)
def test_what_is_missing_is_said(run, words):
    complaint(run(*words))


def test_the_first_help_needs_neither_numpy_nor_opencv():
    code = "import sys; from graspling.cli import main; main([]); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'numpy'" not in done.stdout and "'cv2'" not in done.stdout


# ---- detect -----------------------------------------------------------------------------------


def test_detect_writes_json_and_a_picture(run, toy_model, frame, tmp_path):
    out, picture = tmp_path / "out.json", tmp_path / "new folder" / "out.png"
    status, text, _ = run(
        "detect", "--rgb", frame, "--model", toy_model(), "--top", 3, "--json", out,
        "--picture", picture,
    )  # fmt: skip
    assert status == 0 and "frame_rgb" in text and str(picture) in text
    found = json.loads(out.read_text())
    assert found["model"] == "toy"
    assert set(found["milliseconds"]) == {"prepare", "network", "decode"}
    (grasp,) = found["grasps"]
    assert set(grasp) == {"u", "v", "angle_rad", "width_px", "jaw_px", "quality"}
    assert (grasp["u"], grasp["v"]) == pytest.approx((60, 70), abs=1.5)
    assert grasp["width_px"] == pytest.approx(32, rel=0.05)
    assert cv2.imread(str(picture)) is not None


def test_json_on_standard_output_is_alone_there(run, toy_model, frame):
    for target in (["--json", "-"], ["--json"], ["--json=-"]):
        status, out, err = run("detect", "--rgb", frame, "--model", toy_model(), *target)
        assert status == 0
        assert len(json.loads(out)["grasps"]) == 1
        assert "frame_rgb" in err


def test_no_grasp_is_an_answer(run, toy_model, frame):
    status, out, _ = run(
        "detect", "--rgb", frame, "--model", toy_model(), "--threshold", 0.99, "--json", "-"
    )
    assert status == 0 and json.loads(out)["grasps"] == []


def test_a_folder_or_a_glob_is_a_list(run, toy_model, frame, tmp_path):
    cv2.imwrite(str(tmp_path / "b_rgb.png"), cv2.imread(str(frame)))
    for what in (tmp_path, tmp_path / "*_rgb.png"):
        status, out, _ = run("detect", "--rgb", what, "--model", toy_model(), "--json", "-")
        assert status == 0
        assert [os.path.basename(one["rgb"]) for one in json.loads(out)] == [
            "b_rgb.png",
            "frame_rgb.png",
        ]


def test_pictures_of_a_list_go_into_a_folder(run, toy_model, frame, tmp_path):
    run("detect", "--rgb", frame.parent, "--model", toy_model(), "--picture", tmp_path / "made")
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["frame_rgb.png"]


def test_the_region_keeps_grasps_inside(run, toy_model, frame):
    for roi in (["0", "0", "30", "30"], ["0,0,30,30"]):
        _, out, _ = run("detect", "--rgb", frame, "--model", toy_model(), "--json", "--roi", *roi)
        assert json.loads(out)["grasps"] == []
    assert "four numbers" in complaint(
        run("detect", "--rgb", frame, "--model", toy_model(), "--roi", "1", "2")
    )


def test_depth_takes_its_unit_from_an_option_or_the_camera_file(
    run, toy_model, depth_frame, tmp_path
):
    camera = tmp_path / "camera.yaml"
    camera.write_text("depth_unit: mm\n")
    model = toy_model(modality="depth")
    answers = []
    for how in (["--depth-unit", "mm"], ["--depth_unit", "0.001"], ["--camera", camera]):
        status, out, _ = run("detect", "--depth", depth_frame, "--model", model, "--json", *how)
        assert status == 0
        answers.append(json.loads(out)["grasps"])
    assert answers[0] == answers[1] == answers[2] != []


def test_a_camera_file_registers_depth_of_another_size(
    run, toy_model, frame, depth_frame, tmp_path
):
    half = tmp_path / "half_depth.png"
    depth = cv2.imread(str(depth_frame), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(half), cv2.resize(depth, (64, 64), interpolation=cv2.INTER_NEAREST))
    words = ["detect", "--rgb", frame, "--depth", half, "--model", toy_model(modality="rgbd")]
    assert "register" in complaint(run(*words, "--depth-unit", "mm"))
    intrinsics = {"fx": 100, "fy": 100, "cx": 63.5, "cy": 63.5, "width": 128, "height": 128}
    smaller = {"fx": 50, "fy": 50, "cx": 31.5, "cy": 31.5, "width": 64, "height": 64}
    camera = tmp_path / "camera.json"
    document = {"depth_unit": "mm", "colour": intrinsics, "depth": smaller}
    camera.write_text(json.dumps(document))
    assert "colour_from_depth" in complaint(run(*words, "--camera", camera))
    camera.write_text(json.dumps({**document, "colour_from_depth": np.eye(4).tolist()}))
    status, out, _ = run(*words, "--camera", camera, "--json", "-")
    assert status == 0 and len(json.loads(out)["grasps"]) == 1


def test_camera_files_that_say_nothing_are_refused(tmp_path):
    from graspling.errors import InputError

    file = tmp_path / "camera.json"
    for text in ("[1, 2]", "{"):
        file.write_text(text)
        with pytest.raises(InputError, match="camera file"):
            CameraFile.load(file)


@pytest.mark.parametrize(
    ("colour", "depth"),
    [
        ("a_rgb.png", "a_depth.png"),
        ("color_3.png", "depth_3.npy"),
        ("pcd0100r.png", "pcd0100d.tiff"),
        ("0_cup_RGB.png", "0_cup_perfect_depth.tiff"),
    ],
)
def test_colour_and_depth_pair_up_by_name(tmp_path, colour, depth):
    for name in (colour, depth, "a_mask.png", "z_rgb.png", "z_depth.png"):
        (tmp_path / name).touch()
    frames, many = frame_paths([str(tmp_path)], [str(tmp_path)])
    assert many
    names = {(frame.rgb.name, frame.depth.name) for frame in frames}
    assert names == {(colour, depth), ("z_rgb.png", "z_depth.png")}


# ---- bad input: one line, non-zero, nothing half-written ---------------------------------------


def write_bad(kind: str, folder, frame, depth_frame) -> list[object]:
    """The options of `detect` for one kind of bad input, and its files."""
    path = folder / f"bad-{kind}.png"
    if kind == "missing":
        return ["--rgb", path]
    if kind == "missing glob":
        return ["--rgb", folder / "nothing-*.png"]
    if kind == "no image":
        path.write_text("this is text")
        return ["--rgb", path]
    if kind == "empty file":
        path.touch()
        return ["--rgb", path]
    if kind == "empty folder":
        (folder / "empty").mkdir()
        return ["--rgb", folder / "empty"]
    if kind == "grey":
        cv2.imwrite(str(path), np.zeros((40, 40), np.uint8))
        return ["--rgb", path]
    if kind == "16 bit":
        cv2.imwrite(str(path), np.zeros((40, 40, 3), np.uint16))
        return ["--rgb", path]
    if kind == "no unit":
        return ["--depth", depth_frame]
    if kind == "bad unit":
        return ["--depth", depth_frame, "--depth-unit", "furlong"]
    if kind == "all missing":
        cv2.imwrite(str(path), np.zeros((40, 40), np.uint16))
        return ["--depth", path, "--depth-unit", "mm"]
    if kind == "another size":
        cv2.imwrite(str(path), np.full((40, 40), 700, np.uint16))
        return ["--rgb", frame, "--depth", path, "--depth-unit", "mm"]
    if kind == "mask of another size":
        cv2.imwrite(str(path), np.full((40, 40), 255, np.uint8))
        return ["--rgb", frame, "--mask", path]
    raise AssertionError(kind)


@pytest.mark.parametrize(
    ("kind", "modality", "said"),
    [
        ("missing", "rgb", "no such file"),
        ("missing glob", "rgb", "pattern"),
        ("no image", "rgb", "image"),
        ("empty file", "rgb", "empty"),
        ("empty folder", "rgb", "folder"),
        ("grey", "rgb", "one channel"),
        ("16 bit", "rgb", "16"),
        ("no unit", "depth", "--depth-unit"),
        ("bad unit", "depth", "furlong"),
        ("all missing", "depth", "missing"),
        ("another size", "rgbd", "register"),
        ("mask of another size", "rgb", "mask"),
    ],
)
def test_bad_images(run, toy_model, tmp_path, frame, depth_frame, kind, modality, said):
    words = write_bad(kind, tmp_path, frame, depth_frame)
    out, picture = tmp_path / "out.json", tmp_path / "out.png"
    result = run(
        "detect", *words, "--model", toy_model(modality=modality), "--json", out,
        "--picture", picture,
    )  # fmt: skip
    assert said in complaint(result)
    assert not out.exists() and not picture.exists()


def test_a_model_that_needs_depth_says_so(run, toy_model, frame):
    assert "depth" in complaint(
        run("detect", "--rgb", frame, "--model", toy_model(modality="rgbd"))
    )


@pytest.mark.parametrize("damage", ["text", "half", "foreign", "absent", "unknown"])
def test_bad_weights(run, toy_model, frame, tmp_path, damage):
    path = toy_model()
    if damage == "text":
        path.write_text("no weights")
    elif damage == "half":
        path.write_bytes(path.read_bytes()[:200])
    elif damage == "foreign":
        onnx = pytest.importorskip("onnx")
        model = onnx.load(path)
        del model.metadata_props[:]
        onnx.save(model, path)
    else:
        path = tmp_path / "absent.onnx" if damage == "absent" else "no-such-model"
    complaint(run("detect", "--rgb", frame, "--model", path, "--json", tmp_path / "out.json"))
    assert not (tmp_path / "out.json").exists()


def test_a_full_disk_leaves_nothing_half_written(run, toy_model, frame, tmp_path, monkeypatch):
    kept = tmp_path / "results" / "out.json"
    kept.parent.mkdir()
    kept.write_text("the old result")
    model = toy_model()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    result = run("detect", "--rgb", frame, "--model", model, "--json", kept)
    assert "No space left" in complaint(result)
    assert kept.read_text() == "the old result"
    assert os.listdir(kept.parent) == ["out.json"]


def test_a_folder_that_is_a_file_cannot_be_written_to(run, toy_model, frame):
    complaint(run("detect", "--rgb", frame, "--model", toy_model(), "--json", frame / "out.json"))


# ---- surprises --------------------------------------------------------------------------------


def test_interrupting_is_quiet(run, monkeypatch):
    def interrupt() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("graspling.cli.usage", interrupt)
    assert run() == (130, "", "graspling: error: interrupted\n")


def test_a_fault_of_ours_is_one_line_and_its_place_is_shown_on_request(run, monkeypatch):
    def fail() -> str:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr("graspling.cli.usage", fail)
    monkeypatch.delenv("GRASPLING_DEBUG", raising=False)
    assert "first line second line" in complaint(run())
    monkeypatch.setenv("GRASPLING_DEBUG", "1")
    assert "Traceback" in run()[2]


def test_a_reader_that_goes_away_is_no_traceback():
    command = f'"{sys.executable}" -m graspling models --json | head -c 1 > {os.devnull}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


# ---- models -----------------------------------------------------------------------------------


def test_models_lists_networks_and_shipped_models(run):
    status, out, _ = run("models", "--json")
    assert status == 0
    rows = json.loads(out)
    keys = {"name", "parameters", "macs", "modality", "shipped", "bytes", "score"}
    assert all(keys <= set(row) for row in rows)
    sizes = {(row["name"], row["modality"]): row["parameters"] for row in rows}
    assert sizes["ggcnn", "depth"] == 62_420
    assert sizes["grconvnet_c32", "rgbd"] == 1_900_900
    for row in rows:
        assert (row["bytes"] is not None) == row["shipped"]
    assert "ggcnn2" in run("models")[1]


def test_details_of_a_network_and_of_nothing(run):
    rows = json.loads(run("models", "--details", "ggcnn")[1])
    assert {row["modality"] for row in rows} == {"rgb", "depth", "rgbd"}
    assert "choose one of" in complaint(run("models", "--details", "nothing"))


def test_the_table_of_sizes_is_what_torch_counts():
    pytest.importorskip("torch")
    from graspling.cli.models import network_table
    from graspling.networks.table import rows

    assert network_table() == rows(), "run python -m graspling.networks.table"


# ---- evaluate, compare ------------------------------------------------------------------------


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


def test_evaluate_one_part_of_a_split(run, toy_model, labelled_folder):
    words = ["evaluate", "--model", toy_model(), "--data", f"folder:{labelled_folder}"]
    status, out, _ = run(*words, "--split", "image-wise", "--fold", 1, "--part", "val", "--json")
    found = json.loads(out)
    assert status == 0 and found["split"] == "image-wise" and len(found["split_hash"]) == 12
    complaint(run(*words, "--split", "image-wise", "--fold", 9))
    complaint(run(*words, "--split", "by-colour"))


def test_compare_prints_the_difference(run, toy_model, labelled_folder):
    status, out, _ = run(
        "compare", toy_model("turned", angle=1.2), toy_model("straight"),
        "--data", f"folder:{labelled_folder}", "--repeats", 200, "--json", "-",
    )  # fmt: skip
    found = json.loads(out)
    assert status == 0 and found["difference"] > 0 and found["n_objects"] == 4


@pytest.mark.parametrize("spec", ["nowhere", "cornell:/no/such/folder", "unknown:x"])
def test_data_that_cannot_be_used(run, toy_model, spec):
    complaint(run("evaluate", "--model", toy_model(), "--data", spec))
    complaint(run("data", "check", spec))


# ---- data -------------------------------------------------------------------------------------


def test_data_show_check_split_and_convert(run, labelled_folder, tmp_path):
    data = f"folder:{labelled_folder}"
    sheet, split = tmp_path / "sheet.png", tmp_path / "mine.json"
    assert run("data", "show", data, "--out", sheet)[0] == 0 and sheet.exists()
    status, out, _ = run("data", "check", data, "--json", "-")
    assert status == 0 and json.loads(out)["labelled"] == 8
    words = ["--unit", "image-wise", "--folds", 3, "--out", split]
    assert run("data", "split", data, *words)[0] == 0
    assert json.loads(split.read_text())["name"] == "mine"
    status, out, _ = run("data", "split", data, "--json", "-")
    assert status == 0 and {row["name"] for row in json.loads(out)} >= {"image-wise"}
    target = tmp_path / "as cornell"
    assert run("data", "convert", data, target, "--to", "cornell")[0] == 0
    assert json.loads(run("data", "check", f"cornell:{target}", "--json")[1])["labelled"] == 8
    assert "not empty" in complaint(run("data", "convert", data, target, "--to", "cornell"))


# ---- the lab ----------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["train", "export"])
def test_without_pytorch_the_extra_is_named(run, monkeypatch, verb):
    for name in [name for name in sys.modules if name.split(".")[0] == "torch"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("graspling.training.loop", "graspling.export", "graspling.networks"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "graspling[lab]" in complaint(run(verb, "x"))


# ---- demo -------------------------------------------------------------------------------------


def test_the_demo_finds_grasps_in_every_sample_and_says_where_the_pictures_are(
    run, toy_model, tmp_path
):
    made = tmp_path / "demo output"
    status, out, _ = run("demo", "--model", toy_model(), "--out", made, "--top", 2)
    assert status == 0 and f"The pictures are in {made}" in out
    pictures = sorted(path.stem for path in made.iterdir())
    assert len(pictures) >= 3
    assert all(picture in out for picture in pictures)
    results = json.loads(run("demo", "--model", toy_model(), "--out", made, "--json", "-")[1])
    assert [bool(result["depth"]) for result in results] == [True] * len(pictures)
