"""What training asks of the processor."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the lab is not installed")

from graspling.card import Card  # noqa: E402
from graspling.errors import InputError  # noqa: E402
from graspling.image import Preparation  # noqa: E402
from graspling.networks import build  # noqa: E402
from graspling.training.checkpoint import TorchBackend, save_checkpoint  # noqa: E402
from graspling.training.processor import workers  # noqa: E402

# Page faults of freeing and taking a tensor of 36 MB a few times, in a process of its own: what
# is asked of the C library holds for all of a process.
_FAULTS = """
import resource, sys, torch
from graspling.training.processor import use_processor
if sys.argv[1] == "kept":
    use_processor(1)
    assert torch.get_num_threads() == 1
for turn in range(44):
    if turn == 40:  # it has found its places
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(9_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left alone")
def test_large_tensors_stay_with_the_process():
    kept, given_back = (
        int(subprocess.check_output([sys.executable, "-c", _FAULTS, how], text=True))
        for how in ("kept", "plain")
    )
    assert kept < 1000 < 32768 < given_back


def test_a_checkpoint_that_answers_leaves_the_process_its_threads(tmp_path: Path) -> None:
    """What is trained next in the same process would have the detector's one."""
    card = Card("small", "ggcnn_student_v1", Preparation(modality="depth", size=48))
    path = tmp_path / "small.safetensors"
    save_checkpoint(path, build(card.network, "depth"), card)
    backend, used = TorchBackend(path, threads=1), []
    backend.network.register_forward_hook(lambda *_: used.append(torch.get_num_threads()))
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        backend.run(np.zeros((1, 1, 48, 48), np.float32))
        with pytest.raises(InputError, match="48x47"):
            backend.run(np.zeros((1, 1, 48, 47), np.float32))
        assert used == [1] and torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_one_core_is_left_to_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, threads in ((1, 1), (2, 1), (4, 3), (64, 4)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, n=cores: set(range(n)), False)
        monkeypatch.setattr(os, "cpu_count", lambda n=cores: n)
        assert workers(0) == threads
    assert workers(7) == 7
