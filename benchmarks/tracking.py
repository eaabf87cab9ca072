"""How often the best grasp of a static scene jumps with the noise of the sensor, with and without
tracking.

    python benchmarks/tracking.py --data generated:DIR --scenes 60 --frames 15 --json -

Each scene is shown again and again with fresh noise: depth moves by a smooth Gaussian of --sigma
metres, colour by --levels, and one pixel in 200 loses its depth. A jump is a best grasp that does
not match that of the frame before by the rectangle metric (IoU > 0.25, angle < 30 degrees), or that
comes or goes. Scenes count alike; intervals are bootstrapped over scenes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from graspling.datasets import open_dataset
from graspling.datasets.sample import Sample
from graspling.detector import load
from graspling.evaluation.rectangle import correct
from graspling.files import write_text
from graspling.grasps import Grasps
from graspling.tracking import Tracker

Image = np.ndarray


def noisy(sample: Sample, sigma: float, levels: float, rng: np.random.Generator) -> tuple:
    """Colour and depth of a sample with fresh noise."""
    rgb, depth = sample.rgb, sample.depth
    if rgb is not None:
        grain = rng.normal(0, levels, rgb.shape)
        rgb = np.clip(rgb + grain, 0, 255).astype(np.uint8)
    if depth is not None:
        grain = cv2.GaussianBlur(rng.normal(0, 1, depth.shape), (0, 0), 1.5)
        lost = rng.random(depth.shape) < 0.005
        moved = depth + (sigma * grain / grain.std()).astype(np.float32)
        depth = np.where((depth > 0) & ~lost, moved, 0).astype(np.float32)
    return rgb, depth


def jumps(answers: list[Grasps]) -> tuple[float, list[float]]:
    """Share of the steps that jump, and the movement of the centre in the others, pixels."""
    jumped, moves = 0, []
    for before, after in zip(answers[:-1], answers[1:], strict=True):
        if len(before) and len(after) and correct(after[:1], before[:1])[0]:
            moves.append(float(np.hypot(*(after.centres[0] - before.centres[0]))))
        else:
            jumped += len(before) + len(after) > 0
    return jumped / (len(answers) - 1), moves


def interval(values: list[float], rng: np.random.Generator) -> list[float]:
    """95 % bootstrap interval of the mean over scenes."""
    rows = rng.integers(0, len(values), (2000, len(values)))
    return [float(v) for v in np.percentile(np.array(values)[rows].mean(axis=1), (2.5, 97.5))]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default=None)
    parser.add_argument("--scenes", type=int, default=60)
    parser.add_argument("--frames", type=int, default=15)
    parser.add_argument("--sigma", type=float, default=0.001)
    parser.add_argument("--levels", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", default="-")
    options = parser.parse_args()
    dataset = open_dataset(options.data)
    detector = load(options.model)
    ways: dict[str, Callable[[], Callable[..., Grasps]]] = {
        "each frame by itself": lambda: detector.detect,
        "detector.track": lambda: following(detector),
        "Tracker": lambda: lambda rgb, depth: tracker.update(rgb, depth).grasps,
    }
    found: dict[str, list[tuple[float, list[float]]]] = {name: [] for name in ways}
    for scene in tqdm(list(dataset.ids)[: options.scenes], unit="scene"):
        sample = dataset[scene]
        rng = np.random.default_rng([options.seed, *scene.encode()])
        shown = [noisy(sample, options.sigma, options.levels, rng) for _ in range(options.frames)]
        for name, way in ways.items():
            tracker = Tracker(detector)
            look = way()
            found[name].append(jumps([look(rgb, depth) for rgb, depth in shown]))
    rng = np.random.default_rng(options.seed)
    report = {**vars(options), "model": detector.card.name}
    for name, scenes in found.items():
        shares = [share for share, _ in scenes]
        moves = [move for _, moved in scenes for move in moved]
        report[name] = {
            "jumps": float(np.mean(shares)),
            "interval": interval(shares, rng),
            "median_move_px": float(np.median(moves)),
        }
    text = json.dumps(report, indent=2)
    if options.json == "-":
        print(text)
    else:
        write_text(Path(options.json), text + "\n")


def following(detector) -> Callable[..., Grasps]:
    """`detector.track` with the grasp of the frame before."""
    previous = Grasps.empty()

    def look(rgb: Image | None, depth: Image | None) -> Grasps:
        nonlocal previous
        previous = detector.track(rgb, depth, previous=previous)
        return previous

    return look


if __name__ == "__main__":
    main()
