"""Grasps with an obvious outcome."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sim_blocks as blocks

from graspling.gripper import Gripper
from graspling.simulation.trial import TrialResult, TrialSettings, TrialWorld

mujoco = pytest.importorskip("mujoco", reason="trials need MuJoCo: pip install 'graspling[sim]'")

PANDA = Gripper.load("panda")
BOX = blocks.box(0.04, 0.06, 0.05)


def world(*bodies: str, gripper: Gripper = PANDA, **settings: float) -> TrialWorld:
    there = blocks.scene(*bodies)
    return TrialWorld(there.model, there.data, gripper, TrialSettings(**settings))


@pytest.mark.parametrize("name", ["panda", "robotiq_2f85"])
@pytest.mark.parametrize("angle", [0.0, np.pi / 2])
def test_a_good_grasp_holds(name: str, angle: float) -> None:
    there = world(BOX, gripper=Gripper.load(name))
    result = there.execute(blocks.above(0, 0, 0.025, angle), 0.075, target=0)
    assert result.held and result.cause == "held" and result.object == 0
    assert result.max_approach_force < 1


def test_warnings_of_the_physics_leave_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    there = world(BOX)
    there.execute(blocks.above(0, 0, 0.025), 0.075)
    there.data.qpos[:] = np.nan
    mujoco.mj_step(there.model, there.data)
    assert not [*tmp_path.iterdir()]


def test_a_finger_on_the_object_is_a_failure() -> None:
    result = world(BOX).execute(blocks.above(0.03, 0, 0.025), 0.05)
    assert not result.held and result.cause == "approach force"
    assert result.max_approach_force >= 10


def test_fingertips_in_the_table_are_a_failure() -> None:
    assert world(BOX).execute(blocks.above(0, 0, 0.004), 0.05).cause == "approach force"


def test_beside_the_object_there_is_nothing() -> None:
    assert world(BOX).execute(blocks.above(0.15, 0, 0.025), 0.05).cause == "empty"


def test_smooth_pads_do_not_lift() -> None:
    good = blocks.above(0, 0, 0.025), 0.05
    assert world(BOX).execute(*good).held
    assert not world(BOX, friction=0.005).execute(*good).held


def test_the_pads_friction_counts_not_the_larger_one() -> None:
    sticky = BOX.replace('friction="0.6', 'friction="5')
    assert not world(sticky, friction=0.005).execute(blocks.above(0, 0, 0.025), 0.05).held


def test_another_object_than_the_wanted_one() -> None:
    there = world(BOX, blocks.box(0.03, 0.03, 0.03, at=(0.2, 0)))
    result = there.execute(blocks.above(0, 0, 0.025), 0.05, target=1)
    assert result == TrialResult(False, result.max_approach_force, "other object", 0)
    assert there.execute(blocks.above(0.2, 0, 0.015), 0.04, target=1).held


def test_trials_do_not_depend_on_those_before() -> None:
    there = world(BOX)
    first = there.execute(blocks.above(0.01, 0.0, 0.03, 0.3), 0.07)
    there.execute(blocks.above(0.03, 0, 0.025), 0.05)
    assert there.execute(blocks.above(0.01, 0.0, 0.03, 0.3), 0.07) == first


def test_the_opening_is_limited_to_the_grippers_own() -> None:
    assert world(BOX).execute(blocks.above(0, 0, 0.025), 0.5).held
