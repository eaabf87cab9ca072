"""A square that is not as large as stated, on synthetic boards with known truth."""

from __future__ import annotations

import numpy as np
import pytest
from boards import BASE_EYE, BOARD, HAND_EYE, off, rigid, shaken, truth, views_of

from graspling.calibration import calibrate
from graspling.errors import InputError

NEAR = (0.43, 0.47)  # metres to the board: about the same in all images, which hides the size
SQUARE = BOARD.square


@pytest.mark.parametrize("setup", ["eye-in-hand", "eye-to-hand"])
@pytest.mark.parametrize("far", [(0.35, 0.6), NEAR])
@pytest.mark.parametrize("factor", [1.09, 0.97, 1.4])
def test_a_wrong_square_is_refused_and_the_right_one_named(setup, far, factor) -> None:
    robot, boards = truth(setup, 14, 3, far)
    robot = shaken(robot, 0.0002, 0.02, 3)
    views = views_of(boards, 0.1, stated=SQUARE * factor)
    with pytest.raises(InputError, match=r"a square is 3[45]\.\d mm .*not") as raised:
        calibrate(views, robot, setup, 600)
    line = str(raised.value)
    assert "printers scale pages" in line and "--square" in line
    said, told = (float(line.split(words)[1].split(" mm")[0]) for words in ("square is ", "not "))
    assert said == pytest.approx(35, abs=0.3) and told == pytest.approx(35 * factor, abs=0.06)


@pytest.mark.parametrize("far", [(0.35, 0.6), NEAR])
@pytest.mark.parametrize(
    ("metres", "degrees"), [(0.0, 0.0), (0.0005, 0.05), (0.003, 0.57)], ids=["exact", "off", "bad"]
)
def test_the_right_square_is_never_doubted(far, metres, degrees) -> None:
    for seed, count, setup in (
        (0, 14, "eye-in-hand"),
        (1, 6, "eye-to-hand"),
        (2, 8, "eye-to-hand"),
    ):
        robot, boards = truth(setup, count, seed, far)
        robot = shaken(robot, metres, degrees, seed)
        try:
            solution = calibrate(views_of(boards, 0.1, seed), robot, setup, 600)
        except InputError as error:  # a bad robot may make images contradict each other
            assert metres > 0.002 and "a square" not in str(error)
            continue
        assert not any("a square is" in line for line in solution.warnings)
        want = HAND_EYE if setup == "eye-in-hand" else BASE_EYE
        if metres == 0:
            assert off(solution.hand_eye.transform, want)[0] < 1 and not solution.warnings


def test_a_slightly_wrong_square_is_told_and_one_that_nobody_can_see_too() -> None:
    robot, boards = truth("eye-in-hand", 14, 3)
    solution = calibrate(views_of(boards, 0.1, stated=SQUARE * 1.01), robot, "eye-in-hand", 600)
    assert any("a square is 35.0 mm" in line for line in solution.warnings)
    robot, boards = truth("eye-in-hand", 8, 3, NEAR)
    solution = calibrate(views_of(boards, 0.1), shaken(robot, 0.001, 0.1, 3), "eye-in-hand", 600)
    assert any("would not be noticed" in line for line in solution.warnings)


@pytest.mark.parametrize(("metres", "degrees"), [(0.0, 0.0), (0.0003, 0.03)])
def test_a_hand_that_turns_on_the_spot_tells_no_size(metres, degrees) -> None:
    hand = rigid([np.pi, 0, 0], [0.5, 0.1, 0.5])
    fixed = hand @ HAND_EYE @ rigid([0.1, 0.05, 0], [-0.12, -0.09, 0.45])
    for seed in range(2):
        turns = np.random.default_rng(seed).normal(0, 0.25, (14, 3)).tolist()
        robot = np.stack([hand @ rigid(turn, [0, 0, 0]) for turn in turns])
        views = views_of(np.linalg.inv(robot @ HAND_EYE) @ fixed, 0.1, seed)
        solution = calibrate(views, shaken(robot, metres, degrees, seed), "eye-in-hand", 600)
        assert off(solution.hand_eye.transform, HAND_EYE)[0] < 1
        assert any("a wrong square would not be noticed" in line for line in solution.warnings)


def test_images_that_do_not_fit_do_not_hide_a_wrong_square() -> None:
    robot, boards = truth("eye-in-hand", 14, 3)
    robot[4] = robot[4] @ rigid([0, 0.2, 0], [0.03, 0, 0])
    robot[9] = robot[9] @ rigid([0, 0, 0], [0, 0.02, 0.01])
    with pytest.raises(InputError, match=r"a square is 35\.0 mm"):
        calibrate(views_of(boards, 0.1, stated=SQUARE * 1.03), robot, "eye-in-hand", 600)


def test_poses_in_another_unit_are_a_wrong_square() -> None:
    robot, boards = truth("eye-to-hand", 14, 3)
    robot[:, :3, 3] *= 2
    with pytest.raises(InputError, match=r"a square is 70\.0 mm .*the unit of the poses"):
        calibrate(views_of(boards, 0.1), robot, "eye-to-hand", 600)
