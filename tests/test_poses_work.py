"""What poses take, and what they do not depend on: other grasps of the call, threads, noise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from ray_scenes import CAMERA

from graspling import Grasps, descent, relief
from graspling.camera import Intrinsics
from graspling.cli.demo import SAMPLES
from graspling.detector import load
from graspling.gripper import Gripper

PANDA = Gripper.load("panda")


@pytest.mark.parametrize("frame", ["pile", "wood", "crowd"])
def test_a_pose_does_not_depend_on_the_other_grasps_of_the_call(frame: str) -> None:
    depth = cv2.imread(str(SAMPLES / f"{frame}_depth.png"), cv2.IMREAD_UNCHANGED)
    depth = (depth * 1e-4).astype(np.float32)
    camera = Intrinsics.load(SAMPLES / "camera.json")
    grasps = load("graspling_s-generated-depth").detect(None, depth, top=8, threshold=0.1)
    together = grasps.to_poses(depth, camera, PANDA)
    for row in range(len(grasps)):
        alone = grasps[[row]].to_poses(depth, camera, PANDA)
        assert alone.reason[0] == together.reason[row]
        np.testing.assert_allclose(alone.pose[0], together.pose[row], atol=1e-4)
        np.testing.assert_allclose(alone.width[0], together.width[row], atol=1e-4)


def far_scene(z: float) -> tuple[np.ndarray, Grasps]:
    """Three boxes in the corners of a frame whose table lies at depth z."""
    depth = np.full((480, 640), z, np.float32)
    size = max(round(0.04 * CAMERA.fx / z), 3)
    places = [(120, 230), (520, 130), (100, 420)]
    for u, v in places:
        depth[v - size : v + size + 1, u - size // 2 : u + size // 2 + 1] = z - 0.05
    u, v = np.array(places).T
    return depth, Grasps.from_arrays(u, v, 0.0, 0.055 * CAMERA.fx / z)


def test_work_does_not_grow_with_the_distance_between_grasps(monkeypatch) -> None:
    cells = []

    def counted(*arguments):
        heights = relief.relief(*arguments)
        cells.append(heights.depth.size)
        return heights

    monkeypatch.setattr(descent, "relief", counted)
    for z, rasters in ((0.6, 1), (2.0, 3), (5.0, 3)):
        depth, grasps = far_scene(z)
        cells.clear()
        together = grasps.to_poses(depth, CAMERA, PANDA)
        assert len(cells) == rasters and max(cells) < 1_600_000
        assert sum(cells) < 1_000_000
        assert together.valid.all(), together.reason
        alone = [grasps[row].to_poses(depth, CAMERA, PANDA) for row in range(3)]
        np.testing.assert_allclose(
            together.pose, np.concatenate([one.pose for one in alone]), atol=0.002
        )
    depth, grasps = far_scene(20.0)
    assert all("too far" in reason for reason in grasps.to_poses(depth, CAMERA, PANDA).reason)


THREADS = """
import os, sys
import cv2, numpy as np
cv2.setNumThreads(3)
from graspling import Grasps
from graspling.camera import Intrinsics, register_depth
camera = Intrinsics(600, 600, 319.5, 239.5, 640, 480, (0.1, -0.05, 0, 0, 0))
depth = np.full((480, 640), 0.6, np.float32)
depth[180:300, 299:342] = 0.56
Grasps.from_arrays(320, 240, 0, 54).to_poses(depth, camera, "panda")
register_depth(depth, camera, camera, np.eye(4))
print(len(os.listdir("/proc/self/task")), cv2.getNumThreads())
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in /proc")
def test_poses_and_registration_start_no_threads() -> None:
    done = subprocess.run(
        [sys.executable, "-c", THREADS],
        capture_output=True,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    assert done.stdout.split() == ["1", "3"], done.stderr


def test_depth_of_noise_alone_has_bounded_shadows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pixel throws one on its neighbours then; unbounded they take gigabytes."""
    monkeypatch.setattr(relief, "_MOST_SHADOW", 5000)
    x, y = np.meshgrid(np.arange(40) * 0.01, np.arange(30) * 0.01)
    noise = np.random.default_rng(0).uniform(-0.05, 0.05, (3, 30, 40))
    points = (np.stack([x, y, np.full_like(x, 0.5)]) + noise).astype(np.float32)
    half, slope = np.array([0.0005, 0.0005]), np.zeros(2)
    found, _ = relief._shadows(points.reshape(3, -1), half, points[2], slope)
    assert 2000 < found.shape[1] <= 2 * 5000
