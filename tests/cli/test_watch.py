from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from toys import ToyModel, blob, complaint

from graspling import detector
from graspling.detector import Detector
from graspling.hand_eye import HandEye
from graspling.sources import KINDS, Frame, Source
from graspling.sources.stream import Stream


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Eight frames with a disc that moves to the right."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(8):
        cv2.imwrite(str(folder / f"{number}.png"), blob(40 + 3 * number, 70))
    return folder


def seen_from_above(folder: Path, depths: list[np.ndarray], focal: float) -> tuple[object, ...]:
    """Frames of depth (millimetres) in a folder, with a camera file; the words that name both."""
    (folder / "d").mkdir()
    for number, depth in enumerate(depths):
        cv2.imwrite(str(folder / "d" / f"{number}_depth.png"), depth)
    camera, (height, width) = folder / "camera.yaml", depths[0].shape
    camera.write_text(
        f"depth_unit: mm\nfx: {focal}\nfy: {focal}\ncx: {(width - 1) / 2}\n"
        f"cy: {(height - 1) / 2}\nwidth: {width}\nheight: {height}\n"
    )
    return folder / "d", "--camera", camera


def block(table: int = 700) -> np.ndarray:
    """A small box on a table, whose distance is given in millimetres."""
    depth = np.full((128, 128), table, np.uint16)
    depth[64:77, 54:67] = table - 50
    return depth


def test_a_folder_is_watched_frame_by_frame(run, frames: Path, toy_model: ToyModel, tmp_path: Path):
    out, pictures = tmp_path / "out.jsonl", tmp_path / "pictures"
    status, text, err = run(
        "watch", frames, "--model", toy_model(), "--json", out, "--pictures", pictures
    )
    assert status == 0 and err == "" and text.startswith("8 frames in ")
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["frame"] for row in rows] == [str(number) for number in range(8)]
    assert {row["track"] for row in rows} == {1}
    moved = [row["grasps"][0]["u"] for row in rows]
    assert moved == pytest.approx([40 + 3 * number for number in range(8)], abs=3)
    assert len(list(pictures.iterdir())) == 8


def test_without_any_output_asked_for_each_frame_has_a_line(run, frames: Path, toy_model: ToyModel):
    status, text, err = run("watch", frames, "--model", toy_model(), "--frames", 3)
    lines = text.splitlines()
    assert status == 0 and err == "" and len(lines) == 4 and "3 frames in" in lines[-1]
    assert [line.partition(":")[0] for line in lines[:3]] == ["0", "1", "2"]
    assert all("quality" in line for line in lines[:3])


def test_json_goes_to_standard_output_alone(run, frames: Path, toy_model: ToyModel):
    words = ("--model", toy_model(), "--frames", 3, "--no-track", "--json")
    status, text, err = run("watch", frames, *words)
    assert status == 0 and "3 frames in" in err
    rows = [json.loads(line) for line in text.splitlines()]
    assert len(rows) == 3 and all(row["track"] is None for row in rows)


def test_the_camera_file_gives_unit_and_intrinsics(run, toy_model: ToyModel, tmp_path: Path):
    (tmp_path / "d").mkdir()
    depth = np.full((128, 128), 700, np.uint16)
    cv2.circle(depth, (60, 70), 8, 600, -1)
    cv2.imwrite(str(tmp_path / "d" / "0_depth.png"), depth)
    model = toy_model(modality="depth")
    assert "state their unit" in run("watch", tmp_path / "d", "--model", model)[2]
    camera = tmp_path / "camera.yaml"
    camera.write_text("depth_unit: mm\n")
    status, text, _ = run("watch", tmp_path / "d", "--model", model, "--camera", camera, "--json")
    assert status == 0
    assert json.loads(text)["grasps"][0]["u"] == pytest.approx(60, abs=2)


def test_with_a_gripper_there_are_poses_or_reasons(
    run, toy_model: ToyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    told = []
    plain = Detector.run
    monkeypatch.setattr(
        Detector, "run", lambda *words, **how: told.append(how["focal"]) or plain(*words, **how)
    )
    half_known = block()
    half_known[:, 62:] = 0
    folder, *camera = seen_from_above(tmp_path, [block(), half_known], 350)
    words = ("--model", toy_model(modality="depth"), *camera, "--gripper", "panda")
    status, text, _ = run("watch", folder, *words, "--no-track", "--json")
    first, second = (json.loads(line) for line in text.splitlines())
    assert status == 0
    (pose,) = first["poses"]
    place = np.array(pose["pose"])[:3, 3]
    assert place[:2] == pytest.approx((np.array([60, 70]) - 63.5) / 350 * 0.65, abs=0.004)
    assert 0.02 < pose["width_m"] <= 0.08
    assert second["poses"][0]["pose"] is None and "no depth" in second["poses"][0]["reason"]
    _, text, _ = run("detect", "--depth", folder, *words, "--json")
    for ours, theirs in zip((first, second), json.loads(text), strict=True):
        for key in ("gripper", "pose_frame", "poses"):  # what reads one reads the other
            assert ours[key] == theirs[key]
    assert told[-2:] == [350, 350]  # a model that uses it is told the focal length

    moved = np.eye(4)
    moved[:3, 3] = 0.5, 0, 0.2
    for setup, name in (("eye-to-hand", "robot"), ("eye-in-hand", "hand")):
        hand_eye = tmp_path / f"{setup}.json"
        hand_eye.write_text(HandEye(setup, moved).to_json())
        more = ("--no-track", "--json", "--hand-eye", hand_eye)
        again = json.loads(run("watch", folder, *words, *more)[1].splitlines()[0])
        assert (first["pose_frame"], again["pose_frame"]) == ("camera", name)
        shift = np.array(again["poses"][0]["pose"]) - np.array(pose["pose"])
        assert shift[:3, 3] == pytest.approx([0.5, 0, 0.2], abs=1e-6)


@pytest.mark.parametrize("named", [True, False])
def test_the_model_is_ready_before_the_first_frame_comes(
    run, frames: Path, toy_model: ToyModel, monkeypatch: pytest.MonkeyPatch, named: bool
):
    events = []
    opened, started, ran = detector.open_backend, Stream.__enter__, Detector.run
    for place, name, plain in (
        (detector, "open_backend", opened),
        (Stream, "__enter__", started),
        (Detector, "run", ran),
    ):
        monkeypatch.setattr(
            place,
            name,
            lambda *words, name=name, plain=plain, **how: (
                events.append(name) or plain(*words, **how)
            ),
        )
    words = ("--model", toy_model()) if named else ("--backend", "onnxruntime")
    assert run("watch", frames, "--frames", 2, *words)[0] == 0
    assert events == ["open_backend", "run", "__enter__", "run", "run"]


def test_poses_that_a_source_cannot_give_have_a_reason(run, frames: Path, toy_model: ToyModel):
    words = ("--model", toy_model(), "--gripper", "panda", "--json")
    status, text, err = run("watch", frames, *words)
    assert status == 0 and err.count("0: no poses: the frame has no depth") == 1
    assert err.count("no poses") == 1
    for row in map(json.loads, text.splitlines()):
        (pose,) = row["poses"]
        assert pose.pop("reason") == "the frame has no depth" and set(pose.values()) == {None}


def test_wrong_input_is_one_line(run, frames: Path, toy_model: ToyModel, tmp_path: Path):
    for words, message in [
        ((), "nothing to watch"),
        (("nowhere",), "no such folder or file"),
        ((frames, "--rate", "fast"), "--rate fast"),
        ((frames, "--frames", 0), "--frames is 0"),
        ((frames, "--clamp"), "--gripper"),
        ((frames, "--steadiness", 1), "steadiness is 1"),
        ((frames, "--steadiness", 0.2, "--no-track"), "--steadiness smooths the grasp that is fol"),
        ((frames, "--rerun", "a.txt"), "NAME.rrd"),
        ((frames, "--give-up", -1), "above 0"),
        ((frames, "--gripper", "tongs"), "'tongs'"),
        ((frames, "--pictures", frames / "0.png"), "is a file"),
        ((frames, "--top", 0), "top is 0"),
        ((frames, "--hand-eye", "h.json"), "give --gripper and --json"),
        ((frames, "--threshold", 2), "threshold is 2"),
        ((frames, "--backend", "abacus"), "no backend 'abacus'"),
        ((frames, "--precision", "fp8"), "no precision 'fp8'"),
        (("realsense,widht=3",), "no option 'widht'"),
        ((frames / "%d.png", "--depth-unit", "mm"), "--depth-unit is for a folder"),
    ]:
        assert message in complaint(run("watch", *words, *(("--model", toy_model()) * bool(words))))


def test_intrinsics_of_another_image_size_are_refused(
    run, frames: Path, toy_model: ToyModel, tmp_path: Path
):
    camera = tmp_path / "camera.yaml"
    camera.write_text("{fx: 700, fy: 700, cx: 127.5, cy: 127.5, width: 256, height: 256}")
    words = ("--model", toy_model(), "--camera", camera)
    for more in ((), ("--no-track",)):
        status, _, err = run("watch", frames, *words, *more)
        assert status == 1 and "for 256 x 256 pixels, the frame has 128 x 128" in err


def test_nothing_is_written_over_what_is_read(run, frames: Path, toy_model: ToyModel):
    model, camera = toy_model(), frames / "camera.json"
    camera.write_text("{}")
    for target in (camera, model, model.with_suffix(".json")):
        words = ("--model", model, "--camera", camera, "--json", target)
        assert "is an input" in complaint(run("watch", frames, *words))
    assert camera.read_text() == "{}"
    words = ("--model", model, "--pictures", frames)
    assert "the frames lie there" in complaint(run("watch", frames, *words))
    before = (frames / "2.png").read_bytes()
    for source in (frames, f"folder:{frames}", frames / "%d.png", f"video:{frames / '%d.png'}"):
        for option in ("--json", "--rerun"):
            line = complaint(run("watch", source, "--model", model, option, frames / "2.png"))
            assert "2.png lies among the frames and is there already" in line
        line = complaint(run("watch", source, "--model", model, "--pictures", frames))
        assert "the frames lie there" in line
    assert (frames / "2.png").read_bytes() == before
    new = frames / "out.jsonl"
    assert run("watch", frames, "--model", model, "--frames", 1, "--json", new)[0] == 0


@pytest.mark.parametrize("kind", ["", "folder:"])
def test_nothing_is_written_into_folders_of_images(run, toy_model: ToyModel, tmp_path: Path, kind):
    root = tmp_path / "a,b"
    for number in range(2):
        (root / "rgb").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / "rgb" / f"{number}.png"), blob(60, 70))
    words = ("watch", f"{kind}{root}", "--model", toy_model())
    for folder in ("rgb", "depth", "images", "."):  # which would be frames the next time
        assert "the frames lie there" in complaint(run(*words, "--pictures", root / folder))
    line = complaint(run(*words, "--json", root / "rgb" / "1.png"))
    assert "1.png lies among the frames" in line
    assert run(*words, "--pictures", root / "made")[0] == 0
    assert len(list((root / "made").iterdir())) == 2


def test_an_earlier_result_stays_until_there_is_a_frame(
    run, frames: Path, toy_model: ToyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "tkinter", None)
    old = tmp_path / "old.jsonl"
    old.write_text("precious\n")
    words = ("--model", toy_model(), "--json", old)
    for more in ((frames, "--rate", 0), (frames, "--show"), ("camera:7",)):
        assert run("watch", *more, *words)[0] == 1
        assert old.read_text() == "precious\n"
    assert run("watch", frames, "--frames", 1, *words)[0] == 0
    assert json.loads(old.read_text())["frame"] == "0"


def test_a_bag_is_not_written_over(run, toy_model: ToyModel, tmp_path: Path, monkeypatch):
    class Recording(Source):
        def __init__(self, place: str, *words: object) -> None:
            self.name, self.reads = place, (Path(place),)

        def frames(self):
            yield Frame("0", np.zeros((128, 128, 3), np.uint8))

    bag = tmp_path / "bag"
    bag.mkdir()
    (bag / "metadata.yaml").write_text("x")
    monkeypatch.setitem(KINDS, "bag", replace(KINDS["bag"], open=Recording))
    words = ("watch", bag, "--model", toy_model(), "--json", bag / "metadata.yaml")
    assert "metadata.yaml lies among the frames" in complaint(run(*words))
    assert (bag / "metadata.yaml").read_text() == "x"


def test_frames_that_can_all_not_be_used_are_an_error_also_with_a_limit(
    run, frames: Path, toy_model: ToyModel
):
    status, _, err = run("watch", frames, "--model", toy_model(modality="depth"), "--frames", 2)
    assert status == 1 and "none of 2 frames can be used" in err


def test_a_detector_with_a_critic_watches_frame_by_frame(run, tmp_path: Path):
    depth = np.full((120, 160), 700, np.uint16)
    depth[50:62, 40:110] = 650
    words = ("watch", *seen_from_above(tmp_path, [depth], 150), "--model", "prop_gqcnn")
    assert "--no-track" in complaint(run(*words))
    status, text, err = run(*words, "--no-track", "--json")
    assert status == 0, err
    row = json.loads(text)
    assert row["grasps"] and row["grasps"][0]["z_m"] > 0.5 and row["track"] is None


@pytest.mark.parametrize("behind", [("--rerank",), ("--fallback", "prop_gqcnn")])
def test_a_critic_behind_a_model_says_what_it_says_to_detect(
    run, toy_model: ToyModel, tmp_path: Path, behind: tuple[str, ...]
):
    folder, *camera = seen_from_above(tmp_path, [block()], 350)
    words = ("--model", toy_model(modality="depth"), *camera, "--top", 3, *behind)
    assert "a critic judges each" in complaint(run("watch", folder, *words))
    status, text, err = run("watch", folder, *words, "--no-track", "--json")
    assert status == 0, err
    _, theirs, _ = run("detect", "--depth", folder, *words, "--json")
    (there,) = json.loads(theirs)
    assert json.loads(text)["grasps"] == there["grasps"] and there["grasps"]
    assert "nothing asks it" in complaint(
        run("watch", folder, "--critic", "gqcnn_light-generated-depth")
    )


def test_a_camera_at_another_height_is_told_once(run, toy_model: ToyModel, tmp_path: Path):
    words = ("watch", *seen_from_above(tmp_path, [block(4000)] * 3, 350), "--model")
    status, _, err = run(*words, "graspling_s-generated-depth")
    assert status == 0 and err.count("the camera is 4.00 m above the table") == 1
    assert "above the table" not in run(*words, toy_model(modality="depth"))[2]


def test_ctrl_c_ends_it_with_a_summary(frames: Path, toy_model: ToyModel):
    command = [sys.executable, "-m", "graspling", "watch", str(frames), "--rate", "1"]
    command += ["--model", str(toy_model()), "--json"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell's background job ignores Ctrl-C, and so would what it starts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=60)
    assert json.loads(first)["frame"] == "0"
    assert process.returncode == 130
    assert len(rest.splitlines()) < 7
    assert "frames in" in err and err.endswith("graspling: error: interrupted\n")
    assert "Traceback" not in err
