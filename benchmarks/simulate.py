"""Success in simulation: the tables and the plot of docs/results/simulation.md.

    python benchmarks/simulate.py table --meshes YCB --out runs/simulate --workers 2
    python benchmarks/simulate.py sweep --out runs/simulate --workers 2
    python benchmarks/simulate.py link --models A.safetensors B.onnx ... --data generated:TEST \\
        --out runs/simulate

``table``: each detector, protocol and kind of object; ``--models`` adds files to what is shipped.
``sweep``: how success falls off with depth noise, calibration error and camera height. ``link``:
rectangle accuracy, the critic's verdict and success of many models, and how they hang together.
Each cell is one `graspling` command whose JSON is kept: started again, it goes on where it was, and
refuses what was kept of other settings or of another model of the same name.
``WHAT.md`` is the table, ``WHAT.json`` holds each cell with its command.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from asked import asked, digest, keep
from jobs import call, markdown, named
from numpy.typing import NDArray
from scatter import Dot, scatter

from graspling import models
from graspling.files import write_text
from graspling.pictures import write_picture

DENSE = "graspling_s-generated-depth"
BOTH = "graspling_s-generated-rgbd"
FAST = "gq_stn_light-generated-depth"
RGB, CORNELL = "graspling_s-generated-rgb", "graspling_s-cornell-rgb"
DETECTORS = {
    "oracle": ["--model", "oracle", "--noise", "0"],
    DENSE: ["--model", DENSE],
    f"{DENSE}, re-ranked": ["--model", DENSE, "--rerank"],
    f"{DENSE}, fallback": ["--model", DENSE, "--fallback", "prop_gqcnn"],
    BOTH: ["--model", BOTH],
    f"{BOTH}, re-ranked": ["--model", BOTH, "--rerank"],
    f"{BOTH}, fallback": ["--model", BOTH, "--fallback", "prop_gqcnn"],
    FAST: ["--model", FAST],
    f"{FAST}, fallback": ["--model", FAST, "--fallback", "prop_gqcnn"],
    "prop_gqcnn": ["--model", "prop_gqcnn"],
    RGB: ["--model", RGB],
    f"{RGB}, re-ranked": ["--model", RGB, "--rerank"],
    CORNELL: ["--model", CORNELL],
    f"{CORNELL}, re-ranked": ["--model", CORNELL, "--rerank"],
}
PROTOCOLS = ("single", "cluttered", "stacked")
SWEEPS = {
    "noise": ("--noise", ("0", "1", "2", "3", "4")),
    "calibration, mm": ("--calibration-mm", ("0", "2", "5", "10")),
    "calibration, degrees": ("--calibration-deg", ("0", "0.5", "1", "2", "5")),
    "camera height, m": ("--height", ("0.4", "0.5", "0.6", "0.8", "1.0", "1.3")),
}
KEPT = (
    *("attempts", "successes", "success", "interval", "lifted", "cleared", "causes"),
    *("trials_per_second", "stages", "workers"),
)
ROUNDS = 10_000  # of the bootstrap


def cell(arguments: argparse.Namespace, name: str, options: Sequence[str]) -> dict[str, Any]:
    """What `graspling simulate` says, from its file where it is there."""
    folder = arguments.out / name.replace(", ", "-").replace(" ", "-")
    file = folder / "simulate.json"
    words = ["simulate", *options, "--trials", arguments.trials, "--seed", arguments.seed]
    words += ["--poses", arguments.poses]
    folder.mkdir(parents=True, exist_ok=True)
    keep(folder, asked(words) | of_bytes(options))
    if not file.exists():
        others = ["--workers", arguments.workers, "--failures", folder / "failures.png"]
        call([*words, *others, "--json", file], folder)
    found: dict[str, Any] = json.loads(file.read_text())
    command = found["command"].split(" --failures")[0]
    if arguments.meshes:
        command = command.replace(arguments.meshes, "YCB")
    arguments.cells[name] = {key: found[key] for key in KEPT} | {"command": command}
    print(f"{name}: {found['successes']} of {found['attempts']}", flush=True)
    return found


def of_bytes(options: Sequence[str]) -> dict[str, str]:
    """The model that the options choose by its bytes, as ``model``; nothing where it is no file."""
    name = options[options.index("--model") + 1] if "--model" in options else ""
    file = Path(name)
    if not file.is_file():
        if models.full_name(name) is None:
            return {}
        file = models.path(name)
    weights = file.with_suffix(".bin")  # beside an .xml
    parts = [file, weights] if file.suffix == ".xml" and weights.is_file() else [file]
    return {"model": digest(*parts)}


def shown(found: dict[str, Any]) -> str:
    """Success in per cent with its interval."""
    low, high = found["interval"]
    return f"{100 * found['success']:.1f} ({100 * low:.0f}-{100 * high:.0f})"


def table(arguments: argparse.Namespace) -> str:
    """A row a detector and kind of objects, a column a protocol."""
    detectors = DETECTORS | named(arguments.models, DETECTORS)
    places = {"procedural": "procedural"} | ({"YCB": arguments.meshes} if arguments.meshes else {})
    rows = []
    for place, (detector, options) in product(places, detectors.items()):
        if arguments.detectors and detector not in arguments.detectors:
            continue
        found = [
            cell(
                arguments,
                f"{detector}/{place}/{protocol}",
                [*options, "--objects", places[place], "--protocol", protocol],
            )
            for protocol in PROTOCOLS
        ]
        lifted = f"{100 * found[0]['lifted']:.1f}"
        cleared = [f"{100 * f['cleared']:.0f}" if f["cleared"] is not None else "" for f in found]
        rows.append([detector, place, *map(shown, found), lifted, " / ".join(cleared[1:])])
    head = ["detector", "objects", *PROTOCOLS, "single, lifted", "cleared"]
    return markdown(head, rows)


def sweep(arguments: argparse.Namespace) -> str:
    """A row a value; single objects, the default depth model."""
    rows = []
    for name, (option, values) in SWEEPS.items():
        for value in values:
            found = cell(arguments, f"sweep/{option[2:]}-{value}", [option, value])
            causes = ", ".join(f"{n} {cause}" for cause, n in found["causes"].items() if n)
            rows.append([name, value, shown(found), causes])
    return markdown(["what", "value", "success, %", "failures"], rows)


def link(arguments: argparse.Namespace) -> str:
    """A row a model, then the correlations; a plot beside it."""
    rows, points, families = [], [], []
    for name, model in named(arguments.models).items():
        folder = arguments.out / "link" / name
        (folder / "robust").mkdir(parents=True, exist_ok=True)
        judged = folder / "robust.json"
        words = ["evaluate", *model, "--data", arguments.data, "--limit", arguments.limit]
        words += ["--metric", "robust"]
        # in a folder of its own: beside it lies what the trials are asked for
        keep(folder / "robust", asked(words) | of_bytes(model) | {"data": arguments.data})
        if not judged.exists():
            call([*words, "--json", judged], folder)
        scores = json.loads(judged.read_text())
        found = cell(arguments, f"link/{name}", model)
        point = [scores["rectangle"]["share"], scores["robust"]["share"], found["success"]]
        points.append(point)
        families.append("ggcnn2" if "ggcnn2" in name else "colour" if "rgb" in name.split("-")
                        else "RGB-D" if "rgbd" in name else "depth")  # fmt: skip
        rows.append([name, *(f"{100 * value:.1f}" for value in point)])
    values = np.array(points)
    lines = markdown(["model", "rectangle, %", "robust by critic, %", "success, %"], rows)
    for column, score in enumerate(("rectangle accuracy", "robustness")):
        r, (low, high) = correlation(values[:, column], values[:, 2])
        lines += f"\n{score} and success: r = {r:.2f} ({low:.2f} to {high:.2f}), n = {len(values)}"
        known = list(dict.fromkeys(families))
        dots = [
            Dot(
                100 * v[column],
                100 * v[2],
                family if n == families.index(family) else "",
                known.index(family),
            )
            for n, (v, family) in enumerate(zip(values, families, strict=True))
        ]
        plot = scatter(dots, f"{score}, %", "success in simulation, %", linear=True)
        write_picture(arguments.out / f"link-{score.split()[0]}.png", plot)
    return lines + "\n"


def correlation(
    x: NDArray[np.float64], y: NDArray[np.float64], seed: int = 0
) -> tuple[float, tuple[float, float]]:
    """Pearson's r and its 95 % interval by bootstrap over models."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(x), size=(ROUNDS, len(x)))
    a, b = (v[rows] - v[rows].mean(axis=1, keepdims=True) for v in (x, y))
    with np.errstate(invalid="ignore"):
        drawn = (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return float(np.corrcoef(x, y)[0, 1]), (float(low), float(high))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("table", "sweep", "link"))
    parser.add_argument("--out", type=Path, default=Path("runs/simulate"))
    parser.add_argument("--meshes", default="", help="folder of meshes, for the table")
    parser.add_argument("--detectors", nargs="*", default=[], help="only these rows of the table")
    parser.add_argument(
        "--models", nargs="*", default=[], help="files: for link, and rows of the table"
    )
    parser.add_argument("--data", default="", help="generated:FOLDER, for link")
    parser.add_argument("--limit", type=int, default=400, help="images, for link")
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--poses", type=int, default=4, help="of each single object")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.what == "link" and not (arguments.models and arguments.data):
        parser.error("link needs --models and --data")
    arguments.cells = {}
    text = {"table": table, "sweep": sweep, "link": link}[arguments.what](arguments)
    write_text(arguments.out / f"{arguments.what}.md", text)
    write_text(
        arguments.out / f"{arguments.what}.json", json.dumps(arguments.cells, indent=1) + "\n"
    )
    print(text)


if __name__ == "__main__":
    main()
