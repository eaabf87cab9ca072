"""Trainings of a few small images, for the tests of training. Needs the lab."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the lab is not installed")

from graspling.datasets.augment import Augmentation  # noqa: E402
from graspling.training.checkpoint import load_checkpoint  # noqa: E402
from graspling.training.losses import LossSettings  # noqa: E402
from graspling.training.recipe import Recipe  # noqa: E402


def recipe(data: str, **changes: object) -> Recipe:
    base = Recipe(
        network="graspling_s",
        data=data,
        split="image-wise",
        size=64,
        epochs=3,
        batch=2,
        ema=0.9,
        loss=LossSettings(quality_kind="bce", outside=0.0),
        augmentation=Augmentation(rotation_deg=180, zoom=(0.9, 1.1), brightness=0.2),
        validate_every=1,
        picture_every=0,
        threads=1,
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(path)[0].state_dict()
