"""How objects lie."""

import numpy as np
import pytest

from graspling.gripper import Gripper
from graspling.simulation.objects import ProceduralObjects
from graspling.simulation.resting import resting
from graspling.simulation.rotation import about, matrix, quaternion, random_rotation, towards

CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])


def test_a_box_lies_on_a_face():
    box = CORNERS * [0.03, 0.02, 0.05]
    for seed in range(20):
        turn = resting(box, np.random.default_rng(seed).normal(size=3))
        heights = (box @ turn.T)[:, 2]
        assert (np.abs(heights - heights.min()) < 1e-6).sum() == 4


def test_a_leaning_box_falls_to_the_side_to_which_it_leans():
    tall = CORNERS * [0.01, 0.01, 0.1]
    nearly_upright = about("x", np.deg2rad(4)) @ [0, 0, -1]
    too_far = about("x", np.deg2rad(20)) @ [0, 0, -1]
    assert np.ptp((tall @ resting(tall, nearly_upright).T)[:, 2]) == pytest.approx(0.2)
    assert np.ptp((tall @ resting(tall, too_far).T)[:, 2]) == pytest.approx(0.02)


def test_procedural_objects_rest_where_no_small_tip_lowers_them():
    rng = np.random.default_rng(0)
    source = ProceduralObjects(Gripper.load("panda"))
    for _ in range(40):
        surface = source.sample(rng).surface
        turn = resting(surface, rng.normal(size=3))
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
        lowest = -(surface @ turn.T)[:, 2].min()
        for angle in np.linspace(0, 2 * np.pi, 8, endpoint=False):
            tip = towards((0.002 * np.cos(angle), 0.002 * np.sin(angle), 1))
            assert -(surface @ (tip @ turn).T)[:, 2].min() > lowest - 1e-6


def test_quaternions_are_rotations():
    rng = np.random.default_rng(3)
    for turn in [random_rotation(rng) for _ in range(50)] + [about(a, np.pi) for a in "xyz"]:
        np.testing.assert_allclose(matrix(quaternion(turn)), turn, atol=1e-9)
    np.testing.assert_allclose(quaternion(about("z", np.pi / 2)), np.sqrt([0.5, 0, 0, 0.5]))
    assert (about("x", np.pi / 2) @ [0, 1, 0])[2] == pytest.approx(1)
    np.testing.assert_allclose(towards((0, 0, -1)) @ [0, 0, 1], [0, 0, -1], atol=1e-12)
