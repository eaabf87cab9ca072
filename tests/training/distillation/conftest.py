"""Bright bars on a dark table, and networks small enough to train in a second."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from graspling.grasps import Grasps


@pytest.fixture(scope="session")
def bars(tmp_path_factory: pytest.TempPathFactory) -> str:
    """24 labelled images in Cornell's layout, and 6 without labels."""
    root = tmp_path_factory.mktemp("bars")
    rng = np.random.default_rng(0)
    for number in range(30):
        image = np.full((72, 96, 3), 40, np.uint8)
        u, v, angle = rng.uniform(38, 58), rng.uniform(26, 46), rng.uniform(-1.5, 1.5)
        bar = Grasps.from_arrays(u, v, angle, 7, 36)
        cv2.fillPoly(image, [np.rint(bar.to_rectangles()[0]).astype(np.int32)], (220, 200, 180))
        name = f"pcd{number:04d}"
        cv2.imwrite(str(root / f"{name}r.png"), image)
        if number < 24:
            label = Grasps.from_arrays(u, v, angle, 16, 10).to_rectangles()[0]
            text = "".join(f"{x:.3f} {y:.3f}\n" for x, y in label)
            (root / f"{name}cpos.txt").write_text(text)
    return f"cornell:{root},depth=none"


@pytest.fixture(scope="session")
def teacher(bars: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that knows its bars."""
    pytest.importorskip("torch")
    from graspling.training.loop import train
    from graspling.training.recipe import load_recipe

    recipe = load_recipe(
        "graspling_s",
        **{"data": bars, "split": "image-wise", "size": 64, "epochs": 30, "batch": 4},
        **{"ema": 0.9, "validate_every": 30, "picture_every": 0, "precision": "fp32"},
        **{"threads": 1, "augmentation": {"rotation_deg": 180}},
    )
    return train(recipe, tmp_path_factory.mktemp("teacher"))
