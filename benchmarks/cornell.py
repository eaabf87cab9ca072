"""Train networks on all folds of Cornell and pool their test parts: docs/results/cornell.md.

    python benchmarks/cornell.py --data cornell:FOLDER --out runs/cornell --workers 2

Each (network, split, fold) is one `graspling train` in a process of its own with one thread; the
test part is judged once, when the training is done. Start it again after an interruption: finished
folds are kept, a fold under way goes on where it was. The recipe of a network is the one of the
same name; `--recipe NETWORK=FILE` takes another. Folds of another recipe are refused.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

from asked import asked, digest, keep
from jobs import call, markdown

from graspling.evaluation.intervals import wilson
from graspling.files import write_text
from graspling.training.log import read_log

NETWORKS = ("graspling_s", "grconvnet_c16", "ggcnn2", "ggcnn")
SPLITS = ("object-wise", "image-wise")


def run_fold(arguments: argparse.Namespace, network: str, split: str, fold: int) -> None:
    """Train one fold, then judge its test part."""
    folder = arguments.out / network / f"{split}-{fold}"
    recipe = dict(item.split("=", 1) for item in arguments.recipe).get(network, network)
    resume = ["--resume"] if (folder / "last.safetensors").exists() else []
    where = ["--data", arguments.data, "--split", split, "--fold", str(fold)]
    train = ["train", recipe, *where, "--out", str(folder), "--set", "threads=1", *resume]
    folder.mkdir(parents=True, exist_ok=True)
    file = Path(recipe)
    told = digest(file) if file.is_file() else recipe
    keep(folder, asked(train) | {"recipe": told})
    if (folder / "test.json").exists():
        return
    call(train, folder)
    part = folder / "test.json.part"
    model = folder / "best.safetensors"
    call(["evaluate", "--model", model, *where, "--part", "test", "--json", part], folder)
    part.rename(folder / "test.json")
    accuracy = json.loads((folder / "test.json").read_text())["accuracy"]
    print(f"{network} {split} fold {fold}: {accuracy:.3f}", flush=True)


def summary(folders: Iterable[Path]) -> dict[str, Any] | None:
    """Pooled score of the folds that are done."""
    tests, validations, seconds = [], [], []
    for folder in folders:
        if not (folder / "test.json").exists():
            continue
        tests.append(json.loads((folder / "test.json").read_text()))
        rows = read_log(folder / "log.jsonl")
        validations += [max(r["accuracy"] for r in rows if r["kind"] == "validation")]
        epochs = [r for r in rows if r["kind"] == "epoch"]
        seconds += [epochs[-1]["seconds"] / len(epochs)]
    if not tests:
        return None
    n = sum(test["n"] for test in tests)

    def pooled(share: Any) -> float:
        return sum(share(test) * test["n"] for test in tests) / n

    accuracy = pooled(lambda t: t["accuracy"])
    return {
        "folds": len(tests),
        "n": n,
        "accuracy": accuracy,
        "interval": wilson(round(accuracy * n), n),
        "by_angle": {k: pooled(lambda t, k=k: t["by_angle"][k]) for k in tests[0]["by_angle"]},
        "iou_only": pooled(lambda t: t["iou_only"]),
        "best_validation": sum(validations) / len(validations),
        "split_hash": tests[0]["split_hash"],
        "seconds_per_epoch": sum(seconds) / len(seconds),
    }


def table(out: Path, networks: Iterable[str], splits: Iterable[str], folds: list[int]) -> str:
    """Markdown: a row for each network and split."""
    rows = []
    for network, split in product(networks, splits):
        found = summary(out / network / f"{split}-{fold}" for fold in folds)
        if found is not None:
            row = [network, f"{split} ({found['split_hash']})", found["folds"], found["n"]]
            row += [f"{found['accuracy']:.3f}", "{:.3f}-{:.3f}".format(*found["interval"])]
            rows.append(
                [*row, f"{found['by_angle']['10']:.3f}", f"{found['seconds_per_epoch']:.1f}"]
            )
    headers = ["network", "split", "folds", "images", "accuracy", "95 % interval"]
    return markdown([*headers, "< 10 deg", "s an epoch"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="cornell:FOLDER")
    parser.add_argument("--out", type=Path, default=Path("runs/cornell"))
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--splits", nargs="+", default=SPLITS)
    parser.add_argument("--folds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--recipe", nargs="*", default=[], metavar="NETWORK=FILE")
    parser.add_argument("--workers", type=int, default=2, help="folds side by side")
    arguments = parser.parse_args()
    jobs = product(arguments.networks, arguments.splits, arguments.folds)
    with ThreadPoolExecutor(arguments.workers) as pool:
        for done in [pool.submit(run_fold, arguments, *job) for job in jobs]:
            done.result()
    results = {
        f"{network} {split}": found
        for network, split in product(arguments.networks, arguments.splits)
        if (found := summary(arguments.out / network / f"{split}-{f}" for f in arguments.folds))
    }
    write_text(arguments.out / "results.json", json.dumps(results, indent=1) + "\n")
    print(table(arguments.out, arguments.networks, arguments.splits, arguments.folds))


if __name__ == "__main__":
    main()
