"""Where the camera stands: what `graspling detect` says of heights, and poses of a moving hand."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from toys import complaint

from graspling.hand_eye import HandEye

MODEL = "graspling_s-generated-depth"
INTRINSICS = {"fx": 350, "fy": 350, "cx": 63.5, "cy": 63.5, "width": 128, "height": 128}


@pytest.fixture
def frames(tmp_path):
    """Writes depth frames of a table so many counts away, a folder of them."""

    def write(*counts: int):
        folder = tmp_path / "frames"
        folder.mkdir(exist_ok=True)
        for number, count in enumerate(counts):
            depth = np.full((128, 128), count, np.uint16)
            depth[64:77, 54:67] = count * 0.92
            cv2.imwrite(str(folder / f"{number}_depth.png"), depth)
        return folder

    return write


@pytest.fixture
def camera(tmp_path):
    path = tmp_path / "camera.json"
    path.write_text(json.dumps(INTRINSICS))
    return path


def test_depth_out_of_the_range_of_the_model_is_told_once(run, frames, camera, toy_model):
    folder = frames(700, 7000, 7100)  # tenths of a millimetre said to be millimetres
    words = ("detect", "--depth", folder, "--depth-unit", "mm", "--model")
    with_camera = ("--camera", camera)
    for more in ((), with_camera, (*with_camera, "--gripper", "panda")):
        status, out, err = run(*words, MODEL, *more, "--json")
        assert status == 0 and len(json.loads(out)) == 3
        assert err.count("graspling: warning: ") == 1 and "learned from" in err
        assert f"1_depth: the {'camera is' if more else 'typical depth is'} 7.0" in err
    assert "learned from" not in run(*words, toy_model(modality="depth"))[2]
    assert "learned from" not in run(*words[:2], folder / "0_depth.png", *words[3:], MODEL)[2]


def test_one_pose_of_the_hand_is_for_one_frame(run, frames, camera, toy_model, tmp_path):
    folder, model = frames(700, 710, 720), toy_model(modality="depth")
    pose, hand_eye = tmp_path / "pose.json", tmp_path / "hand_eye.json"
    pose.write_text(json.dumps(np.eye(4).tolist()))
    words = ("--depth-unit", "mm", "--camera", camera, "--model", model, "--gripper", "panda")
    words += ("--hand-eye", hand_eye, "--robot-pose", pose)
    hand_eye.write_text(HandEye("eye-in-hand", np.eye(4)).to_json())
    line = complaint(run("detect", "--depth", folder, *words))
    assert "for 3 frames" in line and "one frame at a time" in line
    assert run("detect", "--depth", folder / "0_depth.png", *words)[0] == 0
    hand_eye.write_text(HandEye("eye-to-hand", np.eye(4)).to_json())
    assert "leave --robot-pose out" in complaint(run("detect", "--depth", folder, *words))
    assert run("detect", "--depth", folder, *words[:-2])[0] == 0


def test_the_pose_of_the_hand_in_the_layouts_of_calibrate(run, frames, camera, toy_model, tmp_path):
    hand_eye = tmp_path / "hand_eye.json"
    hand_eye.write_text(HandEye("eye-in-hand", np.eye(4)).to_json())
    row = "x,y,z,qx,qy,qz,qw\n" + "0.1,0,0,0,0,0,1\n"
    shifted = np.eye(4)
    shifted[0, 3] = 0.1
    words = ("detect", "--depth", frames(700) / "0_depth.png", "--depth-unit", "mm", "--camera")
    words += (camera, "--model", toy_model(modality="depth"), "--gripper", "panda", "--json")
    words += ("--hand-eye", hand_eye, "--robot-pose")
    found = []
    for name, text in (
        ("a.json", json.dumps(shifted.tolist())),
        ("b.json", json.dumps({"poses": [{"pose": shifted.tolist()}]})),
        ("c.csv", row),
        ("d.json", json.dumps([shifted.tolist()])),
        ("e.json", json.dumps([{"position": [0.1, 0, 0], "quaternion": [0, 0, 0, 1]}])),
    ):
        (tmp_path / name).write_text(text)
        status, out, err = run(*words, tmp_path / name)
        assert status == 0, err
        found.append(json.loads(out)["poses"][0]["pose"])
    assert all(pose == found[0] is not None for pose in found)
    (tmp_path / "two.csv").write_text(row + "0.2,0,0,0,0,0,1\n")
    assert "two.csv: holds 2 poses" in complaint(run(*words, tmp_path / "two.csv"))
    for number in (2, 4):
        (tmp_path / "many.json").write_text(json.dumps([shifted.tolist()] * number))
        line = complaint(run(*words, tmp_path / "many.json"))
        assert f"many.json: holds {number} poses, expected one" in line
    (tmp_path / "none.json").write_text("[]")
    assert "none.json: holds 0 poses" in complaint(run(*words, tmp_path / "none.json"))
    (tmp_path / "short.json").write_text(json.dumps(shifted[:3].tolist()))
    assert "short.json: the pose" in complaint(run(*words, tmp_path / "short.json"))


def test_a_camera_that_looks_up_by_its_poses_is_named(run, frames, camera, toy_model, tmp_path):
    """Down as the robot knows it is behind the camera: the poses are at fault, not gravity."""
    hand_eye = tmp_path / "hand_eye.json"
    words = ("detect", "--depth", frames(700) / "0_depth.png", "--depth-unit", "mm", "--camera")
    words += (camera, "--model", toy_model(modality="depth"), "--gripper", "panda")
    words += ("--approach", "gravity", "--hand-eye", hand_eye)
    hand_eye.write_text(HandEye("eye-to-hand", np.diag([1.0, -1, -1, 1])).to_json())
    assert run(*words)[0] == 0
    hand_eye.write_text(HandEye("eye-to-hand", np.eye(4)).to_json())
    line = complaint(run(*words))
    assert "hand_eye.json: by it the camera looks 180 degrees away from straight down" in line
    assert "array" not in line
    hand_eye.write_text(HandEye("eye-in-hand", np.eye(4)).to_json())
    pose = tmp_path / "pose.json"
    pose.write_text(json.dumps(np.eye(4).tolist()))
    line = complaint(run(*words, "--robot-pose", pose))
    assert "hand_eye.json and" in line and "pose.json: by them the camera looks 180 degrees" in line
