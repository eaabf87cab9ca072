"""ONNX files that are no maps: critics and networks of one grasp, checked when they are opened."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from graspling import models
from graspling.card import METADATA_KEY, Card
from graspling.errors import InputError
from graspling.frames import read_bytes

Arrays = Mapping[str, NDArray[np.float32]]
# What goes in and comes out, by the kind in the card.
INPUTS = {"critic": ("crop", "pose"), "grasp": ("image", "focal")}
OUTPUTS = {"critic": "robust", "grasp": "grasp"}


class Session:
    """A network in ONNX Runtime on the CPU.

    Args:
        name: shipped name or ``.onnx`` file.
        kind: "critic" or "grasp".

    Raises:
        InputError: no such model, damaged, replaced, or of another kind.
    """

    def __init__(self, name: str | Path, kind: str, *, threads: int = 1) -> None:
        import onnxruntime  # takes a while: only who runs a network waits for it

        path = Path(name) if Path(name).suffix == ".onnx" else models.path(str(name))
        data = read_bytes(path)
        sidecar = path.with_suffix(".json")
        if sidecar.exists():
            expected = json.loads(sidecar.read_text(encoding="utf-8")).get("sha256")
            if hashlib.sha256(data).hexdigest() != expected:
                raise InputError(f"{path}: is not the file that {sidecar.name} describes")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"]
            )
        except Exception:  # its exception types are private
            raise InputError(
                f"{path}: is not an ONNX model that can be loaded; it may be damaged or cut off"
            ) from None
        metadata = self._session.get_modelmeta().custom_metadata_map
        if METADATA_KEY not in metadata:
            raise InputError(f"{path}: carries no graspling card; expected an exported model")
        self.card = Card.from_json(metadata[METADATA_KEY], str(path))
        inputs = tuple(i.name for i in self._session.get_inputs())
        if self.card.kind != kind or inputs != INPUTS[kind]:
            raise InputError(
                f"{path}: is a model of {self.card.kind}, expected a {kind}"
                + (" (GQ-CNN)" if kind == "critic" else "")
            )
        self._output = OUTPUTS[kind]

    def __call__(self, **inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The one output."""
        (found,) = self._session.run([self._output], inputs)
        return np.asarray(found, np.float32)


def kind_of(name: str | Path) -> str:
    """ "maps", "critic" or "grasp": what an ONNX file or a shipped model says; "maps" where that
    cannot be told without PyTorch."""
    path = Path(name)
    if path.suffix == ".onnx":
        sidecar = path.with_suffix(".json")
        if not sidecar.exists():
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4
            try:
                session = onnxruntime.InferenceSession(
                    read_bytes(path), options, providers=["CPUExecutionProvider"]
                )
            except Exception:
                return "maps"  # whoever opens it says what is wrong
            text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY, "{}")
            return str(json.loads(text).get("kind", "maps"))
        return str(json.loads(sidecar.read_text(encoding="utf-8")).get("kind", "maps"))
    return models.card(str(name)).kind if str(name) in models.shipped() else "maps"
