"""What finished runs found, in one small file: a table can grow from one machine to the next.

    python benchmarks/kept.py save runs/networks benchmarks/results/networks.json
    python benchmarks/kept.py restore benchmarks/results/networks.json runs/networks

`save` collects the scores and the log of every job that is judged below the folder and adds them to
the file; `restore` puts them back, so that benchmarks/networks.py, ablations.py, search.py and
distill.py take those jobs for done and print them in their tables. The weights are not kept. A job
of a network that has another number of parameters by now is left out, and that is said.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml
from asked import FILE

from graspling.files import write_text
from graspling.networks import build
from graspling.networks.counts import parameters

_LEFT_OUT = ("command",)  # names folders of the machine that it ran on
_BUDGET = ("network", "variant", "modality", "size", "batch", "epochs", "steps", "lr", "seed")


def collect(folder: Path) -> dict[str, Any]:
    """Job by its name: its budget, documents by their names, and the epochs of its log."""
    found = {}
    for settings in sorted(folder.glob("**/recipe.yaml")):  # those that were restored have none
        job = settings.parent
        documents = {
            file.stem: {k: v for k, v in json.loads(file.read_text()).items() if k not in _LEFT_OUT}
            for file in sorted(job.glob("*.json"))
            # the card of the exported file, which is not kept either, and what is kept apart
            if file.name not in ("model.json", FILE)
        }
        if not documents:
            continue  # not judged yet
        rows = [json.loads(line) for line in (job / "log.jsonl").read_text().splitlines()]
        epochs = [row for row in rows if row["kind"] == "epoch"]
        recipe = yaml.safe_load(settings.read_text())
        told = job / FILE
        found[job.relative_to(folder).as_posix()] = {
            "budget": {name: recipe[name] for name in _BUDGET},
            "asked": json.loads(told.read_text()) if told.exists() else {},
            "parameters": count(recipe),
            "documents": documents,
            "epochs": epochs,
        }
    return found


def count(budget: dict[str, Any]) -> int:
    """Parameters of a job's network as it is built today."""
    return parameters(build(budget["network"], budget["modality"], **budget["variant"]))


def restore(kept: dict[str, Any], folder: Path) -> None:
    """Write the jobs that the folder does not have."""
    for name, job in kept.items():
        place = folder / name
        if any((place / name).exists() for name in ("trained", "test.json", "last.safetensors")):
            continue  # it is finished here, or under way
        before = job.get("parameters") or job["documents"].get("in_use", {}).get("parameters")
        now = count(job["budget"])
        if before not in (None, now):
            print(
                f"{name} left out: its network had {before} parameters, now {now}", file=sys.stderr
            )
            continue
        place.mkdir(parents=True, exist_ok=True)
        for stem, document in job["documents"].items():
            write_text(place / f"{stem}.json", json.dumps(document, indent=1) + "\n")
        lines = "".join(json.dumps(row) + "\n" for row in job["epochs"])
        write_text(place / "log.jsonl", lines)
        budget = {key: value for key, value in job["budget"].items() if key != "network"}
        for row in job["epochs"]:
            budget["precision"] = row.get("precision", "fp32")
        write_text(place / FILE, json.dumps(job.get("asked") or budget) + "\n")
        write_text(place / "trained", "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["save", "restore"])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    if not arguments.source.exists():
        parser.error(f"{arguments.source}: there is no such file or folder to {arguments.what}")
    if arguments.what == "save":
        before = json.loads(arguments.target.read_text()) if arguments.target.exists() else {}
        kept = before | collect(arguments.source)
        write_text(arguments.target, json.dumps(kept) + "\n")
        print(f"{len(kept)} jobs in {arguments.target}, {len(kept) - len(before)} of them new")
    else:
        restore(json.loads(arguments.source.read_text()), arguments.target)


if __name__ == "__main__":
    main()
