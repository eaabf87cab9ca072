"""What distillation and semi-supervision bring: the tables of docs/results.md.

    python benchmarks/distill.py ggcnn --data cornell:FOLDER --out runs/distill-ggcnn
    python benchmarks/distill.py kufenet --data generated:FOLDER,half=true --size 96 --out ...
    python benchmarks/distill.py litegrasp --data generated:FOLDER,half=true --size 96 --out ...
    python benchmarks/distill.py graspling --teacher BEST.safetensors --data ... --out ...

Each run is one `graspling` command in a process of its own with one thread, on each of --seeds;
the test part is judged once, when the training is done. Finished runs are kept, a run under way
goes on where it was. Comparisons are within a table: teacher, student alone and student taught have
the same images, epochs and augmentation. --quick takes seconds a run; --epochs, --limit and --size
set the budget; --plan lists the runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jobs import Verdicts, call, markdown, points, share
from kept import count

from graspling.curves import chart
from graspling.datasets import open_dataset
from graspling.evaluation.intervals import paired_bootstrap
from graspling.files import write_text
from graspling.pictures import write_picture
from graspling.training.log import read_log
from graspling.training.recipe import load_recipe

ALPHAS = (0.1, 0.3, 0.5, 0.7, 0.9)
MAPPINGS = ("mean", "max", "max2", "max4")
SHARES = (0.125, 0.25, 0.5, 1.0)
GRASPLING_WEIGHTS = (1, 5, 20, 60)


@dataclass(frozen=True)
class Run:
    """One training: its folder's name, the words of the command, and what its row is called.

    ``teacher`` names another run of the same seed. ``against`` names the run that its row is
    compared with. ``times``: this many times the epochs of the others.
    """

    name: str
    words: tuple[str, ...]
    sets: tuple[str, ...] = ()
    teacher: str = ""
    against: str = ""
    times: int = 1


def ggcnn(arguments: argparse.Namespace) -> list[Run]:
    """GG-CNN and its students, alone and distilled; alpha swept for version 2."""
    runs = [Run("teacher", ("train", "ggcnn"))]
    for student in ("ggcnn_student_v1", "ggcnn_student_v2"):
        short = student.removeprefix("ggcnn_student_")
        taught = ("distill", "distill_ggcnn", "--student", student)
        runs.append(Run(f"{short} alone", (*taught, "--alpha", "0"), (), "teacher", "teacher"))
        for alpha in ALPHAS if short == "v2" and arguments.sweep else (0.5,):
            words = (*taught, "--alpha", str(alpha))
            runs.append(Run(f"{short} alpha {alpha}", words, (), "teacher", f"{short} alone"))
    return runs


def kufenet(arguments: argparse.Namespace) -> list[Run]:
    """Table V: strategies; with --sweep also weights of the terms and the gate."""
    changes = {"network": "kufenet_teacher_strided", "distill": None}
    teacher = ("train", str(plain_recipe(arguments, "distill_kufenet", changes)))
    runs = [Run("teacher", teacher)]
    weight = "distill.terms.{}.weight={}".format
    off = {"fruit": weight("fruit", 0), "hint": weight("hint", 0)}
    taught = ("distill", "distill_kufenet")

    def add(name: str, *sets: str, recipe: tuple[str, ...] = taught) -> None:
        runs.append(Run(name, recipe, sets, "teacher", "" if name == "alone" else "alone"))

    add("alone", off["fruit"], off["hint"])
    add("fruit", off["hint"])
    for mapping in MAPPINGS:
        add(f"hint {mapping}", off["fruit"], f"distill.terms.hint.mapping={mapping}")
    add("hint PWC", recipe=("distill", "distill_kufenet_pwc"))
    add("fruit, hint max2")
    if arguments.sweep:
        ungated = [f"distill.terms.{name}.gate=false" for name in ("fruit", "hint")]
        add("fruit, hint max2, no gate", *ungated)
        for alpha in (0.3, 3.0):
            add(f"fruit, hint max2, alpha {alpha}", weight("fruit", alpha))
        for beta in (0.3, 3.0):
            add(f"fruit, hint max2, beta {beta}", weight("hint", beta))
    return runs


def litegrasp(arguments: argparse.Namespace) -> list[Run]:
    """Tables III to V: supervised, semi-supervised, distilled, by the share of labels; other pairs
    by --teacher-network and --student."""
    runs = []
    off = "distill.terms.{}.weight=0".format
    big = {"network": arguments.teacher_network}
    plain = ("train", str(plain_recipe(arguments, "semi_litegrasp", {**big, "semi": None})))
    both = str(plain_recipe(arguments, "semi_litegrasp", big, "semi"))
    student = () if arguments.student is None else ("--student", arguments.student)
    for fraction in arguments.shares:
        words = ("--fraction", str(fraction))
        more = tuple(f"{name}" for name in arguments.unlabelled)
        further = ("--unlabelled", *more) if more else ()
        if fraction == 1 and not further:
            continue  # nothing is left without labels
        name = f"{100 * fraction:g} %"
        # as long as both phases of semi-supervision together
        supervised = f"{name} supervised teacher"
        runs.append(Run(supervised, plain, (f"fraction={fraction}",), times=2))
        semi = ("semi", both, *words, *further)
        runs.append(Run(f"{name} semi-supervised teacher", semi, (), "", supervised))
        taught = ("distill", "distill_litegrasp", *student, *words, *further)
        nothing = (off("outputs"), off("features"), "distill.hidden=false")
        alone = f"{name} student alone"
        teacher = f"{name} semi-supervised teacher"
        by_labels = ("distill", "distill_litegrasp", *student, *words)
        runs.append(Run(alone, by_labels, nothing, teacher, teacher))
        if arguments.ablation:
            runs.append(Run(f"{name} + features", taught, (off("outputs"),), teacher, alone))
        runs.append(Run(f"{name} + features + outputs", taught, (), teacher, alone))
    return runs


def graspling(arguments: argparse.Namespace) -> list[Run]:
    """graspling_s or _m from any teacher: the weight of its word beside that of the labels."""
    taught = ("distill", "distill_graspling", "--student", arguments.student or "graspling_s")
    weight = "distill.terms.outputs.weight={}".format
    runs = [] if arguments.teacher else [Run("teacher", ("train", "resgrasp_18"))]
    runs.append(Run("alone", taught, (weight(0),), "teacher"))
    for value in GRASPLING_WEIGHTS if arguments.sweep else (20,):
        runs.append(Run(f"weight {value}", taught, (weight(value),), "teacher", "alone"))
    return runs


EXPERIMENTS = {f.__name__: f for f in (ggcnn, kufenet, litegrasp, graspling)}


def plain_recipe(
    arguments: argparse.Namespace, name: str, changes: dict[str, Any], kind: str = "plain"
) -> Path:
    """The recipe of that name with these settings, to train a teacher as its student is."""
    settings = load_recipe(name).to_dict() | changes
    path: Path = arguments.out / f"{settings['network']}-{kind}.yaml"
    write_text(path, json.dumps(settings) + "\n")  # JSON is YAML
    return path


def folder_of(arguments: argparse.Namespace, run: str, seed: int) -> Path:
    """Of a run; its name without blanks."""
    place: Path = arguments.out / f"seed-{seed}" / run.replace(", ", "_").replace(" ", "-")
    return place


def do(arguments: argparse.Namespace, run: Run, seed: int) -> None:
    """Train, then judge the test part."""
    folder = folder_of(arguments, run.name, seed)
    if (folder / "test.json").exists():
        return
    where = ["--data", arguments.data, "--split", arguments.split, "--fold", str(arguments.fold)]
    words = [*run.words, *where, "--seed", str(seed), "--out", str(folder)]
    if run.teacher:
        best = folder_of(arguments, run.teacher, seed) / "best.safetensors"
        words += ["--teacher", str(arguments.teacher or best)]
    if arguments.epochs or run.times > 1:
        epochs = arguments.epochs or load_recipe(run.words[1]).epochs
        words += ["--epochs", str(run.times * epochs)]
    sets = [*run.sets, "threads=1", f"size={arguments.size}", f"limit={arguments.limit}"]
    if arguments.epochs and run.words[0] == "semi":
        sets.append(f"semi.pretrain={arguments.epochs}")
    words += ["--set", *sets, *arguments.set]
    words += ["--quick"] if arguments.quick else []
    started = folder.exists() and any(folder.rglob("last.safetensors"))
    words += ["--resume"] if started else []
    folder.mkdir(parents=True, exist_ok=True)
    call(words, folder)
    part = folder / "test.json.part"
    model = str(folder / "best.safetensors")
    test = arguments.test or arguments.data
    place = ["--data", test] if arguments.test else where
    call(["evaluate", "--model", model, *place, "--json", str(part)], folder)
    part.rename(folder / "test.json")
    found = json.loads((folder / "test.json").read_text())["accuracy"]
    print(f"seed {seed} {run.name}: {found:.3f}", flush=True)


def row(arguments: argparse.Namespace, run: Run, verdicts: Verdicts) -> list[str] | None:
    """Parameters and the pruning scale (LiteGrasp, table V: those of the student per cent of its
    teacher's), accuracy over all seeds, overlap alone, speed, and the paired difference."""
    tests = judged(arguments, run.name)
    if tests is None:
        return None
    rates = []
    for seed in arguments.seeds:
        log = read_log(folder_of(arguments, run.name, seed) / "log.jsonl")
        rates.append([r for r in log if r["kind"] == "epoch"][-1]["images_per_second"])
    own = size_of(folder_of(arguments, run.name, arguments.seeds[0]))
    teacher = folder_of(arguments, run.teacher, arguments.seeds[0])
    theirs = size_of(arguments.teacher.parent if arguments.teacher else teacher)
    pruned = f"{100 * own / theirs:.1f}" if run.teacher and own and theirs else ""
    cells = [
        run.name,
        f"{own / 1e3:,.1f} K" if own else "",
        pruned,
        str(len(verdicts.ids)),
        accuracy(tests, verdicts),
        f"{100 * statistics.pstdev(test['accuracy'] for test in tests):.1f}",
        f"{100 * statistics.mean(test['iou_only'] for test in tests):.1f}",
        f"{statistics.mean(rates):.1f}",
    ]
    return [*cells, difference(arguments, run, tests, verdicts)]


def size_of(folder: Path) -> int:
    """Parameters of the network of a run; 0 where its recipe is not there."""
    recipe = folder / "recipe.yaml"
    return count(yaml.safe_load(recipe.read_text())) if recipe.exists() else 0


def judged(arguments: argparse.Namespace, run: str) -> list[dict[str, Any]] | None:
    """What the evaluation of each seed found; None while one is missing."""
    files = [folder_of(arguments, run, seed) / "test.json" for seed in arguments.seeds]
    if not all(file.exists() for file in files):
        return None
    return [json.loads(file.read_text()) for file in files]


def right(tests: list[dict[str, Any]], verdicts: Verdicts) -> list[float]:
    """In how many of the seeds each image is right, as a share."""
    columns = [verdicts.of(test) for test in tests]
    return [statistics.mean(column[i] for column in columns) for i in verdicts.ids]


def accuracy(tests: list[dict[str, Any]], verdicts: Verdicts) -> str:
    """In per cent with a 95 % interval; with several seeds over objects, since the seeds have the
    same images."""
    if len(tests) == 1:
        return share(round(tests[0]["accuracy"] * tests[0]["n"]), tests[0]["n"])
    shares = right(tests, verdicts)
    found = paired_bootstrap([0.0] * len(shares), shares, verdicts.objects)
    low, high = (100 * limit for limit in found.interval)
    return f"{100 * found.difference:.1f} ({low:.1f}-{high:.1f})"


def difference(
    arguments: argparse.Namespace, run: Run, tests: list[dict[str, Any]], verdicts: Verdicts
) -> str:
    """Against the run that it is compared with, in points with a 95 % interval."""
    others = judged(arguments, run.against) if run.against else None
    if others is None:
        return ""
    both = (right(others, verdicts), right(tests, verdicts))
    found = paired_bootstrap(*both, verdicts.objects)
    return f"{points(found)}, p = {found.p:.3f}; {run.against}"


def table(arguments: argparse.Namespace, runs: list[Run]) -> str:
    """Markdown."""
    spec, ids = arguments.test, None
    if not spec:
        spec = arguments.data
        ids = open_dataset(spec).split(arguments.split).fold(arguments.fold).test
    verdicts = Verdicts(spec, ids)
    head = ["run", "parameters", "pruning scale, %", "images", "accuracy, %", "spread"]
    head += ["IoU alone, %", "images/s", "difference"]
    return markdown(head, [cells for run in runs if (cells := row(arguments, run, verdicts))])


def draw(arguments: argparse.Namespace, runs: list[Run]) -> None:
    """Loss on validation images against epochs, of the first seed."""
    curves = {}
    for run in runs:
        rows = read_log(folder_of(arguments, run.name, arguments.seeds[0]) / "log.jsonl")
        points = [(r["epoch"], r["loss"]) for r in rows if r["kind"] == "validation"]
        if points:
            curves[run.name] = points
    if curves:
        picture = chart(curves, x="epoch", y="loss on validation images")
        write_picture(arguments.out / "loss.png", picture)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiment", choices=EXPERIMENTS)
    parser.add_argument("--data", required=True)
    parser.add_argument("--test", default="", help="another data set to judge by, all of it")
    parser.add_argument("--split", default="object-wise")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--limit", type=int, default=0, help="images a part; 0: all")
    parser.add_argument("--shares", nargs="+", type=float, default=SHARES)
    parser.add_argument("--unlabelled", nargs="*", default=[])
    parser.add_argument("--teacher", type=Path, help="a trained one, for all students")
    parser.add_argument("--teacher-network", default="hrgrasp_w18", help="of litegrasp")
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
    if arguments.plan:
        print("\n".join(run.name for run in runs))
        return
    for seed in arguments.seeds:
        for run in runs:
            do(arguments, run, seed)
    draw(arguments, runs)
    text = table(arguments, runs)
    write_text(arguments.out / "table.md", text)
    print(text)


if __name__ == "__main__":
    main()
