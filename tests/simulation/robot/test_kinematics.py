"""The arm against the published table of its frames, and its inverse against both."""

from __future__ import annotations

import numpy as np
import pytest
import sim_blocks as blocks

from graspling.gripper import Gripper

pytest.importorskip("mujoco", reason="the robot needs MuJoCo: pip install 'graspling[sim]'")

from graspling.simulation.robot import panda  # noqa: E402
from graspling.simulation.robot.cell import BASE, Bin  # noqa: E402
from graspling.simulation.robot.kinematics import Kinematics  # noqa: E402
from graspling.simulation.robot.plan import plan  # noqa: E402

PANDA = Gripper.load("panda")


@pytest.fixture(scope="module")
def kinematics() -> Kinematics:
    return Kinematics(PANDA, BASE)


def random_joints(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(panda.LOW, panda.HIGH)


def test_the_engine_has_the_frames_of_the_table(kinematics: Kinematics) -> None:
    rng = np.random.default_rng(0)
    for joints in (random_joints(rng) for _ in range(20)):
        expected = panda.forward(joints) @ PANDA.own_from_house
        expected[:3, 3] += BASE
        np.testing.assert_allclose(kinematics.pose(joints), expected, atol=1e-9)


def test_a_straight_arm_is_as_long_as_its_links() -> None:
    # all joints at 0 (the elbow beyond its limit): shoulder, upper arm and forearm stand upright,
    # the hand hangs from the wrist 88 mm ahead
    place = panda.forward(np.zeros(7))[:3, 3]
    np.testing.assert_allclose(place, (0.088, 0, 0.333 + 0.316 + 0.384 - 0.107), atol=1e-12)


def test_jacobian_is_the_derivative(kinematics: Kinematics) -> None:
    joints, step = panda.HOME + 0.1, 1e-6
    jacobian = kinematics.jacobian(joints)
    for joint in range(7):
        moved = joints + step * np.eye(7)[joint]
        slope = (kinematics.pose(moved) - kinematics.pose(joints))[:3, 3] / step
        np.testing.assert_allclose(jacobian[:3, joint], slope, atol=1e-5)


@pytest.mark.parametrize("name", ["panda", "robotiq_2f85"])
def test_poses_over_the_table_are_reached_within_the_limits(name: str) -> None:
    arm, rng = Kinematics(Gripper.load(name), BASE), np.random.default_rng(1)
    for _ in range(25):
        x, y = rng.uniform(-0.15, 0.15, 2)
        goal = blocks.above(x, y, rng.uniform(0.01, 0.2), rng.uniform(-2.5, -0.6))
        joints = arm.solve(goal)
        assert joints is not None
        assert (joints >= panda.LOW).all() and (joints <= panda.HIGH).all()
        found = arm.pose(joints)
        assert np.linalg.norm(found[:3, 3] - goal[:3, 3]) < 2.1e-4
        assert np.trace(found[:3, :3].T @ goal[:3, :3]) > 3 - 1e-5


def test_what_is_too_far_is_not_reached(kinematics: Kinematics) -> None:
    assert kinematics.solve(blocks.above(0.9, 0, 0.1)) is None
    assert kinematics.solve(blocks.above(BASE[0], 0, 0.02)) is None  # inside its own base
    assert plan(kinematics, blocks.above(0.5, 0, 0.02), Bin(), hover=0.1, lift=0.15) is None


@pytest.mark.parametrize("angle", np.linspace(-np.pi, np.pi, 9))
def test_every_direction_of_the_jaw_has_a_plan(kinematics: Kinematics, angle: float) -> None:
    goal = blocks.above(0.05, -0.04, 0.02, angle)
    way = plan(kinematics, goal, Bin(), hover=0.1, lift=0.15)
    assert way is not None
    joints = np.concatenate([way.down, way.up, way.over[None]])
    assert (joints >= panda.LOW).all() and (joints <= panda.HIGH).all()
    there = kinematics.pose(way.down[-1])
    np.testing.assert_allclose(there[:3, 3], goal[:3, 3], atol=3e-4)
    assert abs(there[:3, 0] @ goal[:3, 0]) > 1 - 1e-5  # or half a turn from it
    high = kinematics.pose(way.up[-1])[:3, 3]
    np.testing.assert_allclose(high - there[:3, 3], (0, 0, 0.15), atol=5e-4)
    box = Bin()
    np.testing.assert_allclose(kinematics.pose(way.over)[:2, 3], (box.x, box.y), atol=1e-3)


def test_the_way_to_the_box_does_not_dip(kinematics: Kinematics) -> None:
    way = plan(kinematics, blocks.above(0.1, -0.1, 0.02), Bin(), hover=0.1, lift=0.15)
    assert way is not None
    shares = np.linspace(0, 1, 20)[:, None]
    heights = [kinematics.pose(q)[2, 3] for q in way.up[-1] + shares * (way.over - way.up[-1])]
    assert min(heights) > 0.02 + 0.15 - 0.02
