from __future__ import annotations

import json
import struct

import cv2
import numpy as np
import pytest
from boards import BOARD, CAMERA, HAND_EYE, render, truth
from toys import complaint


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    """A folder with images, poses and a camera file; the last image shows no board."""
    folder = tmp_path_factory.mktemp("cell")
    robot, boards = truth("eye-in-hand", 8)
    (folder / "images").mkdir()
    for row, pose in enumerate(boards):
        cv2.imwrite(str(folder / "images" / f"{row}.png"), render(pose))
    cv2.imwrite(str(folder / "images" / "9.png"), np.full((480, 640), 120, np.uint8))
    poses = [*robot.tolist(), robot[0].tolist()]
    (folder / "poses.json").write_text(json.dumps(poses))
    (folder / "camera.json").write_text(json.dumps(CAMERA.to_dict()))
    return folder


def words(cell, *more):
    return (
        "calibrate", "--images", cell / "images", "--poses", cell / "poses.json",
        "--camera", cell / "camera.json", "--setup", "eye-in-hand", *more,
    )  # fmt: skip


def test_calibrate_writes_result_and_report(run, cell, tmp_path):
    out, report = tmp_path / "hand_eye.json", tmp_path / "report"
    status, text, err = run(*words(cell, "--out", out, "--report", report))
    assert status == 0 and "8 of 8 images agree" in text
    assert "no board found in 9.png" in err
    found = np.array(json.loads(out.read_text())["hand_from_camera"])
    np.testing.assert_allclose(found[:3, 3], HAND_EYE[:3, 3], atol=0.001)
    page = (report / "report.md").read_text()
    assert "no board found in 9.png" in page and page.count(".png |") == 8
    for name in ("images.png", "residuals.png"):
        assert cv2.imread(str(report / name)) is not None


def test_calibrate_says_what_is_wrong(run, cell, tmp_path):
    out = tmp_path / "hand_eye.json"
    assert "needs --images" in complaint(run("calibrate", "--images", cell / "images"))
    line = complaint(run(*words(cell)[:-1], "eyeinhand"))
    assert "one of ('eye-in-hand', 'eye-to-hand')" in line
    swapped = (*words(cell)[:-1], "eye-to-hand", "--out", out)
    assert "the setup is eye-in-hand" in complaint(run(*swapped))
    assert not out.exists()
    for square, marker in (("0.02", "0.015"), ("0.038", "0.0282"), ("0.05", "0.037")):
        wrong = words(cell, "--square", square, "--marker", marker, "--out", out)
        line = complaint(run(*wrong))
        assert "a square is 35.0 mm" in line and f"not {float(square) * 1e3:.1f} mm" in line
    assert not out.exists()


def test_images_that_do_not_fit_are_named(run, cell, tmp_path):
    poses = json.loads((cell / "poses.json").read_text())
    poses[2][0][3] += 0.05
    path = tmp_path / "poses.json"
    path.write_text(json.dumps(poses))
    out = tmp_path / "hand_eye.json"
    status, text, err = run(*words(cell, "--poses", path, "--out", out))
    assert status == 0 and "7 of 8 images agree" in text
    assert "left out: 2.png" in err


def test_the_board_that_is_printed_is_found(run, tmp_path):
    out = tmp_path / "board.png"
    status, text, _ = run("calibrate", "board", "--out", out, "--dpi", 72)
    assert status == 0 and "245 x 175 mm" in text
    grey = cv2.imread(str(out), cv2.IMREAD_GRAYSCALE)
    camera = type(CAMERA)(600, 600, 300, 200, grey.shape[1], grey.shape[0])
    view = BOARD.find(grey, camera)
    assert view is not None and len(view.points) == 24
    # the file says how large it is meant, or a printer at 100 % would not know: dots a metre
    data = out.read_bytes()
    at = data.index(b"pHYs") + 4
    assert struct.unpack(">IIB", data[at : at + 9]) == (2835, 2835, 1)  # 72 dots an inch
    run("calibrate", "board", "--out", tmp_path / "board.jpg", "--dpi", 72)
    assert (tmp_path / "board.jpg").read_bytes()[13:18] == struct.pack(">BHH", 1, 72, 72)
    assert "where to" in complaint(run("calibrate", "board"))
    assert "dpi" in complaint(run("calibrate", "board", "--out", out, "--dpi", 3))
    tiny = ("--dpi", 50, "--square", 0.001, "--marker", 0.0005)
    line = complaint(run("calibrate", "board", "--out", out, *tiny))
    assert "0.5 mm" in line and "--dpi" in line and "--marker" in line


def test_the_report_does_not_lie_among_the_images(run, cell, tmp_path):
    out = tmp_path / "hand_eye.json"
    line = complaint(run(*words(cell, "--out", out, "--report", cell / "images")))
    assert "the images lie there" in line and not out.exists()
    for name in ("report.md", "images.png"):
        line = complaint(run(*words(cell, "--out", tmp_path / name, "--report", tmp_path)))
        assert f"{name} is another output" in line
    assert sorted(path.name for path in (cell / "images").iterdir())[-1] == "9.png"
