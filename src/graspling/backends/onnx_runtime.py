"""ONNX Runtime: on the processor in the base install, on NVIDIA cards where its build can."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.backends.apart import check_survival
from graspling.backends.base import Maps, check_maps, check_names_and_shape, no_card
from graspling.backends.files import read_vouched
from graspling.card import METADATA_KEY, Card
from graspling.errors import InputError

# By backend; where a provider cannot do a layer, the next one does it.
PROVIDERS = {
    "onnxruntime": ("CPUExecutionProvider",),
    "onnxruntime-cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "onnxruntime-tensorrt": (
        "TensorrtExecutionProvider",
        "CUDAExecutionProvider",
        "CPUExecutionProvider",
    ),
}


def import_onnxruntime() -> ModuleType:
    """ONNX Runtime, silent.

    From release 1.29 on its official builds start a thread at import that reports each model that
    is loaded to the maker. What a robot runs is its owner's business: unless ORT_DISABLE_TELEMETRY
    is set already, it is set here. (It counts only before the first import in a process.)
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime  # takes a while: only who runs a network waits for it

    if os.environ["ORT_DISABLE_TELEMETRY"] not in ("", "0"):
        onnxruntime.disable_telemetry_events()  # the switch of older builds
    module: ModuleType = onnxruntime
    return module


def available(name: str) -> bool:
    """Whether this build of ONNX Runtime has the provider of a backend."""
    return PROVIDERS[name][0] in import_onnxruntime().get_available_providers()


def open_session(
    path: Path, threads: int, providers: Sequence[str] = PROVIDERS["onnxruntime"]
) -> Any:
    """ONNX Runtime's session of a file that is the one its sidecar was written for, or that was
    run apart."""
    data, vouched = read_vouched(path)
    if not vouched:
        check_survival(path, "onnxruntime", data)
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # threads that wait for the next frame sleep instead of burning the processor
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 4  # what goes wrong is said below, in one line
    try:
        return runtime.InferenceSession(data, options, providers=list(providers))
    except Exception:  # its exception types are private
        raise InputError(
            f"{path}: is not an ONNX model that can be loaded; it may be damaged or cut off"
        ) from None


def card_text(session: Any, path: Path) -> str:
    """The text of the card inside; InputError where there is none, or names are no text."""
    try:
        metadata = session.get_modelmeta().custom_metadata_map
        for each in (*session.get_inputs(), *session.get_outputs()):
            _ = each.name
    except UnicodeDecodeError:
        raise InputError(f"{path}: holds names that are no text; it is damaged") from None
    if METADATA_KEY not in metadata:
        raise no_card(path)
    return str(metadata[METADATA_KEY])


def run_session(
    session: Any, path: Path, output: str, inputs: Mapping[str, NDArray[Any]]
) -> NDArray[Any]:
    """One output of a network, or InputError."""
    try:
        (found,) = session.run([output], dict(inputs))
    except Exception as error:  # its exception types are private
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: the network cannot be run: {reason}") from None
    return np.asarray(found)


class OnnxBackend:
    """A network in ONNX Runtime.

    Args:
        threads: for the network on the processor; 1 starts none beside the caller's.

    Raises:
        InputError: the file is missing, damaged, no ONNX, without a card, not what its card says,
            or not the one that its sidecar was written for; or this build lacks the provider.
    """

    def __init__(self, path: Path, *, threads: int = 1, name: str = "onnxruntime") -> None:
        runtime = import_onnxruntime()
        self.name, self.why = name, "asked for"
        self._path = path
        wanted = PROVIDERS[name]
        if wanted[0] not in runtime.get_available_providers():
            raise InputError(
                f"backend {name}: this build of ONNX Runtime has no {wanted[0]}; install "
                "onnxruntime-gpu in place of onnxruntime, or choose another backend "
                "(graspling doctor lists them)"
            )
        self._session = open_session(path, threads, wanted)
        if self._session.get_providers()[0] != wanted[0]:
            raise InputError(
                f"backend {name}: {wanted[0]} does not start here (driver or libraries missing); "
                "choose another backend"
            )
        self.card = Card.from_json(card_text(self._session, path), str(path))
        self.precision = self.card.precision
        inputs = self._session.get_inputs()
        names = [each.name for each in inputs]
        outputs = [output.name for output in self._session.get_outputs()]
        check_names_and_shape(path, self.card, names, outputs, inputs[0].shape if inputs else [])
        # Optional: switches the decoding inside the graph off, which costs time and is not used.
        optional = {each.name for each in self._session.get_overridable_initializers()}
        self._switches = {"decode": np.array(False)} if "decode" in optional else {}

    def run(self, tensor: NDArray[np.float32]) -> Maps:
        """See :class:`graspling.backends.Backend`."""
        inputs = {"image": tensor, **self._switches}
        maps = run_session(self._session, self._path, "maps", inputs)
        result = np.asarray(maps[0], dtype=np.float32)
        check_maps(self._path, self.card, result)
        return result
