"""Attempts whose outcome is known beforehand: success, and each cause of a failure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sim_blocks as blocks

from graspling.gripper import Gripper

pytest.importorskip("mujoco", reason="the robot needs MuJoCo: pip install 'graspling[sim]'")

from graspling.simulation.robot import panda  # noqa: E402
from graspling.simulation.robot.cell import BASE, Cell  # noqa: E402
from graspling.simulation.robot.kinematics import Kinematics  # noqa: E402
from graspling.simulation.robot.pick import Outcome, PickSettings, pick  # noqa: E402
from graspling.simulation.robot.plan import plan  # noqa: E402
from graspling.simulation.trial import TrialSettings  # noqa: E402

BOX = blocks.box(0.04, 0.06, 0.05)


def cell_of(*bodies: str, gripper: str = "panda", **hand: float) -> tuple[Cell, PickSettings]:
    there, tool = blocks.scene(*bodies), Gripper.load(gripper)
    settings = PickSettings(hand=TrialSettings(**hand))
    arm = Kinematics(tool, BASE)
    return Cell(there.model, there.data, there.bodies, tool, arm, settings.hand), settings


def attempt(
    cell: Cell, settings: PickSettings, pose: Any, width: float = 0.06, target: int = 0
) -> Outcome:
    way = plan(cell.kinematics, pose, cell.bin, hover=0.1, lift=settings.lift)
    assert way is not None
    return pick(cell, way, width, target, settings)


@pytest.mark.parametrize("gripper", ["panda", "robotiq_2f85"])
@pytest.mark.parametrize("angle", [0.0, 0.6])
def test_a_good_grasp_ends_in_the_box(gripper: str, angle: float) -> None:
    cell, settings = cell_of(BOX, gripper=gripper)
    result = attempt(cell, settings, blocks.above(0, 0, 0.025, angle), 0.075)
    assert result == Outcome(True, True, "", 0, (0,), result.force)
    assert result.force < 1
    assert cell.bin.holds(cell.places()[0])
    np.testing.assert_allclose(cell.data.qpos[:7], panda.HOME, atol=1e-9)


def test_a_finger_on_the_object_is_a_collision() -> None:
    result = attempt(*cell_of(BOX), blocks.above(0.025, 0, 0.025), 0.05)
    assert result.cause == "collision on approach" and result.force >= 20
    assert not result.success and not result.lifted


def test_fingertips_that_would_end_in_the_table_stop_before() -> None:
    # the tips reach 10 mm beyond the TCP: 3 mm too deep is felt and stopped, 20 mm is a collision
    assert attempt(*cell_of(BOX), blocks.above(0, 0, 0.007), 0.06).success
    cell, settings = cell_of(BOX)
    assert attempt(cell, settings, blocks.above(0, 0, -0.012)).cause == "collision on approach"


def test_smooth_pads_slip() -> None:
    result = attempt(*cell_of(BOX, friction=0.005), blocks.above(0, 0, 0.025))
    assert result.cause == "slipped" and not result.lifted


def test_beside_everything_nothing_is_lifted() -> None:
    assert attempt(*cell_of(BOX), blocks.above(0.12, 0.1, 0.02)).cause == "slipped"


def test_what_is_too_heavy_for_the_shake_is_dropped() -> None:
    # 2.4 kg hang by friction from 40 N; the shake along the jaw adds 3.6 m/s2
    heavy = blocks.box(0.04, 0.06, 0.05, mass=3.9)
    result = attempt(*cell_of(heavy), blocks.above(0, 0, 0.025))
    assert result.cause == "dropped" and result.lifted and not result.success


def test_another_object_than_the_one_meant() -> None:
    cell, settings = cell_of(BOX, blocks.box(0.03, 0.03, 0.03, at=(0.15, 0)))
    result = attempt(cell, settings, blocks.above(0, 0, 0.025), target=1)
    assert result.cause == "wrong object moved" and not result.success
    cell, settings = cell_of(BOX, blocks.box(0.03, 0.03, 0.03, at=(0.15, 0)))
    assert attempt(cell, settings, blocks.above(0, 0, 0.025), target=-1).success


def test_what_was_placed_is_taken_out_of_play() -> None:
    cell, settings = cell_of(BOX, blocks.box(0.03, 0.03, 0.03, at=(0.15, 0)))
    before = cell.places()[1].copy()
    assert attempt(cell, settings, blocks.above(0, 0, 0.025)).placed == (0,)
    cell.remove(0)
    cell.step(20)
    assert cell.places()[0, 2] > 10 and cell.present.tolist() == [False, True]
    np.testing.assert_allclose(cell.places()[1], before, atol=1e-3)
    assert attempt(cell, settings, blocks.above(0.15, 0, 0.015), target=1).success


def test_the_same_attempt_twice_is_the_same() -> None:
    results = [attempt(*cell_of(BOX), blocks.above(0.003, 0.002, 0.02, 0.3)) for _ in range(2)]
    assert results[0] == results[1]
