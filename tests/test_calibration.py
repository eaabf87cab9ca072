"""Hand-eye calibration on rendered boards with known truth."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from boards import BASE_EYE, BOARD, CAMERA, HAND_EYE, off, render, rigid, shaken, truth, views_of

from graspling.calibration import calibrate
from graspling.calibration.report import _tile
from graspling.calibration.robot_poses import read_poses
from graspling.errors import InputError
from graspling.hand_eye import HandEye


@pytest.mark.parametrize(("setup", "want"), [("eye-in-hand", HAND_EYE), ("eye-to-hand", BASE_EYE)])
def test_fifteen_rendered_boards(setup: str, want: np.ndarray) -> None:
    robot, boards = truth(setup, 15)
    views = [BOARD.find(render(pose), CAMERA) for pose in boards]
    assert all(view is not None for view in views)
    solution = calibrate(views, robot, setup, CAMERA.fx)  # type: ignore[arg-type]
    mm, degrees = off(solution.hand_eye.transform, want)
    assert mm < 1 and degrees < 0.2
    assert solution.kept.all() and not solution.warnings
    assert solution.error_px.max() < 0.5
    if hasattr(cv2, "calibrateHandEye"):  # gone from OpenCV 5
        parts = [[poses[:, :3, :3], poses[:, :3, 3]] for poses in (robot, boards)]
        if setup == "eye-to-hand":
            inverse = np.linalg.inv(robot)
            parts[0] = [inverse[:, :3, :3], inverse[:, :3, 3]]
        turn, shift = cv2.calibrateHandEye(*map(list, (*parts[0], *parts[1])))
        np.testing.assert_allclose(solution.hand_eye.transform[:3, :3], turn, atol=0.004)
        np.testing.assert_allclose(solution.hand_eye.transform[:3, 3], shift.ravel(), atol=0.001)
    assert solution.spread_m < 0.002 and mm < 4 * solution.spread_m * 1e3 + 0.2


@pytest.mark.parametrize("setup", ["eye-in-hand", "eye-to-hand"])
def test_outliers_are_left_out(setup: str) -> None:
    robot, boards = truth(setup, 15, seed=3)
    robot[4] = robot[4] @ rigid([0, 0.2, 0], [0.03, 0, 0])
    robot[9] = robot[9] @ rigid([0, 0, 0], [0, 0.02, 0.01])
    solution = calibrate(views_of(boards, 0.1), robot, setup, 600)  # type: ignore[arg-type]
    assert np.flatnonzero(~solution.kept).tolist() == [4, 9]
    want = HAND_EYE if setup == "eye-in-hand" else BASE_EYE
    mm, degrees = off(solution.hand_eye.transform, want)
    assert mm < 1 and degrees < 0.2
    assert any("2 of 15 images do not fit" in line for line in solution.warnings)


def test_a_board_behind_the_camera_is_drawn_where_it_is_seen() -> None:
    """Where a pose that is all wrong would have it, it has no pixels."""
    seen = np.array([[100.0, 50.0], [200.0, 80.0]])
    grey = np.full((480, 640), 128, np.uint8)
    there, nowhere = (
        _tile(grey, seen, end, "1.png", kept=False) for end in (seen + 5, seen * np.nan)
    )
    assert there.shape == nowhere.shape and (there != nowhere).any()


def test_noise_is_reported_and_not_hidden() -> None:
    robot, boards = truth("eye-in-hand", 15)
    rng = np.random.default_rng(5)
    for row in range(15):
        noise = rigid((rng.normal(0, 0.01, 3)).tolist(), (rng.normal(0, 0.003, 3)).tolist())
        robot[row] = robot[row] @ noise
    solution = calibrate(views_of(boards, 0.1), robot, "eye-in-hand", 600)
    assert any(line.startswith("noisy: ") for line in solution.warnings)
    mm, degrees = off(solution.hand_eye.transform, HAND_EYE)
    # the standard error is of the size of the error
    assert mm < 4 * solution.spread_m * 1e3 and degrees < 4 * np.rad2deg(solution.spread_rad)


@pytest.mark.parametrize(("setup", "want"), [("eye-in-hand", HAND_EYE), ("eye-to-hand", BASE_EYE)])
def test_a_robot_that_is_a_little_off_does_not_carry_the_camera_away(setup, want) -> None:
    """0.5 mm and 0.05 degrees an axis at the hand: the corners, seen ten times better, must not be
    explained by a camera that is elsewhere."""
    errors, promised = [], []
    for seed in range(4):
        robot, boards = truth(setup, 15, seed)
        rng = np.random.default_rng(seed)
        for row in range(15):
            turn = rng.normal(0, np.deg2rad(0.05), 3).tolist()
            robot[row] = robot[row] @ rigid(turn, rng.normal(0, 0.0005, 3).tolist())
        solution = calibrate(views_of(boards, 0.1), robot, setup, 600)  # type: ignore[arg-type]
        errors.append(off(solution.hand_eye.transform, want))
        promised.append((solution.spread_m * 1e3, np.rad2deg(solution.spread_rad)))
        assert solution.kept.all()
    mm, degrees = np.sqrt(np.square(errors).mean(axis=0))
    assert mm < 1 and degrees < 0.1
    np.testing.assert_array_less([mm, degrees], 3 * np.mean(promised, axis=0))
    np.testing.assert_array_less(np.mean(promised, axis=0), [1, 0.15])


@pytest.mark.parametrize("setup", ["eye-in-hand", "eye-to-hand"])
def test_swapped_input_is_named(setup: str) -> None:
    robot, boards = truth(setup, 12, seed=2)
    views = views_of(boards, 0.1)
    other = "eye-to-hand" if setup == "eye-in-hand" else "eye-in-hand"
    with pytest.raises(InputError, match=f"either the setup is {setup}, or the poses are inverted"):
        calibrate(views, robot, other, 600)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=f"setup is {other}, or the poses are inverted"):
        calibrate(views, np.linalg.inv(robot), setup, 600)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="order of the poses reversed"):
        calibrate(views, robot[::-1], setup, 600)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="order of the poses moved"):
        calibrate(views, np.roll(robot, 1, axis=0), setup, 600)  # type: ignore[arg-type]
    shuffled = robot[np.random.default_rng(4).permutation(12)]
    with pytest.raises(InputError, match="in another order"):
        calibrate(views, shuffled, setup, 600)  # type: ignore[arg-type]
    stretched = robot.copy()
    stretched[:, 0, 3] *= 2  # one axis alone: no size of the board explains that
    with pytest.raises(InputError, match="lengths are wrong: check the square"):
        calibrate(views, stretched, setup, 600)  # type: ignore[arg-type]


@pytest.mark.parametrize("setup", ["eye-in-hand", "eye-to-hand"])
def test_noisy_robot_poses_are_among_the_reasons_that_are_named(setup: str) -> None:
    robot, boards = truth(setup, 15, seed=7)
    noisy = shaken(robot, 0.010, 2, seed=1)
    with pytest.raises(InputError, match="the robot's poses are inexact"):
        calibrate(views_of(boards, 0.1), noisy, setup, 600)  # type: ignore[arg-type]


def test_too_little_to_go_on() -> None:
    robot, boards = truth("eye-in-hand", 12)
    views = views_of(boards)
    with pytest.raises(InputError, match="found in 4 images"):
        calibrate(views[:4], robot[:4], "eye-in-hand", 600)
    far = robot.copy()
    far[:, :3, 3] *= 1000
    with pytest.raises(InputError, match="millimetres"):
        calibrate(views, far, "eye-in-hand", 600)
    still = np.repeat(robot[:1], 12, axis=0)
    with pytest.raises(InputError, match="turned by 0.0 degrees"):
        calibrate(views, still, "eye-in-hand", 600)
    spun = np.stack([robot[0] @ rigid([0, 0, 0.2 * k], [0, 0, 0]) for k in range(12)])
    with pytest.raises(InputError, match="about one axis only"):
        calibrate(views, spun, "eye-in-hand", 600)


@pytest.mark.parametrize("outliers", [1, 2, 6])
@pytest.mark.parametrize("seed", range(4))
def test_outliers_do_not_lend_the_robot_a_second_axis(seed: int, outliers: int) -> None:
    """They turn it, but they do not count: what is left leaves the camera open."""
    robot, boards = truth("eye-in-hand", 12 + outliers, seed)
    about_one = [robot[0] @ rigid([0, angle, 0], [0, 0, 0]) for angle in np.linspace(-0.3, 0.3, 12)]
    robot[:12] = np.stack(about_one)
    fixed = robot[0] @ HAND_EYE @ boards[0]
    boards = np.linalg.inv(robot @ HAND_EYE) @ fixed
    robot = shaken(robot, 0.0003, 0.02, seed)
    robot[12:] = shaken(robot[12:], 0.03, 4, seed)
    with pytest.raises(InputError, match="the robot turned about one axis only"):
        calibrate(views_of(boards, 0.1), robot, "eye-in-hand", 600)


def test_images_that_agree_must_be_enough() -> None:
    robot, boards = truth("eye-in-hand", 6)
    robot[0] = robot[0] @ rigid([0, 0.05, 0], [0.02, 0, 0])
    robot[3] = robot[3] @ rigid([0.05, 0, 0], [0, 0.02, 0])
    with pytest.raises(InputError, match="4 of 6 agree, expected 5 or more"):
        calibrate(views_of(boards, 0.1), robot, "eye-in-hand", 600)


def test_a_fit_that_has_no_answer_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def singular(*words: object, **how: object) -> None:
        raise np.linalg.LinAlgError("Matrix is not positive definite")

    robot, boards = truth("eye-in-hand", 12)
    monkeypatch.setattr("graspling.calibration.solve.refine", singular)
    with pytest.raises(InputError, match="leave open where the camera is"):
        calibrate(views_of(boards), robot, "eye-in-hand", 600)


def test_board_and_hand_eye_files(tmp_path) -> None:
    assert BOARD.find(np.full((480, 640), 255, np.uint8), CAMERA) is None
    with pytest.raises(InputError, match="640 x 480"):
        BOARD.find(np.zeros((10, 10), np.uint8), CAMERA)
    for change in ({"columns": 2}, {"marker": 0.04}, {"dictionary": "DICT_9"}, {"columns": 60}):
        with pytest.raises(InputError):
            replace(BOARD, **change)
    path = tmp_path / "hand_eye.json"
    path.write_text(HandEye("eye-in-hand", HAND_EYE).to_json())
    loaded = HandEye.load(path)
    np.testing.assert_array_equal(loaded.transform, HAND_EYE)
    np.testing.assert_allclose(loaded.robot_from_camera(np.eye(4)), HAND_EYE)
    with pytest.raises(InputError, match="camera is in the hand"):
        loaded.robot_from_camera()
    path.write_text('{"schema": "other"}')
    with pytest.raises(InputError, match="no hand-eye calibration"):
        HandEye.load(path)
    path.write_text(loaded.to_json().replace("eye-in-hand", "eye-to-hand"))
    with pytest.raises(InputError, match="base_from_camera is missing, which eye-to-hand needs"):
        HandEye.load(path)


def test_poses_without_names_belong_to_the_images_as_a_person_counts(tmp_path) -> None:
    poses = [rigid([0, 0, 0], [number, 0, 0]).tolist() for number in (1, 2, 3, 10, 11)]
    path = tmp_path / "poses.json"
    path.write_text(json.dumps(poses))
    names = ["1.png", "10.png", "11.png", "2.png", "3.png"]  # as folders and shells list them
    found = read_poses(path, [tmp_path / name for name in names])
    assert found[:, 0, 3].tolist() == [1, 10, 11, 2, 3]
    names = ["b/shot1.png", "b/shot.png", "a10/9.png", "a9/10.png", "a9/9.png"]
    found = read_poses(path, [tmp_path / name for name in names])
    assert found[:, 0, 3].tolist() == [11, 10, 3, 2, 1]


def test_robot_poses_in_every_layout(tmp_path) -> None:
    robot, _ = truth("eye-in-hand", 4)
    images = [tmp_path / f"{name}.png" for name in "abcd"]
    quaternions = []
    for pose in robot:
        vector = cv2.Rodrigues(pose[:3, :3])[0].ravel()
        angle = np.linalg.norm(vector)
        quaternions.append([*(vector / angle * np.sin(angle / 2)), np.cos(angle / 2)])
    position = robot[:, :3, 3]
    path = tmp_path / "poses.json"
    layouts = [
        [pose.tolist() for pose in robot],
        {"poses": [{"pose": pose.tolist()} for pose in robot]},
        [
            {"image": f"other/{image.name}", "position": list(p), "quaternion": q}
            for image, p, q in reversed(list(zip(images, position, quaternions, strict=True)))
        ],
    ]
    for layout in layouts:
        path.write_text(json.dumps(layout))
        np.testing.assert_allclose(read_poses(path, images), robot, atol=1e-9)
    table = tmp_path / "poses.csv"
    for header, numbers in (
        ("x,y,z,qx,qy,qz,qw", quaternions),
        ("x, y, z, rx, ry, rz", [cv2.Rodrigues(pose[:3, :3])[0].ravel() for pose in robot]),
    ):
        rows = [
            ",".join(map(repr, map(float, [*p, *n])))
            for p, n in zip(position, numbers, strict=True)
        ]
        table.write_text("\n".join([header, *rows]))
        np.testing.assert_allclose(read_poses(table, images), robot, atol=1e-9)
    rows = [f"{name}.png,{number},0,0,0,0,0" for number, name in enumerate("dcba")]
    table.write_text("\n".join(["image,x,y,z,rx,ry,rz", *rows]), encoding="utf-8-sig")  # of Excel
    assert read_poses(table, images)[:, 0, 3].tolist() == [3, 2, 1, 0]
    table.write_text("\n".join(["image,x,y,z,rx,ry,rz", *rows]).replace(",", ";"))
    with pytest.raises(InputError, match="semicolons; expected commas"):
        read_poses(table, images)
    for text, words in (
        (json.dumps([pose.tolist() for pose in robot[:3]]), "3 poses for 4 images"),
        (json.dumps([{"image": "a.png", "pose": robot[0].tolist()}]), "no pose for b.png"),
        (json.dumps([{"position": [0, 0, 0], "quaternion": [1, 1, 0, 0]}]), "expected 1"),
        (json.dumps([{"x": 1}]), "pose 1: expected pose"),
        (json.dumps([[[1, 2], [3, 4]]]), "pose 1: the pose"),
        (
            json.dumps([(pose * 1.1).tolist() for pose in robot]),
            "pose 1: the pose: .*a rotation and a shift",
        ),
        (
            json.dumps([pose.T.tolist() for pose in robot]),
            "pose 1: the pose: .*a rotation and a shift",
        ),
        ("{}", "list of poses"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=words):
            read_poses(path, images)
    with pytest.raises(InputError, match="cannot read the robot poses .*none.json"):
        read_poses(tmp_path / "none.json", images)
    table.write_text("x,y,z,rx,ry,rz\n0,0,0,0,90,0\n")
    with pytest.raises(InputError, match="degrees"):
        read_poses(table, images[:1])


def test_a_board_that_no_image_shows_is_doubted() -> None:
    with pytest.raises(InputError, match="in 0 images.*columns, rows and dictionary"):
        calibrate([], np.zeros((0, 4, 4)), "eye-in-hand", 500.0)
