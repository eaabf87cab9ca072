"""Counting, and a small run from scene to numbers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sim_blocks as blocks

from graspling.errors import InputError
from graspling.gripper import Gripper
from graspling.simulation import verify as verifying
from graspling.simulation.verify import KEYS, Trials, summarise, verify


def test_counting() -> None:
    #        tried positives: 3 of 4 hold | tried negatives: 1 of 2 holds | ambiguous | not tried
    state = np.array([1, 1, 1, 1, -1, -1, 0, 0, 1, -1], np.int8)
    tried = np.array([1, 1, 1, 1, 1, 1, 1, 0, 0, 0], bool)
    held = np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 0], bool)
    shares, intervals = summarise(Trials(np.arange(10) // 2, state, tried, held))
    assert shares == {
        "positives": 4,
        "negatives": 2,
        "positives_hold": 0.75,
        "negatives_fail": 0.5,
        "recall": 0.75,
        "ambiguous_share": 0.2,
        "ambiguous_hold": 1.0,
    }
    for key, (low, high) in intervals.items():
        assert 0 <= low <= shares[key] <= high <= 1


def test_intervals_know_that_grasps_of_one_object_are_alike() -> None:
    rng = np.random.default_rng(0)
    held = np.repeat(rng.random(20) < 0.8, 10)
    ones, tried = np.ones(200, np.int8), np.ones(200, bool)
    width = []
    for owner in (np.arange(200), np.arange(200) // 10):
        low, high = summarise(Trials(owner, ones, tried, held))[1]["positives_hold"]
        width.append(high - low)
    assert width[1] > 2 * width[0]


def test_nothing_to_count_is_not_a_number() -> None:
    none = np.zeros(0, bool)
    shares, _ = summarise(Trials(np.zeros(0, int), np.zeros(0, np.int8), none, none))
    assert shares["positives"] == 0 and np.isnan(shares["positives_hold"])


def make(kind: str, rng: np.random.Generator) -> tuple[Any, Any]:
    """A box with or without a neighbour that is too near."""
    x, y, z = rng.uniform(0.02, 0.06, 3)
    bodies = [blocks.box(x, y, z)]
    if kind == "cluttered":
        bodies.append(blocks.box(x, y, z, at=(x + 0.008, 0.0)))
    scene = blocks.scene(*bodies)
    scene.objects = things(*(f"{x:.6f}-{number}" for number in range(len(bodies))))
    return scene, blocks.view(tilt=rng.uniform(0, 0.3), turn=rng.uniform(0, 3))


def things(*ids: str) -> tuple[Any, ...]:
    return tuple(SimpleNamespace(id=name) for name in ids)


def test_boxes_are_as_labelled() -> None:
    pytest.importorskip("mujoco", reason="trials need MuJoCo: pip install 'graspling[sim]'")
    panda, kinds, calls = Gripper.load("panda"), ("single", "cluttered"), []
    result = verify(
        make, panda, seed=1, grasps=30, objects=4, kinds=kinds,
        progress=lambda *what: calls.append(what),
    )  # fmt: skip
    assert set(KEYS) <= set(result) and all(set(result[key]) == set(kinds) for key in KEYS)
    assert result["positives"]["single"] + result["negatives"]["single"] >= 30
    assert result["positives_hold"]["single"] >= 0.9
    assert result["negatives"]["cluttered"] > 5 and result["negatives_fail"]["cluttered"] >= 0.9
    assert result["objects"]["single"] >= 4 and calls[-1][0] == "cluttered"
    alone = verify(make, panda, seed=1, grasps=30, objects=4, kinds=("cluttered",))
    assert alone["positives"]["cluttered"] == result["positives"]["cluttered"]


def test_an_object_that_comes_again_is_the_same_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """And where there are fewer than wanted, it ends without the others."""
    pytest.importorskip("mujoco", reason="trials need MuJoCo: pip install 'graspling[sim]'")
    monkeypatch.setattr(verifying, "_PATIENCE", 3)

    def same(kind: str, rng: np.random.Generator) -> tuple[Any, Any]:
        scene = blocks.scene(
            blocks.box(0.04, 0.04, 0.04, at=(-0.1, 0)), blocks.box(0.03, 0.05, 0.04, at=(0.1, 0))
        )
        scene.objects = things("cube", "brick")
        return scene, blocks.view()

    panda, calls = Gripper.load("panda"), []
    result = verify(
        same, panda, grasps=30, objects=20, kinds=("cluttered",),
        progress=lambda *what: calls.append(what),
    )  # fmt: skip
    assert result["objects"]["cluttered"] == 2 and len(calls) > 3
    assert result["positives"]["cluttered"] + result["negatives"]["cluttered"] >= 30


def test_it_ends_where_nothing_can_be_labelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "_PATIENCE", 3)
    none, scenes = np.zeros(0, bool), []
    nothing = Trials(np.zeros(0, np.intp), np.zeros(0, np.int8), none, none)
    monkeypatch.setattr(verifying, "run", lambda *_: nothing)

    def cube(kind: str, rng: np.random.Generator) -> tuple[Any, Any]:
        scenes.append(kind)
        return SimpleNamespace(objects=things("cube" if len(scenes) % 2 else "box")), None

    with pytest.raises(InputError, match="single: 3 scenes in a row without a grasp to execute"):
        verify(cube, Gripper.load("panda"), kinds=("single",))
    assert len(scenes) == 3


def test_a_grasp_at_least_is_executed() -> None:
    with pytest.raises(InputError, match="grasps is 0, expected 1 or more"):
        verify(make, Gripper.load("panda"), grasps=0, objects=0)
