"""The space that graspling_s and graspling_m were chosen from: accuracy against latency.

    python benchmarks/search.py --data generated:TRAIN,half=true,cache_mb=6000 --split last-400 \\
        --test generated:TEST,half=true,noise=1 --out runs/search --plan

says what it costs; without --plan it runs, and started again it goes on where it was.

Every variant has the same budget, seed, data, order and augmentation. It is judged on frames of
objects that none has seen, and compared with graspling_s by a paired bootstrap over objects; the
latency is that of the whole detector, ONNX Runtime, one thread.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jobs import (
    AUGMENTATION,
    HOUSE,
    Job,
    Verdicts,
    budget,
    in_use,
    markdown,
    plan,
    points,
    read,
    run_all,
    share,
)
from scatter import Dot, scatter

from graspling.datasets import open_dataset
from graspling.files import write_text
from graspling.pictures import write_picture

# What differs from graspling_s: widths (16, 32, 64, 64), depths (1, 1, 2, 2), patches of 4,
# bilinear enlargement, skips that are added.
VARIANTS: dict[str, dict[str, Any]] = {
    "graspling_s": {},
    "graspling_m": {"widths": [32, 64, 64, 96], "depths": [2, 2, 2, 2]},
    # along the network
    "three levels": {"widths": [16, 32, 64], "depths": [1, 1, 2]},
    "deeper below": {"depths": [1, 1, 3, 4]},
    "shallow": {"depths": [1, 1, 1, 1]},
    "wider": {"widths": [32, 32, 64, 64]},
    "wider below": {"widths": [16, 32, 64, 128]},
    "dilated": {"dilations": [1, 2]},
    # how it starts, enlarges, joins
    "patches of 8": {"patch": 8, "widths": [32, 64, 64], "depths": [1, 2, 2]},
    "patches of 2": {"patch": 2, "widths": [16, 16, 32, 64, 64], "depths": [1, 1, 1, 2, 2]},
    "overlapping stem": {"stem": "overlap"},
    "pixel shuffle": {"enlarge": "shuffle"},
    "skips side by side": {"join": "concat"},
    # towards graspling_m
    "wider everywhere": {"widths": [32, 64, 96, 128], "depths": [1, 2, 2, 2]},
    "wider, deeper below": {"widths": [32, 48, 96, 128], "depths": [1, 1, 3, 3]},
}
# With --modality rgbd alone: a stem for each of colour and depth.
UNEQUAL: dict[str, dict[str, Any]] = {
    "colour deeper": {"stem": "colour deeper"},
    "depth deeper": {"stem": "depth deeper"},
}
REFERENCE = "graspling_s"


def all_jobs(arguments: argparse.Namespace, chosen: list[str]) -> dict[str, Job]:
    """Job of each variant."""
    settings = [
        *HOUSE,
        *(f"augmentation.{word}" for word in AUGMENTATION.split()),
        *budget(arguments.presentations),
        *(f"lr={arguments.lr}", f"seed={arguments.seed}", "augmentation.sensor_noise=1.0"),
    ]
    return {
        name: Job(
            f"{arguments.modality}/{name.replace(', ', '-').replace(' ', '-')}",
            "graspling_s",
            ["--data", arguments.data, "--split", arguments.split],
            settings,
            {"test": ["--data", arguments.test]},
            arguments.presentations,
            variant=variant,
            modality=arguments.modality,
            size=arguments.size,
        )
        for name, variant in (VARIANTS | UNEQUAL).items()
        if name in chosen
    }


def table(jobs: dict[str, Job], out: Path, test: str) -> tuple[str, dict[str, Any]]:
    """Markdown and numbers of the variants that are done."""
    verdicts = Verdicts(test)
    frames = [verdicts.dataset[i] for i in verdicts.dataset.ids[:20]]
    found = {name: result for name, job in jobs.items() if (result := read(out, job, "test"))}
    lines, numbers = [], {}
    for name, result in found.items():
        times = in_use(out / jobs[name].name, frames)
        delta = ""
        numbers[name] = {**times, **result, "failures": len(result["failures"])}
        if name != REFERENCE and REFERENCE in found:
            difference = verdicts.difference(found[REFERENCE], result)
            delta = points(difference)
            numbers[name]["minus_reference"] = asdict(difference)
        lines.append(
            [
                name,
                f"{times['parameters'] / 1e3:,.0f} K",
                f"{times['macs'] / 1e6:,.0f}",
                f"{times['sum']:.2f}",
                f"{times['network']:.2f}",
                share(round(result["accuracy"] * result["n"]), result["n"]),
                delta,
            ]
        )
    headers = ["variant", "parameters", "MMAC", "ms", "network ms", "accuracy, % (95 %)"]
    return markdown([*headers, f"minus {REFERENCE}, points"], lines), numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="generated:FOLDER[,half=true,cache_mb=...]")
    parser.add_argument("--split", default="last-400")
    parser.add_argument("--test", required=True, help="generated:FOLDER of held-out objects")
    parser.add_argument("--out", type=Path, default=Path("runs/search"))
    parser.add_argument("--variants", nargs="+", choices=[*VARIANTS, *UNEQUAL])
    parser.add_argument("--modality", choices=["rgb", "depth", "rgbd"], default="depth")
    parser.add_argument("--presentations", type=int, default=40_000)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="runs side by side")
    parser.add_argument("--plan", action="store_true", help="say what it costs and stop")
    parser.add_argument("--quick", action="store_true", help="a few small images, to see it work")
    arguments = parser.parse_args()
    open_dataset(arguments.test)  # before hours of training
    chosen = arguments.variants or [*VARIANTS, *(UNEQUAL if arguments.modality == "rgbd" else {})]
    jobs = all_jobs(arguments, chosen)
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.plan:
        print(plan(list(jobs.values()), arguments.out))
        return
    run_all(list(jobs.values()), arguments.out, arguments.workers, arguments.quick)
    text, numbers = table(jobs, arguments.out, arguments.test)
    print(text)
    write_text(arguments.out / "search.md", text)
    write_text(arguments.out / "search.json", json.dumps(numbers, indent=1) + "\n")
    dots = [Dot(row["sum"], 100 * row["accuracy"], name) for name, row in numbers.items()]
    picture = scatter(dots, "milliseconds a frame", f"accuracy, % ({arguments.modality})")
    write_picture(arguments.out / "search.png", picture)


if __name__ == "__main__":
    main()
