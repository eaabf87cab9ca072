"""Put a checkpoint among the shipped models: ONNX and card into the package, safetensors beside it.

    python scripts/ship.py runs/all/best.safetensors --folds runs/cornell/graspling_s \
        --results runs/cornell/results.json
    python scripts/ship.py runs/generated/best.safetensors --test runs/generated/test.json \
        --made-by "graspling generate --frames 6000 --part test --seed 2 --views 2"

    python scripts/ship.py runs/gq_stn/best.safetensors --robust runs/robust/gq_stn/robust.json \
        --made-by "graspling generate --frames 10400 --part test --seed 2 --views 2"

The first is for small data: the model is trained on everything, so nothing is left to judge it by.
Its scores and its threshold are those of the same recipe in cross-validation
(benchmarks/cornell.py), and the card says so. The second is for data with objects to spare: what
`graspling evaluate --json` found on held-out data is its score, and its threshold stays. The third
is for networks that say one grasp: the score is the share of robust grasps that `graspling evaluate
--metric robust --json` found.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
from pathlib import Path
from typing import Any

from graspling.card import Card
from graspling.cli import main as graspling
from graspling.models import WEIGHTS
from graspling.training.checkpoint import load_checkpoint, save_checkpoint
from graspling.training.robust.checkpoints import load_one_grasp

MODELS = Path(__file__).parent.parent / "models"


def cross_validated(results: dict[str, Any], network: str) -> dict[str, Any]:
    """Scores of the recipe by split, as they stand in the card."""
    kept = ("accuracy", "n", "interval", "split_hash", "folds")
    return {
        f"cross-validation of the same recipe, {key.removeprefix(network).strip()}": {
            name: value[name] for name in kept
        }
        for key, value in results.items()
        if key.split(" ")[0] == network
    }


def from_folds(card: Card, folds: Path, results: Path, split: str) -> Card:
    """The card with the scores and the threshold of a cross-validation."""
    scores = cross_validated(json.loads(results.read_text()), card.network)
    short = [key for key, value in scores.items() if value["folds"] < 5]
    if short:
        raise SystemExit(f"not all folds are done: {', '.join(short)}")
    best = next(value for key, value in scores.items() if key.endswith(split))
    checkpoints = sorted(folds.glob(f"{split}-*/best.safetensors"))
    threshold = statistics.median(load_checkpoint(path)[1].threshold for path in checkpoints)
    return dataclasses.replace(
        card, score=best["accuracy"], scores=scores, threshold=round(threshold, 3)
    )


def from_test(card: Card, found: dict[str, Any], made_by: str) -> Card:
    """The card with the score on held-out data."""
    if found["trained_on"]:
        raise SystemExit(f"{found['trained_on']} of the judged images were trained on")
    kept = ("accuracy", "n", "interval", "unknown", "accuracy_known", "silence")
    held_out = {name: found[name] for name in (*kept, "jaw_rule", "rule", "crop")}
    held_out["data"] = made_by
    return dataclasses.replace(
        card, score=found["accuracy"], scores={**card.scores, "held-out objects": held_out}
    )


def from_robust(card: Card, found: dict[str, Any], made_by: str) -> Card:
    """The card of a network of one grasp, with the scores on held-out data."""
    kept = ("rectangle", "robust", "physics")
    held_out: dict[str, Any] = {name: found[name] for name in kept}
    held_out |= {"label": found["label"]["robust"], "critic": found["critic"], "data": made_by}
    scores = {**card.scores, "held-out objects": held_out}
    return dataclasses.replace(card, score=found["robust"]["share"], scores=scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--folds", type=Path, help="runs of the same recipe")
    parser.add_argument("--results", type=Path, help="their results.json")
    parser.add_argument("--score", default="object-wise", help="the split that ranks the model")
    parser.add_argument("--test", type=Path, help="what `graspling evaluate --json` wrote")
    parser.add_argument("--robust", type=Path, help="what --metric robust wrote")
    parser.add_argument("--made-by", default="", help="the command that made the held-out data")
    arguments = parser.parse_args()
    load = load_one_grasp if arguments.robust else load_checkpoint
    network, card = load(arguments.checkpoint)
    if arguments.robust:
        card = from_robust(card, json.loads(arguments.robust.read_text()), arguments.made_by)
    elif arguments.test:
        card = from_test(card, json.loads(arguments.test.read_text()), arguments.made_by)
    elif arguments.folds and arguments.results:
        card = from_folds(card, arguments.folds, arguments.results, arguments.score)
    else:
        parser.error("give --test, --robust, or --folds and --results")
    run = arguments.checkpoint.resolve().parent.name  # models of runs are called after them, too
    card = dataclasses.replace(card, name=card.name.removesuffix(f"-{run}"))
    target = MODELS / f"{card.name}.safetensors"
    save_checkpoint(target, network, card)
    status = graspling(["export", str(target), "--out", str(WEIGHTS / f"{card.name}.onnx")])
    if status:
        raise SystemExit(status)


if __name__ == "__main__":
    main()
