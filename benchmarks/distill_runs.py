"""Which trainings the tables of distillation consist of: one function a paper.

benchmarks/distill.py runs them.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from graspling.files import write_text
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
    changes = {"network": arguments.teacher_network or "kufenet_teacher_strided", "distill": None}
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
        for beta in (0.1, 0.3, 3.0):
            add(f"fruit, hint max2, beta {beta}", weight("hint", beta))
    return runs


def litegrasp(arguments: argparse.Namespace) -> list[Run]:
    """Tables III to V: supervised, semi-supervised, distilled, by the share of labels; other pairs
    by --teacher-network and --student."""
    runs = []
    off = "distill.terms.{}.weight=0".format
    big = {"network": arguments.teacher_network or "hrgrasp_w18"}
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
    changes = {
        "network": "resgrasp_18",
        "loss": load_recipe("resgrasp_18").to_dict()["loss"],
        "distill": None,
    }
    teacher = ("train", str(plain_recipe(arguments, "distill_graspling", changes)))
    runs = [] if arguments.teacher else [Run("teacher", teacher)]
    runs.append(Run("alone", taught, (weight(0),), "teacher"))
    for value in GRASPLING_WEIGHTS if arguments.sweep else (20,):
        runs.append(Run(f"weight {value}", taught, (weight(value),), "teacher", "alone"))
    return runs


def unlabelled(arguments: argparse.Namespace) -> list[Run]:
    """All labels, with the images of each of --unlabelled and without: do their looks matter?"""
    plain = ("train", str(plain_recipe(arguments, "semi_graspling", {"semi": None})))
    runs = [Run("labels alone", plain, times=2)]  # as long as both phases of the others
    for spec in arguments.unlabelled:
        words = ("semi", "semi_graspling", "--unlabelled", spec)
        runs.append(Run(f"with {Path(spec).name}", words, (), "", "labels alone"))
    return runs


def few(arguments: argparse.Namespace) -> list[Run]:
    """Our own recipe with a share of the labels, with and without the rest of the images.

    "Labels alone" has the same two phases, of which the second one accepts no pseudo-label; "in one
    phase" is one schedule as long as both. --ablation: without MixUp, and labelled images changed
    as much as the others.
    """
    plain = ("train", str(plain_recipe(arguments, "semi_graspling", {"semi": None})))
    semi = load_recipe("semi_graspling").semi
    assert semi is not None
    as_much = [
        f"augmentation.{key}={json.dumps(value)}" for key, value in asdict(semi.strong).items()
    ]
    strongly = (*as_much, "semi.weak={flip: 0.5}")
    variants: dict[str, tuple[str, ...]] = {"": ()}
    if arguments.ablation:
        unmixed = "semi.mixup=0"
        variants |= {", without MixUp": (unmixed,), ", strongly": strongly}
        variants |= {", strongly, without MixUp": (*strongly, unmixed)}
    runs = []
    for fraction in arguments.shares:
        name = f"{100 * fraction:g} %"
        runs.append(Run(f"{name} in one phase", plain, (f"fraction={fraction}",), times=2))
        if fraction == 1:
            continue  # nothing is left without labels
        words = ("semi", "semi_graspling", "--fraction", str(fraction))
        for variant, sets in variants.items():
            alone = f"{name} labels alone{variant}"
            runs.append(Run(alone, words, (*sets, "semi.confidence=1")))
            runs.append(Run(f"{name} with the others{variant}", words, sets, "", alone))
    return runs


EXPERIMENTS = {f.__name__: f for f in (ggcnn, kufenet, litegrasp, graspling, unlabelled, few)}


def plain_recipe(
    arguments: argparse.Namespace, name: str, changes: dict[str, Any], kind: str = "plain"
) -> Path:
    """The recipe of that name with these settings, to train a teacher as its student is."""
    settings = load_recipe(name).to_dict() | changes
    path: Path = arguments.out / f"{settings['network']}-{kind}.yaml"
    write_text(path, json.dumps(settings) + "\n")  # JSON is YAML
    return path
