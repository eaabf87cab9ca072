"""OpenCV in the caller's thread alone, and in silence, without changing what the caller has set."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

_lock = threading.Lock()
_inside = 0
_before = 1
_quiet = 0
_level = 0


@contextmanager
def one_thread() -> Iterator[None]:
    """OpenCV works on one thread inside the block, and starts none.

    Its number of threads belongs to the whole process, so the first that enters keeps what was set
    and the last that leaves puts it back.
    """
    global _inside, _before
    with _lock:
        _inside += 1
        if _inside == 1:
            _before = cv2.getNumThreads()
            if _before != 1:
                cv2.setNumThreads(1)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _before != 1:
                cv2.setNumThreads(_before)


@contextmanager
def in_silence() -> Iterator[None]:
    """OpenCV prints nothing inside the block: what it says of a damaged file, the caller says.

    The level belongs to the whole process and is put back like the number of threads above.
    """
    global _quiet, _level
    log = cv2.utils.logging
    with _lock:
        _quiet += 1
        if _quiet == 1:
            _level = log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        with _lock:
            _quiet -= 1
            if _quiet == 0:
                log.setLogLevel(_level)
