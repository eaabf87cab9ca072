"""What distillation and semi-supervision bring: tables in docs/results.

    python benchmarks/distill.py ggcnn --data cornell:FOLDER --out runs/distill-ggcnn
    python benchmarks/distill.py kufenet --data generated:FOLDER,half=true --size 96 --out ...
    python benchmarks/distill.py litegrasp --data generated:FOLDER,half=true --size 96 --out ...
    python benchmarks/distill.py graspling --teacher BEST.safetensors --data ... --out ...
    python benchmarks/distill.py unlabelled --data cornell:FOLDER --unlabelled FOLDER/unlabelled ...
    python benchmarks/distill.py few --data generated:FOLDER,half=true --shares 0.0035 --out ...

Each run (distill_runs.py lists them) is one `graspling` command in a process of its own with one
thread, on each of --seeds and --folds;
the test part is judged once, when the training is done. Finished runs are kept, a run under way
goes on where it was. Comparisons are within a table: teacher, student alone and student taught have
the same images, epochs and augmentation. --quick takes seconds a run; --epochs, --limit and --size
set the budget; --plan lists the runs. All train in bf16, so that rows of a table differ by no
precision; a processor that computes in none of its own is three times as fast with
--set precision=fp32.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from asked import asked, keep
from distill_runs import EXPERIMENTS, SHARES, Run
from jobs import PRECISION, Verdicts, accuracy, call, exported, markdown, points
from kept import count

from graspling.curves import chart
from graspling.datasets import open_dataset
from graspling.evaluation.intervals import paired_bootstrap
from graspling.files import write_text
from graspling.pictures import write_picture
from graspling.training.log import read_log
from graspling.training.recipe import load_recipe

# of a loss by labels, in the log
PARTS = ("quality", "cos", "sin", "width")


class Trial(NamedTuple):
    """What a run is repeated with."""

    seed: int
    fold: int


def folder_of(arguments: argparse.Namespace, run: str, trial: Trial) -> Path:
    """Of a run; its name without blanks."""
    repeat = f"seed-{trial.seed}" + (f"-fold-{trial.fold}" if trial.fold else "")
    place: Path = arguments.out / repeat / run.replace(", ", "_").replace(" ", "-")
    return place


def do(arguments: argparse.Namespace, run: Run, trial: Trial) -> None:
    """Train, then judge the test part."""
    folder = folder_of(arguments, run.name, trial)
    where = ["--data", arguments.data, "--split", arguments.split, "--fold", str(trial.fold)]
    words = [*run.words, *where, "--seed", str(trial.seed), "--out", str(folder)]
    if run.teacher:
        best = folder_of(arguments, run.teacher, trial) / "best.safetensors"
        words += ["--teacher", str(arguments.teacher or best)]
    if arguments.epochs or run.times > 1:
        epochs = arguments.epochs or load_recipe(run.words[1]).epochs
        words += ["--epochs", str(run.times * epochs)]
    sets = [*run.sets, "threads=1", f"size={arguments.size}", f"limit={arguments.limit}"]
    if arguments.epochs and run.words[0] == "semi":
        sets.append(f"semi.pretrain={arguments.epochs}")
    words += ["--set", f"precision={PRECISION}", *sets, *arguments.set]
    folder.mkdir(parents=True, exist_ok=True)
    keep(folder, asked(words) | {"quick": arguments.quick})
    if (folder / "test.json").exists():
        return
    words += ["--quick"] if arguments.quick else []
    started = folder.exists() and any(folder.rglob("last.safetensors"))
    words += ["--resume"] if started else []
    call(words, folder)
    part = folder / "test.json.part"
    model = ["--model", str(exported(folder)), "--backend", "onnxruntime"]
    place = ["--data", arguments.test] if arguments.test else where
    call(["evaluate", *model, *place, "--json", str(part)], folder)
    part.rename(folder / "test.json")
    found = json.loads((folder / "test.json").read_text())["accuracy"]
    print(f"seed {trial.seed}, fold {trial.fold}, {run.name}: {found:.3f}", flush=True)


def row(arguments: argparse.Namespace, run: Run, judge: Judge) -> list[str] | None:
    """Parameters and the pruning scale (LiteGrasp, table V: those of the student per cent of its
    teacher's), accuracy over all trials, overlap alone, speed, and the paired difference."""
    tests = judged(arguments, run.name)
    if tests is None:
        return None
    rates = []
    for trial in arguments.trials:
        log = read_log(folder_of(arguments, run.name, trial) / "log.jsonl")
        rates.append([r for r in log if r["kind"] == "epoch"][-1]["images_per_second"])
    first = arguments.trials[0]
    own = size_of(folder_of(arguments, run.name, first))
    teacher = folder_of(arguments, run.teacher, first)
    theirs = size_of(arguments.teacher.parent if arguments.teacher else teacher)
    pruned = f"{100 * own / theirs:.1f}" if run.teacher and own and theirs else ""
    images = sum(test["n"] for test in tests.values())
    overlap = sum(test["iou_only"] * test["n"] for test in tests.values()) / images
    cells = [
        run.name,
        f"{own / 1e3:,.1f} K" if own else "",
        pruned,
        f"{images:,}",
        accuracy(judge.right(tests), judge.objects),
        f"{100 * statistics.pstdev(judge.by_seed(tests)):.1f}",
        f"{100 * overlap:.1f}",
        f"{statistics.mean(rates):.1f}",
    ]
    return [*cells, difference(arguments, run, tests, judge)]


def size_of(folder: Path) -> int:
    """Parameters of the network of a run; 0 where its recipe is not there."""
    recipe = folder / "recipe.yaml"
    return count(yaml.safe_load(recipe.read_text())) if recipe.exists() else 0


Tests = dict[Trial, dict[str, Any]]


def judged(arguments: argparse.Namespace, run: str) -> Tests | None:
    """What the evaluation of each trial found; None while one is missing."""
    files = {t: folder_of(arguments, run, t) / "test.json" for t in arguments.trials}
    if not all(file.exists() for file in files.values()):
        return None
    return {trial: json.loads(file.read_text()) for trial, file in files.items()}


class Judge:
    """Which images were judged in which fold, and what came out."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._folds = {}
        for fold in {trial.fold for trial in arguments.trials}:
            spec, ids = arguments.test, None
            if not spec:
                spec = arguments.data
                ids = open_dataset(spec).split(arguments.split).fold(fold).test
            self._folds[fold] = Verdicts(spec, ids)
        self._objects = {
            i: name for v in self._folds.values() for i, name in zip(v.ids, v.objects, strict=True)
        }
        self.objects = [*self._objects.values()]

    def right(self, tests: Tests) -> list[float]:
        """In how many of its trials each image is right, as a share."""
        verdicts = defaultdict(list)
        for trial, test in tests.items():
            for i, right in self._folds[trial.fold].of(test).items():
                verdicts[i].append(right)
        return [statistics.mean(verdicts[i]) for i in self._objects]

    def by_seed(self, tests: Tests) -> list[float]:
        """Accuracy of each seed, all folds together."""
        seeds = sorted({trial.seed for trial in tests})
        return [
            statistics.mean(self.right({t: test for t, test in tests.items() if t.seed == seed}))
            for seed in seeds
        ]


def difference(arguments: argparse.Namespace, run: Run, tests: Tests, judge: Judge) -> str:
    """Against the run that it is compared with, in points with a 95 % interval."""
    others = judged(arguments, run.against) if run.against else None
    if others is None:
        return ""
    found = paired_bootstrap(judge.right(others), judge.right(tests), judge.objects)
    return f"{points(found)}, p = {found.p:.3f}; {run.against}"


def table(arguments: argparse.Namespace, runs: list[Run]) -> str:
    """Markdown."""
    judge = Judge(arguments)
    head = ["run", "parameters", "pruning scale, %", "images", "accuracy, %", "spread"]
    head += ["IoU alone, %", "trained, images/s", "difference"]
    return markdown(head, [cells for run in runs if (cells := row(arguments, run, judge))])


def draw(arguments: argparse.Namespace, runs: list[Run]) -> None:
    """What the labels alone have to say of the images trained on, against epochs: the mean over
    the trials."""
    curves = {}
    for run in runs:
        by_epoch = defaultdict(list)
        for trial in arguments.trials:
            for record in read_log(folder_of(arguments, run.name, trial) / "log.jsonl"):
                if record["kind"] == "epoch":
                    by_epoch[record["epoch"]].append(sum(record[part] for part in PARTS))
        if by_epoch:
            curves[run.name] = [(e, statistics.mean(found)) for e, found in by_epoch.items()]
    if curves:
        picture = chart(curves, x="epoch", y="loss by the labels of training images", zero=False)
        write_picture(arguments.out / "loss.png", picture)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", choices=EXPERIMENTS)
    parser.add_argument("--data", required=True)
    parser.add_argument("--test", default="", help="another data set to judge by, all of it")
    parser.add_argument("--split", default="object-wise")
    parser.add_argument("--folds", nargs="+", type=int, default=[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--limit", type=int, default=0, help="images a part; 0: all")
    parser.add_argument("--shares", nargs="+", type=float, default=SHARES)
    parser.add_argument("--unlabelled", nargs="*", default=[])
    parser.add_argument("--teacher", type=Path, help="a trained one, for all students")
    parser.add_argument("--teacher-network", help="of kufenet and litegrasp")
    parser.add_argument("--student", help="of graspling and litegrasp; by default the recipe's")
    parser.add_argument("--sweep", action="store_true", help="settings as well")
    parser.add_argument("--ablation", action="store_true", help="table III's rows in between")
    parser.add_argument("--runs", nargs="*", default=[], help="only these")
    parser.add_argument("--set", nargs="*", default=[], help="settings of all runs")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--plan", action="store_true", help="list the runs and stop")
    arguments = parser.parse_args()
    runs = EXPERIMENTS[arguments.experiment](arguments)
    if unknown := set(arguments.runs) - {run.name for run in runs}:
        parser.error(f"no runs {sorted(unknown)}; --plan lists them")
    runs = [run for run in runs if run.name in (arguments.runs or (run.name,))]
    if len({run.name for run in runs}) < len(runs):
        parser.error("two runs have one name: give --unlabelled folders of different names")
    if arguments.plan:
        print("\n".join(run.name for run in runs))
        return
    arguments.trials = [Trial(*both) for both in product(arguments.seeds, arguments.folds)]
    for trial in arguments.trials:
        for run in runs:
            do(arguments, run, trial)
    draw(arguments, runs)
    text = table(arguments, runs)
    write_text(arguments.out / "table.md", text)
    print(text)


if __name__ == "__main__":
    main()
