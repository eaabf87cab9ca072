"""The recipes of the package: each runs, and each network has one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the lab is not installed")

from graspling.networks import NETWORKS  # noqa: E402
from graspling.training import checkpoint, loop  # noqa: E402
from graspling.training.checkpoint import load_checkpoint  # noqa: E402
from graspling.training.recipe import load_recipe, recipe_names  # noqa: E402

# At full resolution, with wide layers: half the size will do.
WIDE = {"kufenet_263k", "kufenet_teacher"}
# Half a gigabyte of state and more.
HEAVY = {"hrgrasp_w48", "resgrasp_101", "resgrasp_152"}


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_runs(
    name: str, deep_bars: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own modality, optimiser, loss and augmentation on a few tiny images."""
    if name in HEAVY:
        # Writing the state and counting the layers take longer than the rest, and neither has to
        # do with the recipe.
        monkeypatch.setattr(loop, "save_state", lambda *_: None)
        monkeypatch.setattr(checkpoint, "macs", lambda *_: 0)
    quick = load_recipe(name, data=deep_bars, split="image-wise", threads=1).quick()
    size = 16 if name in WIDE else 32
    settings = dataclasses.replace(quick, size=size, limit=2, epochs=1, picture_every=0)
    network, card = load_checkpoint(loop.train(settings, tmp_path))
    assert (card.network, card.modality) == (settings.network, load_recipe(name).modality)
    assert all(weight.isfinite().all() for weight in network.state_dict().values())


def test_every_modality_is_among_the_recipes() -> None:
    """So that none is left out above."""
    assert {load_recipe(name).modality for name in recipe_names()} == {"rgb", "depth", "rgbd"}


def test_every_network_has_a_recipe_of_its_name() -> None:
    assert set(recipe_names()) >= set(NETWORKS)
    assert all(load_recipe(name).network == name for name in NETWORKS)
