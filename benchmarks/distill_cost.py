"""Processor time and memory of a training step, plain and taught: the table of docs/distill.md.

    python benchmarks/distill_cost.py [--size 224] [--batch 8]

Weights are fresh and images random: neither changes the cost. Each row is a process of its own, so
that its peak of memory is its own. Where the recipe has images without labels, a taught step has as
many of them as labelled ones, whose number is the same in both.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# (recipe, teacher's network); by semi-supervision a network is its own teacher.
ROWS = (
    ("distill_ggcnn", "ggcnn"),
    ("distill_kufenet", "kufenet_teacher_strided"),
    ("distill_kufenet_pwc", "kufenet_teacher_strided"),
    ("distill_litegrasp", "hrgrasp_w18"),
    ("distill_graspling", "resgrasp_18"),
    ("semi_litegrasp", "itself"),
    ("semi_graspling", "itself"),
)
STEPS = 3


def measure(name: str, teacher: str, size: int, batch_size: int) -> dict[str, float]:
    """Milliseconds of processor a step (the best one) and peak memory in MB; without a ``teacher``
    of the same student by labels alone."""
    import torch  # noqa: PLC0415

    from graspling.card import Card  # noqa: PLC0415
    from graspling.image import Preparation  # noqa: PLC0415
    from graspling.networks import build  # noqa: PLC0415
    from graspling.training.batches import Batch, TwoViews  # noqa: PLC0415
    from graspling.training.checkpoint import save_checkpoint  # noqa: PLC0415
    from graspling.training.distillation.lesson import Distillation  # noqa: PLC0415
    from graspling.training.distillation.semi import SemiSupervision  # noqa: PLC0415
    from graspling.training.distillation.teacher import Teacher  # noqa: PLC0415
    from graspling.training.lessons import Lesson  # noqa: PLC0415
    from graspling.training.loop import train_step  # noqa: PLC0415
    from graspling.training.losses import GraspLoss  # noqa: PLC0415
    from graspling.training.optimise import make_optimiser, resolve_precision  # noqa: PLC0415
    from graspling.training.processor import use_processor  # noqa: PLC0415
    from graspling.training.recipe import load_recipe  # noqa: PLC0415

    use_processor(1)
    recipe = load_recipe(name)
    student = build(recipe.network, recipe.modality).channels_last().train()
    criterion = GraspLoss(recipe.loss)
    precision = resolve_precision("auto", torch.device("cpu"))
    lesson: Lesson = Lesson(criterion, precision)
    more, views = 0, None
    if teacher and recipe.semi:
        # sure of everything: what is accepted costs most
        settings = dataclasses.replace(recipe.semi, confidence=0.0)
        lesson = SemiSupervision(
            settings, copy.deepcopy(student).eval(), recipe.decoding, criterion, precision
        )
        image = torch.randn(batch_size, student.channels, size, size)
        still = torch.eye(2, 3).expand(batch_size, 2, 3).clone()
        unknown, rules = (None,) * batch_size, ("half",) * batch_size
        views = TwoViews(image, image, still, unknown, unknown, rules, 0)
    elif teacher:
        assert recipe.distill is not None
        more = batch_size if recipe.distill.hidden else 0
        network = build(teacher, recipe.modality)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "teacher.safetensors"
            card = Card(teacher, teacher, Preparation(recipe.modality, size))
            save_checkpoint(file, network, card)
            lesson = Distillation(
                recipe.distill,
                student,
                Teacher(str(file), recipe.modality),
                criterion,
                precision,
                size,
            )
    optimiser = make_optimiser(recipe, torch.nn.ModuleList([student, lesson.extra]), STEPS)
    images = batch_size + more
    flags = torch.zeros(images, size, size, dtype=torch.bool)
    batch = Batch(
        torch.randn(images, student.channels, size, size),
        torch.rand(images, 4, size, size),
        ~flags,
        flags,
        labelled=batch_size,
        two_views=views,
    ).to(torch.device("cpu"))
    best = float("inf")
    for _ in range(STEPS):
        began = time.process_time()
        train_step(student, batch, lesson, optimiser)
        best = min(best, time.process_time() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"milliseconds": 1e3 * best, "megabytes": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(*arguments.one, arguments.size, arguments.batch)))
        return
    print("| recipe | teacher | plain, ms a step | taught | plain, peak MB | taught |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, teacher in ROWS:
        found = []
        for who in ("", teacher):
            words = ["--one", name, who, "--size", arguments.size, "--batch", arguments.batch]
            done = subprocess.run(
                [sys.executable, __file__, *map(str, words)],
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                check=True,
                capture_output=True,
                text=True,
            )
            found.append(json.loads(done.stdout))
        plain, taught = found
        times = f"{plain['milliseconds']:.0f} | {taught['milliseconds']:.0f}"
        memory = f"{plain['megabytes']:.0f} | {taught['megabytes']:.0f}"
        print(f"| {name} | {teacher} | {times} | {memory} |", flush=True)


if __name__ == "__main__":
    main()
