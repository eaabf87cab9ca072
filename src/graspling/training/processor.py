"""What training asks of the processor it runs on."""

from __future__ import annotations

import ctypes
import os
import sys

import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h of glibc


def use_processor(threads: int) -> None:
    """Let PyTorch use that many threads (0: as it chooses), and let the process keep its memory.

    The C library of Linux gives large tensors back to the system as soon as they are freed and
    asks for them anew, zeroed page by page, in every step: up to 30 % of the time of a step of
    networks with wide maps (docs/results/training_speed.md).
    """
    if threads:
        torch.set_num_threads(threads)
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries may not have it
        if mallopt is not None:
            mallopt(_M_MMAP_MAX, 0)
            mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def workers(asked: int) -> int:
    """Threads that prepare images: as many as asked for, or for 0 one for each core that this
    process may use but one, which trains; at least 1 and at most 4."""
    if asked:
        return asked
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(max(cores - 1, 1), 4)
