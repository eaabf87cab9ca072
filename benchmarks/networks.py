"""All networks side by side: the tables of docs/results/networks.md.

    python benchmarks/networks.py --cornell cornell:FOLDER \\
        --generated generated:TRAIN,half=true,cache_mb=6000 --split object-wise \\
        --test generated:TEST,half=true,noise=1 --out runs/networks --plan

says what it costs; without --plan it runs, and started again it goes on where it was. One network
or part at a time: --networks, --parts cornell generated, --modalities.

Protocol by cost (processor time to train on one colour image of 224 pixels, measured once): below
60 ms both splits of Cornell with five folds, below 200 ms fold 0 of both; above, Cornell only with
--all. Generated data: one run a modality, of a stated number of image presentations; above 200 ms
only with --all. All networks share optimiser, schedule, batch, augmentation and budget; the loss is
that of the network's recipe. Networks for which a rate is known to be better have it in RATES.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from jobs import (
    AUGMENTATION,
    HOUSE,
    Job,
    Verdicts,
    budget,
    cost_key,
    costs,
    in_use,
    markdown,
    plan,
    points,
    pooled,
    read,
    run_all,
    share,
)

from graspling.datasets import open_dataset
from graspling.files import write_text
from graspling.networks import NETWORKS

SPLITS = ("object-wise", "image-wise")
MODALITIES = ("rgb", "depth", "rgbd")
FOLDS = 5
# Milliseconds an image of this size: below the first all folds, below the second one.
CHEAP, DEAR, SIZE = 60.0, 200.0, 224
# Where another rate than the common one was better on validation images, with a small budget: those
# of Cornell, and where they were tried those of the generated data.
RATES = {"graspling_s": 3e-3, "graspling_m": 3e-3, "grconvnet_c16": 4e-3, "grconvnet_c32": 4e-3}
GENERATED_RATES = {
    **{**RATES, "graspling_s": 8e-3, "graspling_m": 6e-3, "ggcnn": 6e-3, "ggcnn2": 6e-3},
    **{"ggcnn_student_v1": 1e-2, "ggcnn_student_v2": 1e-2},
    **{"hrgrasp_w18": 6e-3, "lite_hrgrasp_w18": 6e-3, "dsc_graspnet": 4e-3},
    **{"kufenet_15k": 1e-2, "kufenet_80k": 1e-2, "kufenet_263k": 1e-2},  # found for the smallest
}
RATE = 2e-3
# Table IV (limits of the angle) and table III (kinds of scenes).
ANGLES = ("30", "25", "20", "15", "10")
KINDS = ("single", "cluttered", "stacked")


def settings(arguments: argparse.Namespace, rate: float) -> list[str]:
    """Values for --set that all runs have in common."""
    return [
        *HOUSE,
        *(f"augmentation.{word}" for word in AUGMENTATION.split()),
        *(f"lr={rate}", f"seed={arguments.seed}"),
    ]


def cornell_jobs(arguments: argparse.Namespace, network: str, folds: int) -> list[Job]:
    """Fold by fold of both splits; test parts judged with all rectangles and with exact ones."""
    if not arguments.cornell:
        return []
    dataset = open_dataset(arguments.cornell)
    jobs = []
    for split, fold in product(SPLITS, range(folds)):
        images = len(dataset.split(split).fold(fold).train)
        epochs = max(math.ceil(arguments.cornell_presentations / images), 1)
        where = ["--split", split, "--fold", str(fold)]
        exact = f"{arguments.cornell},exact=true"
        jobs.append(
            Job(
                f"{network}/cornell-{split}-{fold}",
                network,
                ["--data", arguments.cornell, *where],
                [
                    *settings(arguments, RATES.get(network, RATE)),
                    *(f"epochs={epochs}", f"validate_every={max(epochs // 6, 1)}"),
                ],
                {
                    "test": ["--data", arguments.cornell, *where],
                    "exact": ["--data", exact, *where],
                },
                epochs * images,
                size=arguments.size,
            )
        )
    return jobs


def generated_jobs(arguments: argparse.Namespace, network: str) -> list[Job]:
    """One run a modality."""
    if not arguments.generated:
        return []
    return [
        Job(
            f"{network}/generated-{modality}",
            network,
            ["--data", arguments.generated, "--split", arguments.split],
            [
                *settings(arguments, GENERATED_RATES.get(network, RATE)),
                *budget(arguments.presentations),
                f"augmentation.sensor_noise={0.0 if modality == 'rgb' else 1.0}",
            ],
            {"test": ["--data", arguments.test]},
            arguments.presentations,
            modality=modality,
            size=arguments.size,
        )
        for modality in arguments.modalities
    ]


def jobs_of(arguments: argparse.Namespace, network: str) -> list[Job]:
    """What the protocol asks of a network, by its cost."""
    probe = Job("", network, [], [], {}, 0, size=arguments.size if arguments.quick else SIZE)
    dear = 1e3 * costs([probe], arguments.out)[cost_key(probe)]
    if dear >= DEAR and not arguments.all:
        return []
    jobs = []
    if "cornell" in arguments.parts:
        jobs += cornell_jobs(arguments, network, FOLDS if dear < CHEAP else 1)
    if "generated" in arguments.parts:
        jobs += generated_jobs(arguments, network)
    return jobs


def cornell_table(arguments: argparse.Namespace, found: dict[str, Any]) -> str:
    """Accuracy pooled over folds, by angle with exact rectangles (KufeNet, table IV), and the
    difference to the reference over the folds of both by a paired bootstrap over objects."""
    dataset = open_dataset(arguments.cornell)
    rows = []
    for split in SPLITS:
        done = {n: cornell_results(arguments, n, split) for n in arguments.networks}
        for network, (results, exact_results) in done.items():
            if not results or results.keys() != exact_results.keys():
                continue
            all_labels, exact = (pooled([*r.values()]) for r in (results, exact_results))
            n, delta = all_labels["n"], ""
            others = done.get(arguments.reference, ({}, {}))[0]
            common = sorted(results.keys() & others.keys())
            if network != arguments.reference and common:
                parts = [dataset.split(split).fold(fold).test for fold in common]
                verdicts = Verdicts(arguments.cornell, [i for part in parts for i in part])
                both = (pooled([found[fold] for fold in common]) for found in (others, results))
                delta = points(verdicts.difference(*both))
            found[f"{network} cornell {split}"] = {"all": all_labels, "exact": exact}
            rows.append(
                [
                    network,
                    f"{split} ({all_labels['split_hash']})",
                    all_labels["folds"],
                    n,
                    share(round(all_labels["accuracy"] * n), n),
                    delta,
                    exact["n"],
                    *(f"{100 * exact['by_angle'][angle]:.1f}" for angle in ANGLES),
                    f"{all_labels['hours']:.2f}",
                ]
            )
    by_angle = [f"exact < {angle}" for angle in ANGLES]
    headers = ["network", "split", "folds", "images", "accuracy, %"]
    headers += [f"minus {arguments.reference}, points", "exact images", *by_angle, "hours"]
    return markdown(headers, rows)


def cornell_results(
    arguments: argparse.Namespace, network: str, split: str
) -> tuple[dict[int, dict[str, Any]], dict[int, dict[str, Any]]]:
    """The folds that are done, by number, judged by all labels and by exact ones."""
    every = cornell_jobs(arguments, network, FOLDS)  # another machine may have asked for more
    jobs = [job for job in every if f"cornell-{split}" in job.name]
    both = [
        {r["fold"]: r for job in jobs if (r := read(arguments.out, job, test))}
        for test in ("test", "exact")
    ]
    return both[0], both[1]


def generated_table(arguments: argparse.Namespace, found: dict[str, Any]) -> str:
    """Accuracy by modality and by kind of scene (KufeNet, table III), latency and time to train
    (table VII), and the difference to the reference by a paired bootstrap over objects."""
    verdicts = Verdicts(arguments.test)
    frames = [verdicts.dataset[i] for i in verdicts.dataset.ids[:20]]
    jobs = [job for network in arguments.networks for job in generated_jobs(arguments, network)]
    done = {
        (job.recipe, job.modality): (job, result)
        for job in jobs
        if (result := read(arguments.out, job, "test"))
    }
    rows = []
    for (network, modality), (job, result) in done.items():
        times = in_use(arguments.out / job.name, frames)
        kinds = verdicts.by_kind(result)
        right, n = round(result["accuracy"] * result["n"]), result["n"]
        row = {**times, "kinds": kinds, **result}
        row["failures"] = len(result["failures"])
        delta = ""
        if network != arguments.reference and (arguments.reference, modality) in done:
            reference = done[arguments.reference, modality][1]
            difference = verdicts.difference(reference, result)
            delta = points(difference)
            row["minus_reference"] = asdict(difference)
        found[f"{network} generated {modality}"] = row
        rows.append(
            [
                network,
                modality,
                f"{times['parameters'] / 1e3:,.1f} K",
                f"{times['macs'] / 1e9:.2f}",
                f"{times['bytes'] / 1e6:.2f}",
                f"{times['sum']:.1f}",
                share(right, n),
                *(share(*kinds[kind]) if kind in kinds else "" for kind in KINDS),
                delta,
                f"{result['hours']:.2f}",
            ]
        )
    headers = ["network", "input", "parameters", "GMAC", "MB", "ms", "accuracy, %", *KINDS]
    return markdown([*headers, f"minus {arguments.reference}, points", "hours"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cornell", default="", help="cornell:FOLDER")
    parser.add_argument("--generated", default="", help="generated:FOLDER[,half=true,...]")
    parser.add_argument("--split", default="object-wise", help="of the generated data")
    parser.add_argument("--test", default="", help="generated:FOLDER of held-out objects")
    parser.add_argument("--out", type=Path, default=Path("runs/networks"))
    parser.add_argument("--networks", nargs="+", choices=sorted(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--parts", nargs="+", default=["cornell", "generated"])
    parser.add_argument("--modalities", nargs="+", choices=MODALITIES, default=list(MODALITIES))
    parser.add_argument("--presentations", type=int, default=40_000, help="of generated images")
    parser.add_argument("--cornell-presentations", type=int, default=28_500)
    parser.add_argument("--reference", default="grconvnet_c16", choices=sorted(NETWORKS))
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--all", action="store_true", help="networks above 200 ms as well")
    parser.add_argument("--workers", type=int, default=1, help="runs side by side")
    parser.add_argument("--plan", action="store_true", help="say what it costs and stop")
    parser.add_argument("--quick", action="store_true", help="a few small images, to see it work")
    arguments = parser.parse_args()
    if arguments.generated and not arguments.test:
        parser.error("--generated needs --test, frames of objects that are in no training data")
    if arguments.quick:
        arguments.size = 96
    arguments.out.mkdir(parents=True, exist_ok=True)
    jobs = [job for network in arguments.networks for job in jobs_of(arguments, network)]
    if arguments.plan:
        print(plan(jobs, arguments.out))
        return
    began = time.monotonic()
    run_all(jobs, arguments.out, arguments.workers, arguments.quick)
    found: dict[str, Any] = {}
    if arguments.cornell and "cornell" in arguments.parts:
        write_text(arguments.out / "cornell.md", text := cornell_table(arguments, found))
        print(text)
    if arguments.generated and "generated" in arguments.parts:
        write_text(arguments.out / "generated.md", text := generated_table(arguments, found))
        print(text)
    write_text(arguments.out / "results.json", json.dumps(found, indent=1) + "\n")
    print(f"{(time.monotonic() - began) / 3600:.2f} hours; tables in {arguments.out}")


if __name__ == "__main__":
    main()
