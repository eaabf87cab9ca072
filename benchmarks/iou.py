"""Pairs a second of the exact rotated IoU on one core.

    python benchmarks/iou.py --json iou.json

The pairs of a call all overlap (of the table, those on its diagonal), so that no number is
flattered by rectangles far apart.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import json
import platform
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from graspling.grasps import Grasps
from graspling.iou import rotated_iou, rotated_iou_matrix


def random_grasps(count: int, seed: int) -> Grasps:
    """Rectangles of the size and crowding of grasp labels on one object."""
    random = np.random.default_rng(seed)
    u, v = random.uniform(0, 60, (2, count))
    angle = random.uniform(-np.pi / 2, np.pi / 2, count)
    return Grasps.from_arrays(
        u, v, angle, random.uniform(20, 80, count), random.uniform(8, 40, count)
    )


def best_seconds(call: Callable[[], object], repeats: int) -> float:
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=7, help="the best one counts")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    options = parser.parse_args()

    a, b = random_grasps(options.pairs, 0), random_grasps(options.pairs, 1)
    overlapping = rotated_iou(a, b) > 0
    a, b = a[overlapping], b[overlapping]
    few_a, few_b, side_a, side_b = a[:20], b[:20], a[:450], b[:450]
    rates = {
        "pairwise": len(a) / best_seconds(lambda: rotated_iou(a, b), options.repeats),
        "20 pairs a call": 20 / best_seconds(lambda: rotated_iou(few_a, few_b), 200),
        "all against all, 450 x 450": 450**2
        / best_seconds(lambda: rotated_iou_matrix(side_a, side_b), options.repeats),
    }
    try:
        import shapely
    except ImportError:
        worst = None
    else:
        first, second = (shapely.polygons(g.to_rectangles()) for g in (a, b))

        def oracle() -> np.ndarray:
            shared = shapely.area(shapely.intersection(first, second))
            return shared / (shapely.area(first) + shapely.area(second) - shared)

        rates["shapely"] = len(a) / best_seconds(oracle, 1)
        worst = float(np.abs(oracle() - rotated_iou(a, b)).max())

    for name, rate in rates.items():
        print(f"{name:32s} {rate:12,.0f} pairs/s")
    if worst is not None:
        print(f"{'worst difference to shapely':32s} {worst:12.1e}")
    if options.json:
        result = {
            "command": shlex.join(["python", *sys.argv]),
            "pairs": len(a),
            "pairs_per_second": {name: round(rate) for name, rate in rates.items()},
            "worst_difference_to_shapely": worst,
            "numpy": np.__version__,
            "processor": platform.processor() or platform.machine(),
        }
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
