"""What several tests of training share."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
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
    rows = []
    for number, (image, _, label) in enumerate(_drawn()):
        name = f"pcd{number:04d}"
        cv2.imwrite(str(root / f"{name}r.png"), image)
        text = "".join(f"{x:.3f} {y:.3f}\n" for x, y in label.to_rectangles()[0])
        (root / f"{name}cpos.txt").write_text(text)
        rows.append(f"{number:04d} {number // 2}")
    (root / "z.txt").write_text("\n".join(rows) + "\n")
    return f"cornell:{root}"


@pytest.fixture(scope="session")
def deep_bars(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same with depth and a known camera, as recipes ask for that imitate a sensor."""
    root = tmp_path_factory.mktemp("deep_bars")
    images = []
    for number, (image, metres, label) in enumerate(_drawn()):
        entry = {"id": f"{number}", "object": f"{number // 2}", "state": "labelled"}
        entry |= {"rgb": f"{number}.png", "depth": f"{number}.tiff"}
        cv2.imwrite(str(root / entry["rgb"]), image)
        cv2.imwrite(str(root / entry["depth"]), metres)
        numbers = {"u": label.u, "v": label.v, "angle_rad": label.angle}
        numbers |= {"width_px": label.width, "jaw_px": label.jaw}
        grasp = {name: float(values[0]) for name, values in numbers.items()}
        images.append({**entry, "grasps": [grasp]})
    camera = {"fx": 150.0, "fy": 150.0, "cx": 79.5, "cy": 59.5, "width": 160, "height": 120}
    document = {"schema": "graspling/folder", "version": 1, "intrinsics": camera, "images": images}
    (root / "labels.json").write_text(json.dumps(document))
    return f"folder:{root}"


def _drawn() -> Iterator[tuple[np.ndarray, np.ndarray, Grasps]]:
    """Twelve times colour, depth in metres (bars are 3 cm high) and the label."""
    rng = np.random.default_rng(0)
    for _ in range(12):
        image = np.full((120, 160, 3), 40, np.uint8)
        metres = np.full((120, 160), 0.7, np.float32)
        u, v, angle = rng.uniform(60, 100), rng.uniform(45, 75), rng.uniform(-1.5, 1.5)
        bar = Grasps.from_arrays(u, v, angle, 10, 60)
        outline = np.rint(bar.to_rectangles()[0]).astype(np.int32)
        cv2.fillPoly(image, [outline], (220, 200, 180))
        cv2.fillPoly(metres, [outline], (0.67,))
        yield image, metres, Grasps.from_arrays(u, v, angle, 24, 16)
