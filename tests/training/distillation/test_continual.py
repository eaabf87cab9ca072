"""Rounds of the continual experiment, and the data sets that it joins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the lab is not installed")

from graspling.datasets import open_dataset  # noqa: E402
from graspling.errors import InputError  # noqa: E402
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


def test_too_few_images_are_said(bars: str, tmp_path: Path) -> None:
    settings = ContinualSettings(bars, bars, images=50)
    with pytest.raises(InputError, match="smaller --images"):
        continual.learn_on_the_job(load_recipe("ggcnn"), settings, tmp_path)


def test_joined_data_sets_keep_their_samples(bars: str) -> None:
    one, both = open_dataset(bars), open_dataset(f"{bars} + {bars}")
    assert len(both) == 48 and len(both.unlabelled_ids) == 12
    sample, same = both["1/0003"], one["0003"]
    assert np.array_equal(sample.rgb, same.rgb)
    assert sample.grasps is not None and same.grasps is not None
    assert sample.grasps.u.tolist() == same.grasps.u.tolist()
