"""ONNX files that are no maps: critics and networks of one grasp, checked when they are opened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from graspling import models
from graspling.backends.base import check_threads
from graspling.backends.files import sidecar_of
from graspling.backends.onnx_runtime import card_text, open_session, run_session
from graspling.card import Card
from graspling.errors import InputError

Arrays = Mapping[str, NDArray[np.float32]]
# What goes in and comes out, by the kind in the card.
INPUTS = {"critic": ("crop", "pose"), "grasp": ("image", "focal")}
OUTPUTS = {"critic": "robust", "grasp": "grasp"}
_ROW = {"critic": (), "grasp": (6,)}  # shape of the output, less its first axis


class Session:
    """A network in ONNX Runtime on the CPU.

    Args:
        name: shipped name or ``.onnx`` file.
        kind: "critic" or "grasp".
        threads: 1 starts none beside the caller's.

    Raises:
        InputError: no such model, damaged, replaced, or of another kind.
    """

    def __init__(self, name: str | Path, kind: str, *, threads: int = 1) -> None:
        if Path(name).suffix in (".xml", ".safetensors"):
            raise InputError(f"{name}: critics and networks of one grasp run as .onnx alone")
        path = Path(name) if Path(name).suffix == ".onnx" else models.path(str(name))
        count = check_threads(threads)
        self._path, self._kind = path, kind
        self._session = open_session(path, count)
        self.card = Card.from_json(card_text(self._session, path), str(path))
        inputs = tuple(each.name for each in self._session.get_inputs())
        outputs = tuple(each.name for each in self._session.get_outputs())
        if self.card.kind != kind:
            what = {"critic": "a critic", "grasp": "a network of one grasp", "maps": "one of maps"}
            found, wanted = (what.get(word, word) for word in (self.card.kind, kind))
            raise InputError(f"{path.stem}: is {found}, expected {wanted}")
        if inputs != INPUTS[kind] or OUTPUTS[kind] not in outputs:
            raise InputError(
                f"{path}: takes {', '.join(inputs)} and gives {', '.join(outputs)}, expected "
                f"{', '.join(INPUTS[kind])} and {OUTPUTS[kind]}"
            )

    def __call__(self, **inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The one output: probabilities (N,) of a critic, rows (N, 6) of grasps.

        Raises:
            InputError: the network cannot be run, or gives something else or no numbers.
        """
        result = run_session(self._session, self._path, OUTPUTS[self._kind], inputs)
        expected = (len(next(iter(inputs.values()))), *_ROW[self._kind])
        if result.shape != expected or result.dtype.kind != "f":
            raise InputError(
                f"{self._path}: gives {result.dtype} of shape {result.shape}, expected numbers "
                f"{expected}; export the model again"
            )
        if not np.isfinite(result).all():
            raise InputError(f"{self._path}: gives values that are no numbers; is it damaged?")
        return result.astype(np.float32)


def kind_of(name: str | Path) -> str:
    """ "maps", "critic" or "grasp": what an ONNX file or a shipped model says; "maps" where that
    cannot be told without PyTorch, or at all: whoever opens the file says what is wrong."""
    path = Path(name)
    if path.suffix != ".onnx":
        return models.card(str(name)).kind if models.full_name(str(name)) else "maps"
    try:
        sidecar = sidecar_of(path)
        text = (
            sidecar.read_text("utf-8")
            if sidecar.exists()
            else card_text(open_session(path, 1), path)
        )
        kind = json.loads(text)["kind"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "maps"
    return kind if kind in INPUTS else "maps"
