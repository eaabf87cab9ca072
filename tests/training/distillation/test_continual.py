"""Rounds of the continual experiment, and the data sets that it joins."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the lab is not installed")

from graspling.datasets import Labels, open_dataset  # noqa: E402
from graspling.datasets.generated import Generated  # noqa: E402
from graspling.errors import InputError  # noqa: E402
from graspling.grasps import Grasps  # noqa: E402
from graspling.training.distillation import continual  # noqa: E402
from graspling.training.distillation.continual import ContinualSettings, next_batch  # noqa: E402
from graspling.training.log import read_log  # noqa: E402
from graspling.training.recipe import load_recipe  # noqa: E402


def test_the_next_batch_is_twenty_or_what_went_by() -> None:
    settings = ContinualSettings("a", "b")
    # 20 grasps of 30 s take 10 minutes; the slides: 12.8 minutes of training, then 26 images
    assert [next_batch(s, settings) for s in (1, 600, 601, 768)] == [20, 20, 21, 26]


def test_rounds_score_before_they_train_and_resume(bars: str, tmp_path: Path) -> None:
    settings = ContinualSettings(bars, bars, images=7, batch=3, replay=4, epochs=1, share=0.5)
    recipe = load_recipe("ggcnn", size=48, epochs=1, batch=4, threads=1, picture_every=0)
    rounds = continual.learn_on_the_job(recipe, settings, tmp_path)
    assert [r.n for r in rounds] == [3, 3, 1]
    assert all(0 <= r.right <= r.n and r.seconds > 0 for r in rounds)
    total = continual.summary(rounds)
    assert total["images"] == 7 and total["minutes"] * 60 == pytest.approx(
        sum(r.seconds for r in rounds)
    )
    steps = read_log(tmp_path / "round-1" / "log.jsonl")[-1]["step"]
    assert steps == 1  # 4 seen and 3 new images, 4 a step
    assert continual.learn_on_the_job(recipe, settings, tmp_path) == rounds
    for other, name in (
        ((recipe, dataclasses.replace(settings, epochs=2)), "epochs 1, now it is 2"),
        ((dataclasses.replace(recipe, lr=0.5), settings), "recipe lr 0.002, now it is 0.5"),
    ):
        with pytest.raises(InputError, match=f"holds rounds with {name}"):
            continual.learn_on_the_job(*other, tmp_path)


def test_a_mistake_leaves_no_folder_behind_that_refuses_what_is_right(
    bars: str, tmp_path: Path
) -> None:
    settings = ContinualSettings(bars, bars, images=3, batch=3, replay=4, epochs=1, share=0.5)
    recipe = load_recipe("ggcnn", size=48, epochs=1, batch=4, threads=1, picture_every=0)
    wrong = dataclasses.replace(recipe, modality="rgbd")  # there is no depth
    with pytest.raises(InputError, match="depth"):
        continual.learn_on_the_job(wrong, settings, tmp_path)
    assert len(continual.learn_on_the_job(recipe, settings, tmp_path)) == 1


def test_joined_domains_are_refused_at_once(bars: str, tmp_path: Path) -> None:
    for side in ("old", "new"):
        words = {"old": bars, "new": bars, side: f"{bars} + {bars}"}
        with pytest.raises(InputError, match=f"--{side} cornell:.*: 2 data sets; expected one"):
            settings = ContinualSettings(words["old"], words["new"])
            continual.learn_on_the_job(load_recipe("ggcnn"), settings, tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_image_is_new_that_was_trained_on(bars: str) -> None:
    """One data set may hold both domains."""
    settings = ContinualSettings(bars, bars, images=3, share=0.5)
    old, new = continual.domains(*[open_dataset(bars)] * 2, settings)
    assert len(old) == len(new) == 12
    assert not {i[2:] for i in old} & {i[2:] for i in new}


def test_too_few_images_are_said(bars: str, tmp_path: Path) -> None:
    """Which side has too few, and how many it needs."""
    for settings, side, needed in (
        (ContinualSettings(bars, bars, images=50), "--new", "18 .*expected at least 50"),
        (ContinualSettings(bars, bars, images=5, share=0.04), "--old", "24 .*expected at least 26"),
    ):
        with pytest.raises(InputError, match=f"{side} {bars}: {needed}") as said:
            continual.learn_on_the_job(load_recipe("ggcnn"), settings, tmp_path)
        assert ("smaller --images" in str(said.value)) == (side == "--new")
    enough = ContinualSettings(bars, bars, images=5, share=0.05)
    assert len(continual.domains(*[open_dataset(bars)] * 2, enough)[0]) == 2


class Kinds(Generated):
    """Frames of a bottle, of a mug, and of both; all labelled."""

    def __init__(self, *contents: tuple[str, ...]) -> None:
        self.identity = str(contents)
        self.contents = {str(number): names for number, names in enumerate(contents)}
        self.ids = tuple(self.contents)

    def labels(self, sample_id: str) -> Labels:
        return Labels(Grasps.from_arrays(1, 1, 0, 1, 1))


def test_kinds_that_are_held_out_must_be_there() -> None:
    old = Kinds(("mug-1",), ("mug-2",), ("bottle-3",))
    new = Kinds(("bottle-1",), ("bottle-2", "mug-1"), ("mug-3",), ("bottle-4",))
    right = ContinualSettings("a", "b", images=3, share=1.0, hold_out=("bottle",))
    assert continual.domains(old, new, right) == (["0/0", "0/1"], ["1/0", "1/1", "1/3"])
    wrong = dataclasses.replace(right, hold_out=("bottle", "bottel"))
    with pytest.raises(InputError, match="--hold-out bottel: .*expected some of bottle, mug"):
        continual.domains(old, new, wrong)
    few = dataclasses.replace(right, images=4)
    with pytest.raises(InputError, match=r"--new b: 3 labelled images .*hold-out.*at least 4"):
        continual.domains(old, new, few)


def test_joined_data_sets_keep_their_samples(bars: str) -> None:
    one, both = open_dataset(bars), open_dataset(f"{bars} + {bars}")
    assert len(both) == 48 and len(both.unlabelled_ids) == 12
    sample, same = both["1/0003"], one["0003"]
    assert np.array_equal(sample.rgb, same.rgb)
    assert sample.grasps is not None and same.grasps is not None
    assert sample.grasps.u.tolist() == same.grasps.u.tolist()
