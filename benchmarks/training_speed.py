"""Images a second of the training loop beside those of a plain one, and the share spent waiting.

    python benchmarks/training_speed.py --data cornell:FOLDER --json training_speed.json

Both train the same network on the same images, in turns, several rounds; medians are printed. The
package's loop is the one of `graspling train`: frames kept decoded, one warp, a thread that
prepares batches, channels_last, the recipe's precision, moving average of the weights. What the
first pass over the images costs (decoding) is left out for it; the plain loop decodes in every
pass.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from plain_loop import steps, undecoded

from graspling.cli.output import table
from graspling.datasets import open_dataset
from graspling.datasets.augment import Augmentation
from graspling.datasets.sample import Dataset
from graspling.files import write_text
from graspling.image import Preparation
from graspling.networks import build
from graspling.training.batches import Batches
from graspling.training.lessons import Lesson
from graspling.training.loop import train_step
from graspling.training.losses import GraspLoss
from graspling.training.optimise import make_optimiser, resolve_precision, update_average
from graspling.training.processor import use_processor, workers
from graspling.training.recipe import Recipe, load_recipe

NETWORKS = ("graspling_s", "ggcnn", "ggcnn2", "grconvnet_c16")
AUGMENTATION = Augmentation(rotation_deg=180, zoom=(1.0, 1.4))


class House:
    """The package's loop for some images of a data set."""

    def __init__(self, recipe: Recipe, dataset: Dataset, ids: Sequence[str]) -> None:
        torch.manual_seed(0)
        self.recipe = recipe
        self.network = build(recipe.network, "rgb").channels_last().train()
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimiser = make_optimiser(recipe, self.network, 1000)
        criterion = GraspLoss(recipe.loss)
        preparation = Preparation("rgb", recipe.size)
        self.batches = Batches(
            dataset, ids, preparation, AUGMENTATION, size=recipe.batch, workers=workers(0)
        )
        self.device = torch.device("cpu")
        self.lesson = Lesson(criterion, resolve_precision(recipe.precision, self.device))
        for sample_id in ids:
            dataset[sample_id]  # decoded, kept

    def epoch(self, number: int) -> tuple[float, float]:
        """Images a second, and the share of the time spent waiting for a batch."""
        waited, start, done = self.batches.seconds_waited, time.perf_counter(), 0
        for batch in self.batches.epoch(number):
            placed = batch.to(self.device)
            train_step(self.network, placed, self.lesson, self.optimiser)
            update_average(self.average, self.network, 0.998)
            done += len(batch.image)
        elapsed = time.perf_counter() - start
        return done / elapsed, (self.batches.seconds_waited - waited) / elapsed


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Medians over rounds; the two loops take turns, so that a busy machine hits both."""
    recipe = load_recipe(name, modality="rgb", batch=arguments.batch, size=arguments.size)
    decoded, plain_data = open_dataset(arguments.data), undecoded(arguments.data)
    ids = decoded.ids[: arguments.images]
    house = House(recipe, decoded, ids)
    plain = build(name, "rgb")
    ours, waits, theirs = [], [], []
    for number in range(arguments.rounds):
        rate, waited = house.epoch(number)
        start = time.perf_counter()
        done = sum(steps(plain, plain_data, ids, arguments.batch, arguments.size, number))
        theirs.append(done / (time.perf_counter() - start))
        ours.append(rate)
        waits.append(waited)
    found = {
        "images_per_second": statistics.median(ours),
        "plain_images_per_second": statistics.median(theirs),
        "ratio": statistics.median(a / b for a, b in zip(ours, theirs, strict=True)),
        "waiting_share": statistics.median(waits),
        "precision": house.lesson.precision,
    }
    print(name, {k: round(v, 3) if isinstance(v, float) else v for k, v in found.items()})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="cornell:FOLDER")
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="a few small images")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.images, arguments.rounds, arguments.size, arguments.batch = 4, 1, 64, 2
    use_processor(arguments.threads)
    results = {name: measure(name, arguments) for name in arguments.networks}
    if arguments.json:
        write_text(arguments.json, json.dumps(results, indent=1) + "\n")
    columns = ["images_per_second", "plain_images_per_second", "ratio", "waiting_share"]
    rows = [[name, *(f"{found[c]:.3g}" for c in columns)] for name, found in results.items()]
    print(table(["network", "images/s", "plain", "ratio", "waiting"], rows))


if __name__ == "__main__":
    main()
