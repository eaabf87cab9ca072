"""Scripts of benchmarks/ run at all: what they measure has no tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the lab is not installed")

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def run(script: str, *words: str) -> str:
    return subprocess.run(
        [sys.executable, BENCHMARKS / script, *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_the_loop_is_compared_with_a_plain_one(labelled_folder: Path, tmp_path: Path) -> None:
    found = tmp_path / "speed.json"
    words = ["--networks", "graspling_s", "--quick", "--json", str(found)]
    run("training_speed.py", "--data", f"folder:{labelled_folder}", *words)
    row = json.loads(found.read_text())["graspling_s"]
    assert row["images_per_second"] > 0 and row["plain_images_per_second"] > 0
    assert 0 <= row["waiting_share"] < 1


@pytest.mark.parametrize(
    ("recipe", "teacher"), [("distill_graspling", "graspling_s"), ("semi_graspling", "itself")]
)
def test_a_taught_step_is_measured(recipe: str, teacher: str) -> None:
    row = json.loads(run("distill_cost.py", "--one", recipe, teacher, "--size", "32"))
    assert row["milliseconds"] > 0 and row["megabytes"] > 0
