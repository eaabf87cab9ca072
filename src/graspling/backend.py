"""What runs a network: ONNX Runtime here, PyTorch in the lab. Both check what they load."""

from __future__ import annotations

import hashlib
import importlib
import json
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from graspling.card import METADATA_KEY, Card
from graspling.errors import InputError, MissingExtraError
from graspling.frames import read_bytes
from graspling.image import Preparation

Maps = NDArray[np.float32]


class Backend(Protocol):
    """A network that is ready to run, and its card."""

    @property
    def card(self) -> Card: ...

    def run(self, tensor: NDArray[np.float32]) -> Maps:
        """(1, C, S, S) float32, prepared as the card says, to maps (4, S, S) in their ranges."""
        ...


class OnnxBackend:
    """A network in ONNX Runtime on the CPU.

    Raises:
        InputError: the file is missing, damaged, no ONNX, without a card, not what its card says,
            or not the one that its sidecar was written for.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        import onnxruntime  # takes a while: only who runs a network waits for it

        data = read_bytes(path)
        _check_sidecar(path, data)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 4  # what goes wrong is said below, in one line
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
            raise InputError(
                f"{path}: carries no graspling card; expected a model from `graspling export`"
            )
        self.card = Card.from_json(metadata[METADATA_KEY], str(path))
        self._check_shapes(path, self.card.preparation)

    def run(self, tensor: NDArray[np.float32]) -> Maps:
        """See :class:`Backend`."""
        (maps,) = self._session.run(["maps"], {"image": tensor})
        return np.asarray(maps[0], dtype=np.float32)

    def _check_shapes(self, path: Path, preparation: Preparation) -> None:
        inputs = {i.name: i.shape for i in self._session.get_inputs()}
        outputs = {o.name for o in self._session.get_outputs()}
        if list(inputs) != ["image"] or "maps" not in outputs:
            raise InputError(f"{path}: expected the input 'image' and the output 'maps'")
        expected = [1, preparation.channels, preparation.size, preparation.size]
        shape = inputs["image"]
        fits = len(shape) == 4 and all(
            have == want or not isinstance(have, int)
            for have, want in zip(shape, expected, strict=True)
        )
        if not fits:
            raise InputError(f"{path}: its card speaks of input {expected}, the network of {shape}")


def _check_sidecar(path: Path, data: bytes) -> None:
    sidecar = path.with_suffix(".json")
    if not sidecar.exists():
        return
    try:
        expected = json.loads(sidecar.read_bytes())["sha256"]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{sidecar}: is not the sidecar of a model; remove or repair it") from None
    if hashlib.sha256(data).hexdigest() != expected:
        raise InputError(
            f"{path}: is not the file that {sidecar.name} describes (sha256 differs); "
            "it is damaged or was replaced: fetch or export it again"
        )


def torch_backend(path: Path, threads: int) -> Backend:
    """The lab's backend; looked up by name, since the runtime must not depend on the lab."""
    read_bytes(path)
    try:
        checkpoint = importlib.import_module("graspling.training.checkpoint")
    except ImportError as error:
        if error.name in ("torch", "safetensors"):
            raise MissingExtraError(error.name, "lab") from None
        raise
    backend: Backend = checkpoint.TorchBackend(path, threads=threads)
    return backend
