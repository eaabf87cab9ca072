"""Two processes are one with the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the lab is not installed")

from graspling.datasets.augment import Augmentation  # noqa: E402
from graspling.datasets.sample import Dataset  # noqa: E402
from graspling.errors import InputError  # noqa: E402
from graspling.image import Preparation  # noqa: E402
from graspling.training import processes  # noqa: E402
from graspling.training.batches import Batches  # noqa: E402
from graspling.training.log import read_log  # noqa: E402

# GG-CNN has neither batch norm nor dropout; with outside=0 the processes count different pixels.
SETTINGS = """
network: ggcnn
split: image-wise
size: 48
epochs: 4
batch: 4
lr: 0.001
loss: {kind: smooth_l1, outside: 0.0}
augmentation: {rotation_deg: 180, zoom: [0.8, 1.2]}
validate_every: 2
picture_every: 0
threads: 1
"""


def run(folder: Path, data: str, *options: str) -> list[dict[str, float]]:
    """The log of a run of the command line."""
    recipe = folder.with_suffix(".yaml")
    recipe.write_text(SETTINGS)
    command = [sys.executable, "-m", "graspling", "train", str(recipe), "--data", data]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, "--out", str(folder), *options],
        capture_output=True,
        text=True,
        env=environment,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"written: {folder / 'best.safetensors'}\n"
    return read_log(folder / "log.jsonl")


def test_two_processes_follow_the_loss_of_one(bars: str, tmp_path: Path) -> None:
    pytest.importorskip("lightning_fabric", reason="the extra multi is not installed")
    one = run(tmp_path / "one", bars)
    two = run(tmp_path / "two", bars, "--devices", "2")
    assert [row["kind"] for row in one] == [row["kind"] for row in two]
    for name in ("loss", "quality", "cos", "sin", "width"):
        losses = [[row[name] for row in rows if name in row] for rows in (one, two)]
        assert len(losses[0]) >= 4
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5, atol=1e-5)
    assert one[0]["loss"] > one[-1]["loss"]


class Numbered(Dataset):
    """Nothing but ids."""

    kind = "numbered"

    def __init__(self) -> None:
        self.name = self.kind

    read_frame = read_labels = files = None  # type: ignore[assignment]


@pytest.mark.parametrize("count", [2, 3])
def test_shares_together_are_the_batches(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Batches, "load", lambda self, ids, epoch: list(ids))

    def epoch(rank: int, of: int) -> list[list[str]]:
        ids = [str(number) for number in range(23)]
        batches = Batches(
            Numbered(), ids, Preparation("rgb", 32), Augmentation(), size=5, share=(rank, of)
        )
        return list(batches.epoch(3, start=1))  # type: ignore[arg-type]

    whole = epoch(0, 1)
    shares = [epoch(rank, count) for rank in range(count)]
    for number, batch in enumerate(whole):
        assert sorted(sum((share[number] for share in shares), [])) == sorted(batch)
        assert all(share[number] for share in shares)


def test_impossible_numbers_of_processes_are_refused() -> None:
    with pytest.raises(InputError, match="--devices 0: expected 1 or more"):
        processes.start(0, 1, 8)
    with pytest.raises(InputError, match="--nodes -1"):
        processes.start(1, -1, 8)
    with pytest.raises(InputError, match="6 processes cannot share a batch of 4"):
        processes.start(3, 2, 4)
    assert processes.start(1, 1, 1).first
