"""Training runs with their scores, one after the other or side by side, for the tables of results.

A job is one `graspling train` and some `graspling evaluate`, each in a process of its own with one
thread. What is finished is kept: started again, a job goes on where it was.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from asked import agree, asked, keep

from graspling.datasets import open_dataset
from graspling.detector import load
from graspling.evaluation.intervals import Difference, mean_interval, paired_bootstrap, wilson
from graspling.files import write_text
from graspling.networks import build
from graspling.training.batches import Batch
from graspling.training.lessons import Lesson
from graspling.training.log import read_log
from graspling.training.loop import train_step
from graspling.training.losses import GraspLoss
from graspling.training.optimise import make_optimiser
from graspling.training.processor import use_processor
from graspling.training.recipe import Recipe

# One thread a process: two runs side by side use two cores better than one run with two threads.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
BATCH = 8
# What a machine would choose by itself differs between machines, and so would the rows of a table.
PRECISION = "bf16"
# What all networks of a comparison share, whatever their own recipes say; the loss stays theirs.
HOUSE = (
    *("optimiser=adamw", "schedule=one_cycle", f"batch={BATCH}", "weight_decay=0.01", "ema=0.998"),
    *("clip=5", f"precision={PRECISION}", "threads=1", "picture_every=0"),
)
AUGMENTATION = (
    "rotation_deg=180 quarter_turns=false zoom=[0.75,1.4] shift=0.05 flip=0.5 brightness=0.3 "
    "contrast=0.3 colour=0.3 gamma=0.3"
)


_OTHER_MACHINE = 1e-3  # of the images may have a label on one machine alone
# Of a run with a budget, which is validated once, at its end: the last weights are kept.
EPOCHS = 6


def budget(presentations: int) -> list[str]:
    """Values for --set that show just so many images, to the next whole batch an epoch."""
    steps = max(round(presentations / (BATCH * EPOCHS)), 1)
    return [f"epochs={EPOCHS}", f"steps={steps}", f"validate_every={EPOCHS}"]


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        name: of its folder.
        recipe: name of the recipe.
        where: options of `graspling train` that choose the data.
        settings: values for --set.
        tests: what to evaluate, name to options of `graspling evaluate`.
        presentations: images shown in training, for the plan.
    """

    name: str
    recipe: str
    where: Sequence[str]
    settings: Sequence[str]
    tests: Mapping[str, Sequence[str]]
    presentations: int
    variant: Mapping[str, Any] = field(default_factory=dict)
    modality: str = "rgb"
    size: int = 224


def run(job: Job, out: Path, quick: bool = False) -> None:
    """Train, then evaluate; does what is still to be done."""
    folder = out / job.name
    folder.mkdir(parents=True, exist_ok=True)
    keep(folder, asked(words(job)) | {"quick": quick})
    if not (folder / "trained").exists():
        resume = ["--resume"] if (folder / "last.safetensors").exists() else []
        extra = [*resume, *(["--quick"] if quick else [])]
        call([*words(job), *extra, "--out", folder], folder)
        write_text(folder / "trained", "")
    for name, options in job.tests.items():
        target = folder / f"{name}.json"
        if not target.exists():
            model = ["--model", exported(folder), "--backend", "onnxruntime"]
            call(["evaluate", *model, *options, "--json", target], folder)
            accuracy = json.loads(target.read_text())["accuracy"]
            print(f"{job.name} {name}: {accuracy:.3f}", flush=True)


def words(job: Job) -> list[str]:
    """Of the command that trains."""
    variant = [f"variant.{key}={json.dumps(value)}" for key, value in job.variant.items()]
    settings = [*job.settings, f"modality={job.modality}", f"size={job.size}", *variant]
    return ["train", job.recipe, *job.where, "--set", *settings]


def exported(folder: Path) -> Path:
    """The run's model as a robot would use it, several times faster than the checkpoint."""
    model = folder / "model.onnx"
    if not model.exists():
        call(["export", folder / "best.safetensors", "--out", model], folder)
    return model


def call(command: Sequence[Any], folder: Path) -> None:
    """Run a command of graspling; what it says goes to output.txt."""
    with (folder / "output.txt").open("a") as output:
        words = [sys.executable, "-m", "graspling", *map(str, command)]
        code = subprocess.run(
            words, env=ENVIRONMENT, stdout=output, stderr=output, check=False
        ).returncode
    if code:
        last = (folder / "output.txt").read_text().strip().splitlines()[-1:]
        raise SystemExit(f"{folder.name}: {' '.join(map(str, command[:2]))} failed: {last}")


def run_all(jobs: Sequence[Job], out: Path, workers: int, quick: bool) -> None:
    """All jobs, ``workers`` at a time, in their order."""
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(run, job, out, quick) for job in jobs]:
            done.result()


def seconds_per_image(network: str, modality: str, size: int, variant: Mapping[str, Any]) -> float:
    """Processor seconds to train on one image (forward, backward, update), one thread, batch 8.

    Time of the processor and not of the clock, so that a busy machine does not change the plan.
    """
    use_processor(1)
    recipe = Recipe(network, modality=modality, batch=8, ema=0.0)  # type: ignore[arg-type]
    model = build(network, modality, **variant).channels_last().train()
    optimiser = make_optimiser(recipe, model, 10)
    device = torch.device("cpu")
    shape, flags = (8, 4, size, size), torch.zeros(8, size, size, dtype=torch.bool)
    batch = Batch(torch.randn(8, model.channels, size, size), torch.rand(shape), ~flags, flags)
    lesson = Lesson(GraspLoss(recipe.loss), PRECISION)
    best = float("inf")
    for _ in range(2):  # the first one warms up
        start = time.process_time()
        train_step(model, batch.to(device), lesson, optimiser)
        best = min(best, time.process_time() - start)
    return best / 8


def costs(jobs: Sequence[Job], out: Path) -> dict[str, float]:
    """Processor seconds an image of each job's network, measured once and kept in costs.json."""
    file = out / "costs.json"
    known: dict[str, float] = json.loads(file.read_text()) if file.exists() else {}
    for job in jobs:
        key = cost_key(job)
        if key not in known:
            known[key] = seconds_per_image(job.recipe, job.modality, job.size, job.variant)
            write_text(file, json.dumps(known, indent=1) + "\n")
    return known


def cost_key(job: Job) -> str:
    """By what the cost of a job depends on."""
    variant = ",".join(f"{k}={v}" for k, v in sorted(job.variant.items()))
    return " ".join(filter(None, [job.recipe, job.modality, str(job.size), variant]))


def plan(jobs: Sequence[Job], out: Path) -> str:
    """Core-hours of training for each job that is not trained yet, and in all."""
    known = costs(jobs, out)
    lines, total = [], 0.0
    for job in jobs:
        hours = known[cost_key(job)] * job.presentations / 3600
        done = (out / job.name / "trained").exists()
        total += 0.0 if done else hours
        state = "done" if done else f"{hours:6.2f} core-hours"
        lines.append(f"{job.name:<44} {1e3 * known[cost_key(job)]:7.1f} ms/image  {state}")
    return "\n".join([*lines, f"to do: {total:.1f} core-hours of training"])


def read(out: Path, job: Job, test: str) -> dict[str, Any] | None:
    """What `graspling evaluate` wrote, with the training time; None when it is not there yet."""
    file = out / job.name / f"{test}.json"
    if not file.exists():
        return None
    agree(out / job.name, asked(words(job)))
    found: dict[str, Any] = json.loads(file.read_text())
    epochs = [row for row in read_log(out / job.name / "log.jsonl") if row["kind"] == "epoch"]
    return found | {
        "hours": epochs[-1]["seconds"] / 3600,
        "waiting_share": sum(row["waiting_share"] for row in epochs) / len(epochs),
    }


def in_use(folder: Path, frames: list[Any]) -> dict[str, float]:
    """Parameters, multiply-accumulates, bytes, and medians in milliseconds of the detector with
    ONNX Runtime and one thread; kept in a file."""
    file = folder / "in_use.json"
    if not file.exists():
        model = exported(folder)
        detector, stages = load(model, threads=1), []
        for sample in [frames[0], *frames]:  # the first call warms up
            modality = detector.card.modality
            rgb = sample.rgb if "rgb" in modality else None
            depth = sample.depth if modality != "rgb" else None
            stages.append(detector.run(rgb, depth).milliseconds)
        medians = {
            stage: statistics.median(row[stage] for row in stages[1:]) for stage in stages[0]
        }
        medians["sum"] = statistics.median(sum(row.values()) for row in stages[1:])
        facts = {
            "parameters": detector.card.parameters,
            "macs": detector.card.macs,
            "bytes": model.stat().st_size,
        }
        write_text(file, json.dumps(medians | facts) + "\n")
    found: dict[str, float] = json.loads(file.read_text())
    return found


def pooled(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Folds as one: accuracy over all their images, Wilson interval, by angle, failures, hours."""
    n = sum(result["n"] for result in results)
    right = sum(round(result["accuracy"] * result["n"]) for result in results)
    angles = {
        angle: sum(result["by_angle"][angle] * result["n"] for result in results) / n
        for angle in results[0]["by_angle"]
    }
    return {
        "folds": len(results),
        "n": n,
        "accuracy": right / n,
        "interval": wilson(right, n),
        "by_angle": angles,
        "split_hash": results[0]["split_hash"],
        "failures": [i for result in results for i in result["failures"]],
        "hours": sum(result["hours"] for result in results),
    }


class Verdicts:
    """Right or wrong by id, for paired tests and for subsets, from the lists of failures.

    Args:
        spec: the data set that the results were judged on.
        ids: the images that were judged; all by default.
    """

    def __init__(self, spec: str, ids: Sequence[str] | None = None) -> None:
        self.dataset = open_dataset(spec)
        # as `graspling evaluate` does, which judges no image without a label rectangle
        asked = self.dataset.ids if ids is None else ids
        labels = {i: self.dataset.labels(i).grasps for i in asked}
        self.ids = [i for i, grasps in labels.items() if grasps is not None and len(grasps)]
        self.objects = [self.dataset.objects.get(i, i) for i in self.ids]

    def of(self, result: Mapping[str, Any]) -> dict[str, bool]:
        """Verdict of each image that has labels.

        Generated on another machine, a frame in thousands has a label that it has not here, since
        the last digits of its physics differ: that is said, and more is refused.
        """
        if len(self.ids) != result["n"]:
            text = f"judged were {result['n']} images, but {len(self.ids)} have labels here"
            if abs(len(self.ids) - result["n"]) > _OTHER_MACHINE * len(self.ids):
                raise SystemExit(text)
            print(f"warning: {text}", file=sys.stderr)
        failures = set(result["failures"])
        strange = failures - set(self.ids)
        if len(strange) > _OTHER_MACHINE * len(self.ids):
            raise SystemExit(f"judged was {min(strange)}, which is not among these images")
        return {i: i not in failures for i in self.ids}

    def difference(self, a: Mapping[str, Any], b: Mapping[str, Any]) -> Difference:
        """B minus A with its interval, objects resampled."""
        first, second = self.of(a), self.of(b)
        return paired_bootstrap([*first.values()], [*second.values()], self.objects)

    def by_kind(self, result: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
        """(right, all) for each kind of scene, where the data set knows them."""
        kinds: Mapping[str, str] = getattr(self.dataset, "kinds", {})
        counts: dict[str, tuple[int, int]] = {}
        for sample_id, right in self.of(result).items():
            kind = kinds.get(sample_id, "all")
            hits, n = counts.get(kind, (0, 0))
            counts[kind] = (hits + right, n + 1)
        return counts


def named(models: Sequence[str], taken: Collection[str] = ()) -> dict[str, list[str]]:
    """Options that choose each model file, by the name of its row; two rows must not have one."""
    found: dict[str, list[str]] = {}
    for model in models:
        name = Path(model).stem
        if name in found or name in taken:
            raise SystemExit(f"{model}: there is a row {name!r} already; rename the file")
        found[name] = ["--model", model]
    return found


def share(right: int, n: int) -> str:
    """A share in per cent with its 95 % interval."""
    low, high = wilson(right, n)
    return f"{100 * right / n:.1f} ({100 * low:.1f}-{100 * high:.1f})"


def accuracy(shares: Sequence[float], objects: Sequence[str]) -> str:
    """The mean of shares, one an image (in how many runs it is right), in per cent with its 95 %
    interval: Wilson's where each is right or wrong, over objects where runs differ."""
    if set(shares) <= {0.0, 1.0}:
        return share(round(sum(shares)), len(shares))
    low, high = (100 * limit for limit in mean_interval(shares, objects))
    return f"{100 * statistics.mean(shares):.1f} ({low:.1f}-{high:.1f})"


def points(difference: Difference) -> str:
    """A difference in percentage points with its 95 % interval."""
    low, high = (100 * value for value in difference.interval)
    return f"{100 * difference.difference:+.1f} ({low:+.1f} to {high:+.1f})"


def markdown(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table for docs/results."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)
