"""How long poses take after the grasps are found: `Grasps.to_poses` by the number of grasps.

    python benchmarks/pose_speed.py --data generated:TEST,noise=1 --frames 60

Processor time of one thread, so that a busy machine does not change it; the best of three calls a
frame, median and p95 over the frames.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from jobs import markdown

from graspling.datasets import open_dataset
from graspling.detector import load
from graspling.grasps import Grasps
from graspling.gripper import Gripper
from graspling.intrinsics import Intrinsics
from graspling.opencv import one_thread

REPEATS = 3


def milliseconds(grasps: Grasps, depth: np.ndarray, camera: Intrinsics, gripper: Gripper) -> float:
    """Of the fastest call."""
    best = float("inf")
    for _ in range(REPEATS):
        start = time.process_time()
        grasps.to_poses(depth, camera, gripper)
        best = min(best, time.process_time() - start)
    return 1e3 * best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="frames with depth and intrinsics")
    parser.add_argument("--model", default="graspling_s-generated-depth")
    parser.add_argument("--gripper", default="panda")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--top", nargs="+", type=int, default=[1, 5, 10, 20])
    arguments = parser.parse_args()
    dataset, detector = open_dataset(arguments.data), load(arguments.model, threads=1)
    gripper = Gripper.load(arguments.gripper)
    step = max(len(dataset.ids) // arguments.frames, 1)
    samples = [dataset[i] for i in dataset.ids[::step][: arguments.frames]]
    found = [(detector.detect(None, s.depth, top=max(arguments.top)), s) for s in samples]
    rows = []
    with one_thread():
        for top in arguments.top:
            times = [
                milliseconds(grasps[:top], s.depth, s.intrinsics, gripper)
                for grasps, s in found
                if len(grasps) and s.depth is not None and s.intrinsics is not None
            ]
            rows.append(
                [top, len(times), f"{np.median(times):.1f}", f"{np.quantile(times, 0.95):.1f}"]
            )
    print(markdown(["grasps", "frames", "median, ms", "p95"], rows))


if __name__ == "__main__":
    main()
