"""What several tests of training share."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from graspling.grasps import Grasps

CtrlC = Callable[..., None]


@pytest.fixture
def ctrl_c(monkeypatch: pytest.MonkeyPatch) -> CtrlC:
    """Press Ctrl-C when ``owner.name`` has been called so often, before its caller goes on."""

    def press(owner: Any, name: str, call: int, times: int = 1) -> None:
        real, calls = getattr(owner, name), 0

        def pressed(*given: Any, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            found = real(*given, **more)
            if calls == call:
                for _ in range(times):
                    os.kill(os.getpid(), signal.SIGINT)
            return found

        monkeypatch.setattr(owner, name, pressed)

    return press


@pytest.fixture(scope="session")
def bars(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder in Cornell's layout: bright bars on a dark table, labelled across."""
    root = tmp_path_factory.mktemp("bars")
    rng = np.random.default_rng(0)
    rows = []
    for number in range(12):
        image = np.full((120, 160, 3), 40, np.uint8)
        u, v, angle = rng.uniform(60, 100), rng.uniform(45, 75), rng.uniform(-1.5, 1.5)
        bar = Grasps.from_arrays(u, v, angle, 10, 60)
        cv2.fillPoly(image, [np.rint(bar.to_rectangles()[0]).astype(np.int32)], (220, 200, 180))
        name = f"pcd{number:04d}"
        cv2.imwrite(str(root / f"{name}r.png"), image)
        label = Grasps.from_arrays(u, v, angle, 24, 16).to_rectangles()[0]
        text = "".join(f"{x:.3f} {y:.3f}\n" for x, y in label)
        (root / f"{name}cpos.txt").write_text(text)
        rows.append(f"{number:04d} {number // 2}")
    (root / "z.txt").write_text("\n".join(rows) + "\n")
    return f"cornell:{root}"
