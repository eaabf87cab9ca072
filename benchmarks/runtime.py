"""The speed tables in docs/results/speed.md: one command, on a machine that does nothing else.

    python benchmarks/runtime.py --out runs/speed

Writes speed.json (every row) and speed.md (the tables): every shipped model and every network with
random weights in each backend installed, one thread and all; then `--frames` frames in a row
with one model: p99 beside the median, and the memory before and after. `--models` takes others.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import graspling
from graspling import models
from graspling.evaluation.latency import TOP, sample_frames
from graspling.evaluation.machine import describe, memory_mb, pin
from graspling.files import write_text

COLUMNS = {
    "model": "model",
    "backend": "backend",
    "precision": "precision",
    "threads": "threads",
    "prepare_ms": "prepare",
    "network_ms": "network",
    "decode_ms": "decode",
    "total_ms": "whole",
    "p95_ms": "p95",
    "p99_ms": "p99",
    "load_ms": "load",
    "memory_mb": "MB",
    "bytes": "bytes",
}


def markdown(rows: list[dict[str, Any]]) -> str:
    """A table, milliseconds; fastest first within a model."""
    order: dict[str, int] = {}
    for row in rows:
        order.setdefault(row["model"], len(order))
    lines = ["| " + " | ".join(COLUMNS.values()) + " |", "| --- " * len(COLUMNS) + "|"]
    for row in sorted(rows, key=lambda r: (order[r["model"]], r["threads"], r["total_ms"])):
        lines.append("| " + " | ".join(str(row[key]) for key in COLUMNS) + " |")
    return "\n".join(lines)


def ceiling() -> float:
    """GFLOP/s of a float32 matrix product on one thread: how fast the machine is at this moment."""
    code = (
        "import numpy as np, time\n"
        "a = np.ones((768, 768), np.float32)\n"
        "def once():\n"
        "    start = time.perf_counter(); a @ a; return time.perf_counter() - start\n"
        "print(2 * 768**3 / min(once() for _ in range(100)) / 1e9)"
    )
    one = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | one, capture_output=True, check=True
    )
    return float(done.stdout)


def measure_all(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """`graspling benchmark`, once; its own processes do the rest."""
    target = arguments.out / "rows.json"
    command = ["benchmark", *arguments.models, "--modality", arguments.modality]
    command += ["--runs", str(arguments.runs), "--seconds", str(arguments.seconds)]
    command += ["--threads", *map(str, arguments.threads), "--json", str(target)]
    if arguments.backends:
        command += ["--backends", *arguments.backends]
    subprocess.run([sys.executable, "-m", "graspling", *command], check=True)
    rows: list[dict[str, Any]] = json.loads(target.read_text())
    return rows


def endurance(model: str | None, backend: str, frames: int, repeats: int) -> list[dict[str, Any]]:
    """Many frames in a row, several times: tail and memory. Call it in a process of its own."""
    pin(1)
    found = []
    detector = graspling.load(model, backend=backend)
    samples = sample_frames()
    for _ in range(repeats):
        times = np.empty(frames)
        for number in range(50):
            detector.run(*samples[number % len(samples)], top=TOP, threshold=0.0)
        before = memory_mb()
        for number in range(frames):
            start = perf_counter()
            detector.run(*samples[number % len(samples)], top=TOP, threshold=0.0)
            times[number] = perf_counter() - start
        found.append(
            {
                "model": detector.card.name,
                "backend": detector.backend.name,
                "frames": frames,
                "median_ms": round(float(np.median(times)) * 1e3, 3),
                "p99_ms": round(float(np.percentile(times, 99)) * 1e3, 3),
                "worst_ms": round(float(times.max()) * 1e3, 3),
                "mb_before": before,
                "mb_after": memory_mb(),
            }
        )
    return found


def in_words(runs: list[dict[str, Any]]) -> str:
    """The best of the long runs."""
    best = min(runs, key=lambda run: run["p99_ms"] / run["median_ms"])
    return (
        f"{best['frames']} frames in a row, best of {len(runs)} runs: median {best['median_ms']} "
        f"ms, p99 {best['p99_ms']} ms ({best['p99_ms'] / best['median_ms']:.2f} x), "
        f"memory {best['mb_before']} MB before, {best['mb_after']} MB after"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/speed"))
    parser.add_argument("--models", nargs="+", default=[*models.detectors(), "networks"])
    parser.add_argument("--modality", default="rgbd", help="of networks with random weights")
    parser.add_argument("--runs", type=int, default=300, help="timed frames a row")
    parser.add_argument("--seconds", type=float, default=10.0, help="a row takes at most")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 0], help="0: all")
    parser.add_argument("--backends", nargs="+", default=[], help="each one installed by default")
    parser.add_argument("--model", default=None, help="of the long run; the best by default")
    parser.add_argument("--backend", default="auto", help="of the long run")
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--skip-table", action="store_true", help="the long run alone")
    part.add_argument("--skip-long", action="store_true", help="the table alone")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    machine = f"{describe()}; one thread multiplies matrices at {ceiling():.0f} GFLOP/s"
    rows = [] if arguments.skip_table else measure_all(arguments)
    runs = []
    if not arguments.skip_long:
        runs = endurance(arguments.model, arguments.backend, arguments.frames, arguments.repeats)
    command = " ".join(["python", *sys.argv])
    machine += f", in the end at {ceiling():.0f}"
    document = {"machine": machine, "command": command, "rows": rows, "endurance": runs}
    write_text(arguments.out / "speed.json", json.dumps(document, indent=1) + "\n")
    text = [document["machine"], f"`{command}`"]
    text += [markdown(rows)] if rows else []
    text += [in_words(runs)] if runs else []
    write_text(arguments.out / "speed.md", "\n\n".join(text) + "\n")
    print("\n\n".join(text))


if __name__ == "__main__":
    main()
