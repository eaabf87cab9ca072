from __future__ import annotations

import json
import os

import cv2
import numpy as np
import pytest
from toys import complaint

from graspling.cli.camera import CameraFile
from graspling.errors import InputError
from graspling.hand_eye import HandEye
from graspling.sources.pairs import FramePaths, frame_paths


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


def test_an_image_by_itself_is_told_how_it_is_given(run, frame):
    assert f"Unrecognized options: {frame}; give images as --rgb {frame} or" in complaint(
        run("detect", frame)
    )


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


def test_the_picture_shows_what_was_looked_at(run, toy_model, frame, tmp_path):
    pictures = []
    for name, region in (("crop", []), ("left", ["--roi", 0, 0, 50, 50])):
        path = tmp_path / f"{name}.png"
        run("detect", "--rgb", frame, "--model", toy_model(), "--picture", path, *region)
        pictures.append(cv2.imread(str(path)))
    whole, left = pictures
    assert whole.shape == left.shape and (whole != left).any()


def test_a_camera_file_registers_depth_of_another_size(
    run, toy_model, frame, depth_frame, tmp_path
):
    half = tmp_path / "half" / "frame_depth.png"
    half.parent.mkdir()
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
    status, out, err = run(*words, "--camera", camera, "--json", "-")
    assert status == 0 and len(json.loads(out)["grasps"]) == 1
    assert "warning" not in err
    # depth that comes alone is registered as well: its grasps lie in an image that was not given
    alone = ["detect", "--depth", half, "--model", toy_model(modality="depth"), "--camera", camera]
    status, _, err = run(*alone)
    assert status == 0 and err.count("warning") == 1
    assert "registers depth to the colour camera: u and v are pixels of its 128 x 128 images" in err


def test_intrinsics_of_another_image_size_are_refused(run, toy_model, frame, tmp_path):
    camera = tmp_path / "camera.json"
    intrinsics = {"fx": 100, "fy": 100, "cx": 63.5, "cy": 63.5, "width": 128, "height": 128}
    words = ["detect", "--rgb", frame, "--model", toy_model(), "--camera", camera]
    camera.write_text(json.dumps(intrinsics))
    assert run(*words)[0] == 0
    camera.write_text(json.dumps(intrinsics | {"width": 256}))
    assert "256 x 128 pixels, the frame has 128 x 128" in complaint(run(*words))


def test_camera_files_that_say_nothing_are_refused(tmp_path):
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


@pytest.mark.parametrize(
    ("colour", "depth", "alike"),
    [
        ("cups_rgb.png", "tools_depth.png", False),
        ("color_3.png", "depth_4.npy", False),
        ("cups_rgb.png", "cups_depth.png", True),
        ("rgb.png", "depth.png", True),
        ("view.png", "d.npy", True),  # names that say nothing
        ("cups_rgb.png", "d.npy", True),
    ],
)
def test_a_pair_whose_names_are_of_two_frames_is_told(tmp_path, colour, depth, alike):
    assert FramePaths(tmp_path / colour, tmp_path / depth).alike == alike


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


def test_nothing_is_written_over_an_input_or_another_output(run, toy_model, frame, tmp_path):
    before, model = frame.read_bytes(), toy_model()
    words = ["detect", "--rgb", frame, "--model", model]
    assert "is an input" in complaint(run(*words, "--json", frame))
    assert "is an input" in complaint(run(*words, "--picture", frame))
    assert "is an input" in complaint(run(*words, "--json", model))
    assert "is an input" in complaint(run(*words, "--json", model.with_suffix(".json")))
    folder = ("detect", "--rgb", frame.parent, "--model", model)
    assert "is an input" in complaint(run(*folder, "--picture", frame.parent))
    for option in ("--mask", "--camera", "--hand-eye", "--robot-pose"):
        file = tmp_path / "read.json"
        assert "is an input" in complaint(run(*words, option, file, "--json", file))
    both = tmp_path / "both.png"
    assert "another output" in complaint(run(*words, "--picture", both, "--json", both))
    assert frame.read_bytes() == before and not both.exists()


@pytest.mark.parametrize("threshold", ["nan", "inf", "1", "-0.1"])
def test_a_threshold_that_hides_everything_is_refused(run, toy_model, frame, threshold):
    words = ["detect", "--rgb", frame, "--model", toy_model(), f"--threshold={threshold}"]
    assert "threshold is" in complaint(run(*words))


def test_an_unset_shell_variable_is_no_folder(run, toy_model):
    assert "empty name" in complaint(run("detect", "--rgb", "", "--model", toy_model()))


def test_more_threads_than_processors_are_refused(run, toy_model, frame):
    words = ["detect", "--rgb", frame, "--model", toy_model(), "--threads", 100_000]
    assert "threads is 100000" in complaint(run(*words))


@pytest.fixture
def posed(depth_frame, tmp_path):
    """A depth frame with its camera file, and the words that detect its grasps."""
    camera = tmp_path / "poses_camera.json"
    image = cv2.imread(str(depth_frame), cv2.IMREAD_UNCHANGED)
    height, width = image.shape
    camera.write_text(
        json.dumps(
            {"fx": 600, "fy": 600, "cx": width / 2, "cy": height / 2, "width": width,
             "height": height, "depth_unit": "mm"}
        )
    )  # fmt: skip
    return ("detect", "--depth", depth_frame, "--camera", camera)


def test_poses_and_reasons_are_written(run, toy_model, posed, tmp_path):
    hand_eye = tmp_path / "hand_eye.json"
    moved = np.eye(4)
    moved[:3, 3] = 1, 2, 3
    hand_eye.write_text(HandEye("eye-to-hand", moved).to_json())
    words = (*posed, "--model", toy_model(modality="depth"), "--gripper", "panda", "--json", "-")
    status, out, err = run(*words)
    assert status == 0, err
    here = json.loads(out)
    assert here["pose_frame"] == "camera" and here["gripper"] == "panda"
    assert len(here["poses"]) == len(here["grasps"]) == 1
    status, out, _ = run(*words, "--hand-eye", hand_eye)
    there = json.loads(out)
    assert status == 0 and there["pose_frame"] == "robot"
    (a,), (b,) = here["poses"], there["poses"]
    assert a["reason"] == b["reason"]
    assert (a["pose"] is None) == bool(a["reason"])
    if a["pose"] is not None:
        np.testing.assert_allclose(b["pose"], moved @ a["pose"], atol=1e-12)
    # the table says either
    assert "no pose because" in err


@pytest.mark.parametrize(
    ("modality", "said"),
    [
        ("depth", "toy does not look at colour; those images were checked, no more"),
        ("rgb", "toy does not look at depth; only the poses do"),
    ],
)
def test_images_that_the_model_does_not_look_at_are_told(
    run, toy_model, posed, frame, modality, said
):
    words = (*posed, "--rgb", frame, "--model", toy_model(modality=modality))
    status, _, err = run(*words, "--gripper", "panda")
    assert status == 0 and said in err


def test_poses_need_what_they_need(run, toy_model, posed, frame, tmp_path):
    model = toy_model(modality="depth")
    hand_eye = tmp_path / "hand_eye.json"
    hand_eye.write_text(HandEye("eye-in-hand", np.eye(4)).to_json())
    for more, message in (
        (["--hand-eye", hand_eye], "name the gripper"),
        (["--gripper", "tongs"], "gripper 'tongs'"),
        (["--gripper", "panda", "--approach", "gravity"], "needs --hand-eye"),
        (["--gripper", "panda", "--hand-eye", hand_eye], "--robot-pose FILE"),
        (["--gripper", "panda", "--robot-pose", hand_eye], "needs --hand-eye"),
    ):
        assert message in complaint(run(*posed, "--model", model, *more))
    without = ("detect", "--depth", posed[2], "--depth-unit", "mm", "--gripper", "panda")
    assert "need intrinsics" in complaint(run(*without, "--model", model))
    pose = tmp_path / "pose.json"
    pose.write_text(json.dumps({"pose": np.eye(4).tolist()}))
    more = ["--gripper", "panda", "--hand-eye", hand_eye, "--robot-pose", pose, "--json", "-"]
    status, out, _ = run(*posed, "--model", model, *more)
    assert status == 0 and json.loads(out)["pose_frame"] == "robot"
    pose.write_text(json.dumps({"position": [0, 0, 0.1], "quaternion": [0, 0, 0, 1]}))
    assert run(*posed, "--model", model, *more)[0] == 0
    far = np.eye(4)
    far[:3, 3] = 400, 100, 600
    for text, words in (
        (json.dumps(far.tolist()), "millimetres"),
        ("[1, 2]", "the pose"),
        ("{", "robot pose file"),
    ):
        pose.write_text(text)
        assert words in complaint(run(*posed, "--model", model, *more))
    hand_eye.write_text(HandEye("eye-to-hand", np.eye(4)).to_json().replace("0.0", "900.0", 1))
    assert "hand_eye.json" in complaint(run(*posed, "--model", model, *more))
    with pytest.raises(InputError, match="millimetres"):
        HandEye("eye-to-hand", far)


def test_a_registration_in_millimetres_is_refused():
    camera = {"fx": 100, "fy": 100, "cx": 50, "cy": 50, "width": 100, "height": 100}
    matrix = np.eye(4)
    matrix[0, 3] = 15
    document = {"colour": camera, "depth": camera, "colour_from_depth": matrix.tolist()}
    with pytest.raises(InputError, match="millimetres"):
        CameraFile.from_dict(document)


def test_options_of_a_critic_that_nobody_asks_are_refused(run, toy_model, frame):
    words = ("detect", "--rgb", frame, "--model", toy_model())
    assert "nothing asks it" in complaint(run(*words, "--critic", "gqcnn_light-generated-depth"))
    assert "--refine" in complaint(run(*words, "--refine"))


def test_backend_and_precision_count_without_a_model_too(run, frame):
    assert "no precision 'fp8'" in complaint(run("detect", "--rgb", frame, "--precision", "fp8"))
    words = ("--backend", "onnxruntime", "--precision", "bf16")
    assert "in fp32 alone" in complaint(run("detect", "--rgb", frame, *words))
