"""Distillations of a few small images, for the tests of them. Needs the lab."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the lab is not installed")

from graspling.datasets import open_dataset  # noqa: E402
from graspling.image import Preparation  # noqa: E402
from graspling.training.batches import Batches  # noqa: E402
from graspling.training.recipe import Recipe, load_recipe  # noqa: E402


def recipe(data: str, name: str = "distill_ggcnn", **changes: Any) -> Recipe:
    base: dict[str, Any] = {"data": data, "split": "image-wise", "size": 64, "epochs": 2}
    base |= {"batch": 4, "ema": 0.9, "picture_every": 0, "validate_every": 1, "threads": 1}
    base |= {"precision": "fp32", "modality": "rgb"}
    return load_recipe(name, **(base | changes))


def taught(settings: Recipe, **changes: Any) -> Recipe:
    assert settings.distill is not None
    return dataclasses.replace(settings, distill=dataclasses.replace(settings.distill, **changes))


def log(folder: Path, kind: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [row for row in rows if row["kind"] == kind]


def first_batch(data: str, settings: Recipe) -> Any:
    dataset = open_dataset(data)
    preparation = Preparation("rgb", settings.size)
    batches = Batches(dataset, dataset.ids, preparation, settings.augmentation, size=4)
    return next(iter(batches.epoch(0)))
