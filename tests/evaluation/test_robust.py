from __future__ import annotations

from importlib import resources

import numpy as np
import pytest

pytest.importorskip("mujoco")

from graspling.cli.robust import report  # noqa: E402
from graspling.datasets import open_dataset  # noqa: E402
from graspling.detector import Detection  # noqa: E402
from graspling.errors import InputError  # noqa: E402
from graspling.evaluation.evaluate import Subset, choose  # noqa: E402
from graspling.evaluation.rectangle import Rule  # noqa: E402
from graspling.evaluation.robust import (  # noqa: E402
    RobustResult,
    Row,
    evaluate_robust,
    own_gripper,
)
from graspling.grasps import Grasps  # noqa: E402
from graspling.image import Preparation  # noqa: E402
from graspling.simulation.generator import generate  # noqa: E402
from graspling.simulation.manifest import Settings  # noqa: E402


def row(rectangle: bool, p: float, state: int | None = None, held: bool | None = None) -> Row:
    return Row("a", "o", True, rectangle, p, state, held, 1.0)


def test_cells_and_conditionals_by_hand():
    rows = (
        [row(True, 0.9, 1, True)] * 3
        + [row(True, 0.2, 0, True)] * 2
        + [row(False, 0.5, 1, True)] * 4
        + [row(False, 0.49, -1, False)]
    )
    subset = Subset((), "object-wise", "abc", 2, "val")
    result = RobustResult(tuple(rows), Rule(), "m", "c", "d", subset, "panda", 0, "square")
    found = result.to_dict()
    assert found["cells"] == {
        "rectangle_right_robust": 3,
        "rectangle_right_not_robust": 2,
        "rectangle_wrong_robust": 4,
        "rectangle_wrong_not_robust": 1,
    }
    assert found["rectangle"]["share"] == 0.5 and found["robust"]["share"] == 0.7
    assert found["rectangle_right_given_not_robust"]["share"] == pytest.approx(2 / 3)
    assert found["rectangle_wrong_given_robust"]["share"] == pytest.approx(4 / 7)
    assert found["physics"]["successes"] == 9 and found["label"]["surely_not"] == 1
    assert found["physics_given_robust"]["share"] == 1
    assert found["physics_given_not_robust"]["successes"] == 2
    assert found["critic_against_physics"]["precision"] == 1
    assert (found["fold"], found["part"], found["crop"]) == (2, "val", "square")
    told = report(result, found).splitlines()
    assert "data      d, object-wise (abc), fold 2, val: 10 images" in told
    assert any(line.startswith("crop      square; jaw: ") for line in told)


class Says:
    """A detector that knows the labels of each frame."""

    class card:  # noqa: N801
        name, threshold, preparation = "says", 0.0, Preparation("depth", 64)

    def __init__(self, answers):
        self.answers = iter(answers)

    def run(self, rgb, depth, **how):
        assert how["focal"] > 0
        return Detection(next(self.answers), np.zeros((4, 0, 0)), {}, "says")


class Sure:
    """A critic without doubts."""

    class card:  # noqa: N801
        name = "sure"

    def __call__(self, crops):
        return np.ones(len(crops))


def test_truth_tells_good_grasps_from_bad_ones(tmp_path):
    """The best labels hold; the same ones beside the object or turned onto it do not."""
    settings = Settings(4, seed=11, scene="single", views=1, empty=0.0, part="test", labels=40)
    generate(settings, tmp_path, progress=False)
    dataset = open_dataset(f"generated:{tmp_path}")
    best = [dataset[i].grasps.top(1) for i in dataset.ids if len(dataset[i].grasps)]
    subset = choose(dataset)
    how = {"truth": "physics"}
    good = evaluate_robust(Says(best), dataset, subset, Sure(), **how)
    assert len(good.rows) == len(best) and all(r.rectangle and r.p == 1 for r in good.rows)
    assert sum(bool(r.held) for r in good.rows) >= len(best) - 1
    assert all(r.state != -1 for r in good.rows) and good.crop == "centre"
    halved = open_dataset(f"generated:{tmp_path},half=true")
    smaller = [halved[i].grasps.top(1) for i in halved.ids if len(halved[i].grasps)]
    half = evaluate_robust(Says(smaller), halved, choose(halved), Sure(), truth="label")
    assert [r.state for r in half.rows] == [r.state for r in good.rows]
    beside = [Grasps.from_arrays(g.u + 4 * g.width, g.v, g.angle, g.width) for g in best]
    bad = evaluate_robust(Says(beside), dataset, subset, Sure(), **how)
    assert not any(r.held or r.rectangle for r in bad.rows)
    assert all(r.state == -1 for r in bad.rows)
    silent = evaluate_robust(Says([Grasps.empty()] * 9), dataset, subset, Sure(), **how)
    assert not any(r.found or r.held or r.robust for r in silent.rows)


def test_data_are_judged_with_the_gripper_that_they_were_made_for(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(resources.files("graspling.grippers").joinpath("robotiq_2f85.yaml").read_text())
    settings = Settings(1, seed=3, scene="single", views=1, gripper=str(mine))
    generate(settings, tmp_path / "data", progress=False)
    mine.unlink()  # the data know it in full
    assert own_gripper(open_dataset(f"generated:{tmp_path / 'data'}")).opening == 0.085


def test_only_generated_data_know_the_truth(tmp_path, labelled_folder):
    dataset = open_dataset(f"folder:{labelled_folder}")
    with pytest.raises(InputError, match="only generated data"):
        evaluate_robust(Says([]), dataset, choose(dataset), Sure(), truth="label")
