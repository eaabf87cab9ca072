"""Which images a run works on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="the lab is not installed")

from graspling.datasets.splits import Fold, Splits  # noqa: E402
from graspling.training.part import choose_ids  # noqa: E402
from graspling.training.recipe import Recipe  # noqa: E402


@pytest.mark.parametrize(("fraction", "labelled"), [(0.125, 38), (0.25, 75), (0.5, 150), (1, 300)])
def test_a_share_of_the_labels_is_one_of_the_images_that_the_run_sees(fraction, labelled):
    """With a limit, too: otherwise all shares would have as many labels as the limit allows."""
    ids = tuple(f"{number:04d}" for number in range(1000))
    split = Splits("made", 0, "image id", (Fold(ids[:600], ids[600:], ()),))
    dataset = SimpleNamespace(ids=ids, split=lambda name: split)
    part = choose_ids(dataset, Recipe("ggcnn", split="made", fraction=fraction, limit=300))
    assert (len(part.train), len(part.rest)) == (labelled, 300 - labelled)
    assert {*part.train, *part.rest} == set(ids[:300]) and part.val == ids[600:900]
