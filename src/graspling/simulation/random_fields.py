"""Random images, fast: numbers from a bank that is drawn once, in memory that is kept."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Depth = NDArray[np.float32]
Generator = np.random.Generator
_BANK = 1024  # edge of the square of random numbers that all frames take theirs from
_local = threading.local()


def scratch(name: str, shape: tuple[int, ...], kind: type = np.float32) -> Any:
    """An array of this thread to work in: fresh memory takes longer to get than to fill."""
    found = getattr(_local, name, None)
    if found is None or found.shape != shape:
        found = np.empty(shape, kind)
        setattr(_local, name, found)
    return found


@cache
def _bank(kind: str) -> Depth:
    """(1024, 1024) random numbers, made once: drawing fresh ones would take most of the time."""
    rng = np.random.default_rng(7)
    if kind == "uniform":
        return rng.random((_BANK, _BANK), np.float32)
    return rng.standard_normal((_BANK, _BANK), np.float32)


def crop(kind: str, rng: Generator, height: int, width: int) -> Depth:
    """(H, W) from a random place of the bank."""
    bank = _bank(kind)
    if height > _BANK or width > _BANK:
        tiles = (-(-height // _BANK) + 1, -(-width // _BANK) + 1)
        bank = np.tile(bank, tiles)
    top = int(rng.integers(bank.shape[0] - height + 1))
    left = int(rng.integers(bank.shape[1] - width + 1))
    step = int(rng.choice([-1, 1]))
    return bank[top : top + height, left : left + width][:, ::step]


def smooth_field(rng: Generator, height: int, width: int, length: float, layers: int = 1) -> Any:
    """(H, W) or (H, W, layers) smooth, standard deviation about 1, correlated over ``length``
    pixels; it is overwritten by the next call."""
    cell = max(length, 1.0)
    rows, columns = int(height / cell) + 4, int(width / cell) + 4
    coarse: Any = rng.standard_normal((rows, columns, layers), np.float32)
    # interpolation between random numbers takes more than half of the variance
    coarse *= 1.5
    shape = (height, width, layers) if layers > 1 else (height, width)
    field = scratch(f"field{layers}", shape)
    return cv2.resize(coarse, (width, height), dst=field, interpolation=cv2.INTER_LINEAR)
