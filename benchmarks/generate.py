"""How fast data are generated, where the time goes, and how much room they take.

    python benchmarks/generate.py --frames 1200 --json -

Generates the same data with one and with two workers in a temporary folder, everything included:
starting the workers, writing, index and manifest. Options of `graspling generate` that change the
data can be given too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shlex
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from graspling.datasets import Generated
from graspling.simulation.generator import generate
from graspling.simulation.manifest import Manifest, Settings


def measure(settings: Settings, workers: int, folder: Path) -> dict[str, Any]:
    """One run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = generate(settings, folder, workers=workers)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    total = sum(report.stages.values())
    return {
        "workers": workers,
        "seconds": round(report.seconds, 2),
        "frames_per_hour": round(report.frames / report.seconds * 3600),
        "scenes_per_hour": round(report.scenes / report.seconds * 3600),
        # what a core that nobody else uses would do: wall time counts other programs too
        "frames_per_core_hour": round(report.frames / busy * 3600),
        "labels_per_second": round(report.labels / report.seconds),
        "milliseconds_per_frame": {
            stage: round(1000 * spent / report.frames, 1) for stage, spent in report.stages.items()
        },
        "share_of_stages": {k: round(v / total, 3) for k, v in report.stages.items()},
        "outside_of_stages": round(1 - total / (workers * report.seconds), 3),
    }


def contents(folder: Path) -> dict[str, Any]:
    """What the data are like."""
    data = Generated(folder)
    filled = [data.counts[i] for i in data.ids if data.contents[i]]
    size = sum(path.stat().st_size for path in folder.iterdir())
    columns = {"positive": 0, "ambiguous": 1, "negative": 2}
    return {
        "bytes_per_frame": round(size / len(data)),
        "frames_without_objects": len(data) - len(filled),
        "share_with_20_positives": round(sum(c[0] >= 20 for c in filled) / len(filled), 3),
        "median_labels": {name: median(c[row] for c in filled) for name, row in columns.items()},
        "objects": len(Manifest.load(folder).objects),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--scene", default="mixed")
    parser.add_argument("--objects", default="procedural")
    parser.add_argument("--camera", default="mixed")
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--json", default="-", metavar="OUT")
    options = parser.parse_args()
    chosen = ("frames", "seed", "scene", "objects", "camera", "views")
    settings = Settings(**{name: getattr(options, name) for name in chosen})
    with tempfile.TemporaryDirectory() as folder:
        runs, hashes = [], set()
        for workers in options.workers:
            out = Path(folder) / str(workers)
            runs.append(measure(settings, workers, out))
            hashes.add((out / "manifest.json").read_text())
        found = contents(out)
    first = runs[0]
    result: dict[str, Any] = {
        "command": shlex.join(["python", "benchmarks/generate.py", *sys.argv[1:]]),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "load_before": os.getloadavg()[0],
        "settings": asdict(settings),
        "runs": runs,
        "same_bytes": len(hashes) == 1,
        "contents": found,
        "speed_up": round(first["seconds"] / runs[-1]["seconds"], 2),
        "a_million_frames": {
            "core_hours": round(1e6 / first["frames_per_core_hour"], 1),
            "gigabytes": round(found["bytes_per_frame"] / 1e3, 1),
        },
    }
    text = json.dumps(result, indent=1) + "\n"
    if options.json == "-":
        sys.stdout.write(text)
    else:
        Path(options.json).write_text(text)


if __name__ == "__main__":
    main()
