"""What every backend has in common."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from graspling.card import Card
from graspling.errors import InputError

Maps = NDArray[np.float32]


class Backend(Protocol):
    """A network that is ready to run, and its card. Calls from several threads are safe."""

    name: str
    """As in :data:`graspling.backends.BACKENDS`."""
    precision: str
    """What it computes in: "fp32", "bf16" or "int8"."""
    why: str
    """Why this backend and no other, one line."""

    @property
    def card(self) -> Card: ...

    def run(self, tensor: NDArray[np.float32]) -> Maps:
        """(1, C, S, S) float32, prepared as the card says, to maps (4, S, S) in their ranges."""
        ...


def check_threads(threads: Any) -> int:
    """A number of threads that this machine has processors for, or InputError."""
    most = os.cpu_count() or 1
    try:
        count = operator.index(threads)
    except TypeError:
        raise InputError(f"threads is {threads!r}, expected a whole number") from None
    if not 1 <= count <= most:
        raise InputError(f"threads is {count}, expected 1 to {most}, the processors here")
    return count


def check_names_and_shape(
    path: Path, card: Card, inputs: Sequence[str], outputs: Sequence[str], shape: Sequence[object]
) -> None:
    """The network must take and give what its card says.

    Args:
        shape: of the input; what is not an int may be anything.

    Raises:
        InputError: it does not.
    """
    check_kind(path, card)
    if list(inputs) != ["image"] or "maps" not in outputs:
        raise InputError(f"{path}: expected the input 'image' and the output 'maps'")
    preparation = card.preparation
    expected = [1, preparation.channels, preparation.size, preparation.size]
    fits = len(shape) == 4 and all(
        have == want or not isinstance(have, int)
        for have, want in zip(shape, expected, strict=True)
    )
    if not fits:
        raise InputError(
            f"{path}: its card speaks of input {expected}, the network of {list(shape)}"
        )


def check_kind(path: Path, card: Card) -> None:
    """A backend runs networks of maps: others raise InputError."""
    if card.kind == "maps":
        return
    what = "a critic" if card.kind == "critic" else "a network of one grasp"
    hint = "; graspling export writes it as .onnx" if path.suffix == ".safetensors" else ""
    raise InputError(f"{path}: is {what}, expected a network that gives maps of grasps{hint}")


def check_maps(path: Path, card: Card, maps: NDArray[np.generic]) -> None:
    """What a network gives must be maps of the input's size, or InputError."""
    side = card.preparation.size
    if maps.shape != (4, side, side):
        raise InputError(
            f"{path}: gives maps of shape {maps.shape}, expected (4, {side}, {side}); "
            "export the model again"
        )


def no_card(path: Path) -> InputError:
    """The error for a file that says nothing of itself."""
    return InputError(
        f"{path}: carries no graspling card; expected a model from `graspling export`"
    )
