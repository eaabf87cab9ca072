"""A stand-in for the simulator: tiny frames in no time, whose truth is known.

Each scene is a table at 0.7 m with a few bars that lie above it at 0.65 m, drawn straight into the
pixels; the right grasp of a bar opens across it. Workers import this file by its name.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

from graspling.camera import Intrinsics
from graspling.simulation import codec
from graspling.simulation.labels import FrameLabels
from graspling.simulation.manifest import Settings
from graspling.simulation.pools import pool_of_scene
from graspling.simulation.shards import FrameRecord, SceneRecord

CAMERA = Intrinsics(60.0, 60.0, 31.5, 23.5, 64, 48)
TABLE_M, BAR_M = 0.7, 0.65
_LONG, _SHORT = 8.0, 2.5  # half sizes in pixels


def table(u: np.ndarray, v: np.ndarray, angle: np.ndarray, state: np.ndarray) -> FrameLabels:
    """Labels at pixels."""
    count = len(u)
    position = CAMERA.deproject(u, v, np.full(count, BAR_M)).astype(np.float32)
    opening = np.full(count, 0.08, np.float32)
    small = np.full(count, 0.02, np.float32)
    return FrameLabels(
        position=position,
        angle=angle.astype(np.float32),
        width=opening,
        distance=opening,
        surface=np.full(count, BAR_M, np.float32),
        jaw=small,
        q=np.where(state == 1, 1.0, 0.0).astype(np.float32),
        friction=small,
        collision=state == -1,
        antipodal=state >= 0,
        object=np.arange(count),
        state=state.astype(np.int8),
    )


class Fake:
    """See the module. What it reads of the environment: ``FAKE_DIES`` is a folder; a worker kills
    itself at scene 3 unless it holds a file ``died``. ``FAKE_SLOW``: seconds a scene."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @staticmethod
    def describe(settings: Settings) -> dict[str, Any]:
        return {
            "gripper": {"name": settings.gripper},
            "cameras": [{"name": settings.camera, "height": (1, 2)}],
        }

    def __call__(self, number: int) -> SceneRecord:
        self._die(number)
        time.sleep(float(os.environ.get("FAKE_SLOW", "0")))
        rng = np.random.default_rng([self.settings.seed, number])
        count = 0 if number % 7 == 6 else int(rng.integers(1, 4))
        pool = pool_of_scene(number, self.settings.part)
        objects = tuple(f"bar-{pool}{rng.integers(1000):03d}" for _ in range(count))
        frames = tuple(self.frame(f"{number:07d}-{k}", rng, count) for k in range(2))
        kind = "empty" if not count else "single" if count == 1 else "cluttered"
        return SceneRecord(number, kind, pool, objects, frames, {"draw": 0.01})

    def frame(self, name: str, rng: np.random.Generator, count: int) -> FrameRecord:
        depth = np.full((48, 64), TABLE_M, np.float32)
        segmentation = np.zeros((48, 64), np.uint8)
        u, v = rng.uniform(12, 52, count), rng.uniform(12, 36, count)
        angle = rng.uniform(-np.pi / 2, np.pi / 2, count)
        rows, columns = np.mgrid[0:48, 0:64]
        for bar in range(count):
            cos, sin = np.cos(angle[bar]), np.sin(angle[bar])
            across = (columns - u[bar]) * cos + (rows - v[bar]) * sin
            along = -(columns - u[bar]) * sin + (rows - v[bar]) * cos
            inside = (abs(across) <= _SHORT) & (abs(along) <= _LONG)
            depth[inside], segmentation[inside] = BAR_M, bar + 1
        rgb = np.repeat(segmentation[..., None] * 60 + 40, 3, axis=2).astype(np.uint8)
        both = np.concatenate
        state = np.repeat([1, 0, -1], count)
        turned = both([angle, angle + 0.7, angle + np.pi / 2])
        turned = np.mod(turned + np.pi / 2, np.pi) - np.pi / 2
        labels = table(np.tile(u, 3), np.tile(v, 3), turned, state)
        members = {
            codec.DEPTH: codec.encode_depth(depth),
            codec.COLOUR: codec.encode_colour(rgb, self.settings.jpeg_quality),
            codec.SEGMENTATION: codec.encode_segmentation(segmentation),
            codec.LABELS: codec.encode_labels(labels),
            codec.DESCRIPTION: codec.encode_description({"intrinsics": CAMERA.to_dict()}),
        }
        return FrameRecord(name, members, (count, count, count))

    def _die(self, number: int) -> None:
        place = os.environ.get("FAKE_DIES")
        if place and number == 3 and not (Path(place) / "died").exists():
            (Path(place) / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)


class Broken(Fake):
    """Fails at scene 2."""

    def __call__(self, number: int) -> SceneRecord:
        if number == 2:
            raise ZeroDivisionError("no such scene")
        return super().__call__(number)
