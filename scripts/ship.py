"""Put a checkpoint among the shipped models: ONNX and card into the package, safetensors beside it.

    python scripts/ship.py runs/all/best.safetensors --folds runs/cornell/graspling_s \
        --results runs/cornell/results.json

A model to ship is trained on everything, so nothing is left to judge it by. Its scores and its
threshold are those of the same recipe in cross-validation (benchmarks/cornell.py), and the card
says so.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
from pathlib import Path
from typing import Any

from graspling.cli import main as graspling
from graspling.models import WEIGHTS
from graspling.training.checkpoint import load_checkpoint, save_checkpoint

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--folds", type=Path, required=True, help="runs of the same recipe")
    parser.add_argument("--results", type=Path, required=True, help="their results.json")
    parser.add_argument("--score", default="object-wise", help="the split that ranks the model")
    arguments = parser.parse_args()

    network, card = load_checkpoint(arguments.checkpoint)
    scores = cross_validated(json.loads(arguments.results.read_text()), card.network)
    short = [key for key, value in scores.items() if value["folds"] < 5]
    if short:
        raise SystemExit(f"not all folds are done: {', '.join(short)}")
    best = next(value for key, value in scores.items() if key.endswith(arguments.score))
    folds = sorted(arguments.folds.glob(f"{arguments.score}-*/best.safetensors"))
    thresholds = [load_checkpoint(path)[1].threshold for path in folds]
    card = dataclasses.replace(
        card,
        score=best["accuracy"],
        scores=scores,
        threshold=round(statistics.median(thresholds), 3),
    )
    target = MODELS / f"{card.name}.safetensors"
    save_checkpoint(target, network, card)
    status = graspling(["export", str(target), "--out", str(WEIGHTS / f"{card.name}.onnx")])
    if status:
        raise SystemExit(status)


if __name__ == "__main__":
    main()
