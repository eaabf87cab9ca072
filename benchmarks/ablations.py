"""The ablations of KufeNet (table VI) and DSC-GraspNet (table IV) on generated data.

    python benchmarks/ablations.py --data generated:TRAIN,half=true,cache_mb=6000 \\
        --split object-wise --test generated:TEST,half=true,noise=1 --out runs/ablations --plan

says what it costs; without --plan it runs, and started again it goes on where it was.

Every row of a table is trained with the same budget (by default 40,000 image presentations at 160
pixels), seed, data, order and augmentation; only what the row names differs. It is judged on frames
of objects that no row has seen, and compared with the last row by a paired bootstrap over objects.
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
    markdown,
    plan,
    points,
    read,
    run_all,
    share,
)

from graspling.files import write_text
from graspling.networks import build
from graspling.networks.counts import parameters

_PLAIN = {"shuffle": False, "attention": "none"}
# Table VI: modality and settings by row; UE unequal encoding, CS channel shuffle, CA attention.
KUFENET: dict[str, tuple[str, dict[str, Any]]] = {
    "RGB": ("rgb", {}),
    "D": ("depth", {}),
    "RGB-D": ("rgbd", {"unequal": False, **_PLAIN}),
    "RGB-D CS CA": ("rgbd", {"unequal": False}),
    "RGB-D UE": ("rgbd", _PLAIN),
    "RGB-D UE CS": ("rgbd", {"attention": "none"}),
    "RGB-D UE CA": ("rgbd", {"shuffle": False}),
    "RGB-D UE CS CA": ("rgbd", {}),
}
# Table IV, each row with one more: settings of the network, and the loss.
DSC: dict[str, tuple[dict[str, Any], str]] = {
    "baseline": ({"attention": False, "csp": False}, "smooth_l1"),
    "+ CA": ({"csp": False}, "smooth_l1"),
    "+ CA + CSP": ({}, "smooth_l1"),
    "+ CA + CSP + P-Huber": ({}, "p_huber"),
}


def folder_of(row: str) -> str:
    return row.lower().replace("+ ", "").replace(" ", "-")


def all_jobs(arguments: argparse.Namespace) -> dict[str, dict[str, Job]]:
    """Table, row, job."""
    common: dict[str, Any] = {
        "where": ["--data", arguments.data, "--split", arguments.split],
        "tests": {"test": ["--data", arguments.test]},
        "presentations": arguments.presentations,
        "size": arguments.size,
    }
    settings = [
        *HOUSE,
        *(f"augmentation.{word}" for word in AUGMENTATION.split()),
        *budget(arguments.presentations),
        *(f"lr={arguments.lr}", f"seed={arguments.seed}"),
        f"augmentation.sensor_noise={arguments.sensor_noise}",
    ]
    kufenet = {
        row: Job(
            f"kufenet/{folder_of(row)}",
            "kufenet_80k",
            settings=settings,
            variant=variant,
            modality=modality,
            **common,
        )
        for row, (modality, variant) in KUFENET.items()
    }
    dsc = {
        row: Job(
            f"dsc/{folder_of(row)}",
            "dsc_graspnet",
            settings=[*settings, f"loss.kind={loss}"],
            variant=variant,
            modality="depth",
            **common,
        )
        for row, (variant, loss) in DSC.items()
    }
    return {"kufenet": kufenet, "dsc": dsc}


def table(rows: dict[str, Job], out: Path, verdicts: Verdicts) -> tuple[str, dict[str, Any]]:
    """Markdown and numbers of the rows that are done."""
    found = {row: read(out, job, "test") for row, job in rows.items()}
    last = found[list(rows)[-1]]
    lines, numbers = [], {}
    for row, job in rows.items():
        result = found[row]
        if result is None:
            continue
        count = parameters(build(job.recipe, job.modality, **job.variant))
        right = round(result["accuracy"] * result["n"])
        cells = [row, f"{count:,}", share(right, result["n"]), f"{result['hours']:.2f}"]
        numbers[row] = {"parameters": count, **result, "failures": len(result["failures"])}
        if last is not None and row != list(rows)[-1]:
            difference = verdicts.difference(result, last)
            cells.append(points(difference))
            numbers[row]["last_minus_this"] = asdict(difference)
        else:
            cells.append("")
        lines.append(cells)
    headers = ["row", "parameters", "accuracy, % (95 %)", "hours", "last row minus this, points"]
    return markdown(headers, lines), numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="generated:FOLDER[,half=true,cache_mb=...]")
    parser.add_argument("--split", default="object-wise")
    parser.add_argument("--test", required=True, help="generated:FOLDER of held-out objects")
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"))
    parser.add_argument(
        "--tables", nargs="+", choices=["kufenet", "dsc"], default=["kufenet", "dsc"]
    )
    parser.add_argument("--presentations", type=int, default=40_000)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--sensor-noise", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="runs side by side")
    parser.add_argument("--plan", action="store_true", help="say what it costs and stop")
    parser.add_argument("--quick", action="store_true", help="a few small images, to see it work")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.size = 96
    tables = {name: all_jobs(arguments)[name] for name in arguments.tables}
    jobs = [job for rows in tables.values() for job in rows.values()]
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.plan:
        print(plan(jobs, arguments.out))
        return
    run_all(jobs, arguments.out, arguments.workers, arguments.quick)
    verdicts, numbers = Verdicts(arguments.test), {}
    for name, rows in tables.items():
        text, numbers[name] = table(rows, arguments.out, verdicts)
        print(f"\n{name}\n\n{text}")
        write_text(arguments.out / f"{name}.md", text)
    write_text(arguments.out / "results.json", json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
