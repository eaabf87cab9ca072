"""All five papers and graspling in one table, from what the other benchmarks have kept.

    python benchmarks/joint.py --picture accuracy.png

reads benchmarks/results/*.json and prints two tables: every network trained with one budget
(networks.json and, at 96 pixels, networks-96.json and, where all test frames were judged,
networks-96-all.json, beside the times of speed-networks-epyc.json), and every model as it is used
(robust.json and simulate-table.json, beside speed.json). It trains and measures nothing; a dash is
a number that nobody has measured yet. The picture has one dot a network: accuracy on generated
depth, trained with 160 and with 96 pixels, against the network's time at 224 and parameters.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jobs import markdown, share
from numpy.typing import NDArray
from scatter import Dot, scatter

from graspling.networks.table import FILE
from graspling.pictures import write_picture

RESULTS = Path(__file__).parent / "results"
FOLDS = 5
MODALITIES = ("depth", "rgb", "rgbd")
SCENES = ("single", "cluttered", "stacked")
DASH = "-"
# Networks of our own that a teacher taught, with the same budget: file of the run at 160 and at 96
# pixels, and the run in it.
TAUGHT = {
    "graspling_s": ("distill-graspling_s-160", "distill-graspling_s-96"),
    "graspling_m": ("distill-graspling_m-160", "distill-graspling_m-96-kufenet"),
}
TAUGHT_RUN = "seed-0/weight-20"


def of_network(
    network: str,
    kept: Mapping[str, Any],
    small: Mapping[str, Any],
    speed: Iterable[Mapping[str, Any]],
) -> list[str]:
    """Size, accuracy by data set (of n images where not all folds were trained), the times of
    its fastest backend and the whole call in ONNX Runtime; with a star where these are of a layout
    that it had before."""
    rows = [row for row in speed if row["network"] == network.split(",")[0]]
    fastest, now = quickest(rows), sizes(network)
    onnx = quickest(row for row in rows if row["backend"] == "onnxruntime")
    star = "" if fastest["parameters"] == now["parameters"] else "*"
    cells = [network, f"{now['parameters'] / 1e3:,.1f} K", f"{now['macs'] / 1e9:.2f}"]
    cells.append(f"{onnx['bytes'] / 1e6:.1f}{star}")
    for split in ("object-wise", "image-wise"):
        names = [f"{network}/cornell-{split}-{fold}" for fold in range(FOLDS)]
        tests = [kept[name]["documents"]["test"] for name in names if name in kept]
        some = "" if len(tests) == FOLDS else f" of {sum(test['n'] for test in tests)}"
        cells.append(f"{percent(*tests)}{some}" if tests else DASH)
    for jobs, modality in [(kept, "depth"), *((small, modality) for modality in MODALITIES)]:
        job = jobs.get(f"{network}/generated-{modality}")
        cells.append(percent(job["documents"]["test"]) if job else DASH)
    times = (fastest["network_ms"], fastest["total_ms"], onnx["total_ms"])
    return [*cells, *(f"{time:.1f}{star}" for time in times)]


def sizes(network: str) -> Mapping[str, Any]:
    """Parameters and multiply-accumulates at RGB-D, distilled or not."""
    rows = json.loads(FILE.read_text())
    name = network.split(",")[0]
    return next(row for row in rows if row["name"] == name and row["modality"] == "rgbd")


def of_model(
    model: str,
    robust: Mapping[str, Any],
    simulated: Mapping[str, Any],
    speed: Iterable[Mapping[str, Any]],
) -> list[str]:
    """Rectangle and robustness of the same frames, success of the arm, and time."""
    cells = [model]
    judged = robust.get(f"generated/{model}")
    for name in ("rectangle", "robust"):
        cells.append(share(judged[name]["successes"], judged[name]["n"]) if judged else DASH)
    for objects in ("procedural", "YCB"):
        found = [simulated.get(f"{model}/{objects}/{scene}") for scene in SCENES]
        text = [f"{100 * each['success']:.1f}" if each else DASH for each in found]
        cells.append(" / ".join(text) if any(found) else DASH)
    rows = [row for row in speed if row["model"] == model]
    return [*cells, f"{quickest(rows)['total_ms']:.1f}" if rows else DASH]


def picture(
    kept: Mapping[str, Any], small: Mapping[str, Any], speed: Iterable[Mapping[str, Any]]
) -> NDArray[np.uint8]:
    """(1240, 1800, 3) uint8: 160 pixels above, 96 below; against time and against parameters."""
    rows = list(speed)
    lines = []
    for jobs, pixels in ((kept, 160), (small, 96)):
        parts = []
        for column, label in (("network_ms", "network alone, ms"), ("parameters", "parameters")):
            dots = []
            for key in sorted(key for key in jobs if key.endswith("/generated-depth")):
                name = key.split("/")[0]
                place = {**fastest_of(name, rows), **sizes(name)}[column]
                accuracy = 100 * jobs[key]["documents"]["test"]["accuracy"]
                dots.append(Dot(place, accuracy, name, colour="graspling" in name))
            parts.append(scatter(dots, label, f"accuracy, % (generated depth, {pixels} pixels)"))
        lines.append(np.hstack(parts))
    return np.vstack(lines)


def taught(folder: Path, jobs: tuple[dict[str, Any], dict[str, Any]]) -> list[str]:
    """Add what distillation found to the jobs at 160 and at 96 pixels; names of its rows."""
    names = {}
    for network, files in TAUGHT.items():
        for kept, file in zip(jobs, files, strict=True):
            place = folder / f"{file}.json"
            if place.exists():
                name = f"{network}, distilled"
                kept[f"{name}/generated-depth"] = json.loads(place.read_text())[TAUGHT_RUN]
                names[name] = network
    return list(names)


def percent(*tests: Mapping[str, Any]) -> str:
    """Accuracy over all of these, with its interval."""
    right = sum(round(test["accuracy"] * test["n"]) for test in tests)
    return share(right, sum(test["n"] for test in tests))


def fastest_of(name: str, rows: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The row of a network, distilled or not, in its best backend."""
    return quickest(row for row in rows if row["network"] == name.split(",")[0])


def quickest(rows: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Of one thread, the row with the shortest whole call."""
    return min((row for row in rows if row["threads"] == 1), key=lambda row: row["total_ms"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the kept files")
    parser.add_argument("--picture", type=Path, help="PNG to write")
    arguments = parser.parse_args()
    folder = arguments.results
    names = ("networks", "networks-96", "networks-96-all", "robust", "simulate-table")
    names += ("speed-networks-epyc", "speed")
    kept, small, more, robust, simulated, times, speed = (
        json.loads((folder / f"{name}.json").read_text()) for name in names
    )
    small |= more
    speeds = times["rows"]
    networks = sorted(
        [*{row["network"] for row in speeds}, *taught(folder, (kept, small))],
        key=lambda name: fastest_of(name, speeds)["total_ms"],
    )
    head = ["network", "parameters", "GMAC", "MB", "Cornell object-wise", "image-wise"]
    head += ["generated depth, 160 pixels", *(f"{m}, 96 pixels" for m in MODALITIES)]
    head += ["network, ms", "whole, ms", "whole in ONNX Runtime, ms"]
    rows = [of_network(name, kept, small, speeds) for name in networks]
    trained = [row for row in rows if set(row[4:-3]) != {DASH}]
    print(markdown(head, trained))
    print(f"Not trained yet: {', '.join(row[0] for row in rows if row not in trained)}\n")
    models = [key.split("/")[0] for key in simulated]
    head = ["model", "rectangle", "robust", "arm, procedural", "arm, YCB", "whole, ms"]
    rows = [of_model(name, robust, simulated, speed["rows"]) for name in dict.fromkeys(models)]
    print(markdown(head, rows))
    if arguments.picture:
        write_picture(arguments.picture, picture(kept, small, speeds))


if __name__ == "__main__":
    main()
