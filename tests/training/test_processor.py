"""What training asks of the processor."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="the lab is not installed")

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


def test_one_core_is_left_to_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, threads in ((1, 1), (2, 1), (4, 3), (64, 4)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, n=cores: set(range(n)), False)
        monkeypatch.setattr(os, "cpu_count", lambda n=cores: n)
        assert workers(0) == threads
    assert workers(7) == 7
