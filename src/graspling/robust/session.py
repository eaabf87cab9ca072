"""ONNX files that are no maps: critics and networks of one grasp, checked when they are opened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling import models
from graspling.backends.base import check_threads, no_card
from graspling.backends.files import read_model, sidecar_of
from graspling.backends.onnx_runtime import import_onnxruntime
from graspling.card import METADATA_KEY, Card
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
        self._session = _open(path, count)
        self.card = Card.from_json(_metadata(self._session, path), str(path))
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
        try:
            (found,) = self._session.run([OUTPUTS[self._kind]], dict(inputs))
        except Exception as error:  # its exception types are private
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{self._path}: the network cannot be run: {reason}") from None
        result = np.asarray(found)
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
        text = sidecar.read_text("utf-8") if sidecar.exists() else _metadata(_open(path, 1), path)
        kind = json.loads(text)["kind"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "maps"
    return kind if kind in INPUTS else "maps"


def _open(path: Path, threads: int) -> Any:
    """ONNX Runtime's session of a file that is the one its sidecar was written for."""
    data = read_model(path)
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception:  # its exception types are private
        raise InputError(
            f"{path}: is not an ONNX model that can be loaded; it may be damaged or cut off"
        ) from None


def _metadata(session: Any, path: Path) -> str:
    """The text of the card inside."""
    try:
        metadata = session.get_modelmeta().custom_metadata_map
        for each in (*session.get_inputs(), *session.get_outputs()):
            _ = each.name
    except UnicodeDecodeError:
        raise InputError(f"{path}: holds names that are no text; it is damaged") from None
    if METADATA_KEY not in metadata:
        raise no_card(path)
    return str(metadata[METADATA_KEY])
