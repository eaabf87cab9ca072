"""OpenVINO (extra): often the fastest on x86 processors; fp32, bf16 and int8."""

from __future__ import annotations

import threading
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.backends.apart import check_survival
from graspling.backends.base import Maps, check_maps, check_names_and_shape, no_card
from graspling.backends.files import read_vouched, weights_of
from graspling.card import METADATA_KEY, Card
from graspling.errors import InputError, MissingExtraError

_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}  # int8: of the layers left in floats


def installed() -> bool:
    """Whether the extra is there; costs nothing."""
    return find_spec("openvino") is not None


@cache
def core() -> Any:
    """OpenVINO's entry point."""
    try:
        import openvino
    except ImportError:
        raise MissingExtraError("openvino", "openvino") from None
    return openvino.Core()


def has_bf16() -> bool:
    """Whether this processor computes in bf16."""
    return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoBackend:
    """A network in OpenVINO, from an ONNX file or from OpenVINO's own .xml and .bin.

    Args:
        threads: for the network.
        precision: "fp32" or "bf16"; by default what the card says. OpenVINO alone would take bf16
            wherever the processor has it.

    Raises:
        InputError: as for ONNX Runtime, or a precision that this processor or file does not have.
        MissingExtraError: OpenVINO is not installed.
    """

    name = "openvino"

    def __init__(self, path: Path, *, threads: int = 1, precision: str | None = None) -> None:
        runtime = core()
        self.why = "asked for"
        self._path = path
        data, vouched = read_vouched(path)
        if not vouched:
            check_survival(path, "openvino", data)
        try:
            if path.suffix == ".xml":
                model = runtime.read_model(str(path), str(weights_of(path)))
            else:
                model = runtime.read_model(data)
            section = model.rt_info["framework"]
            text = section[METADATA_KEY].astype(str) if METADATA_KEY in section else None
        except Exception:  # RuntimeError with pages of C++
            raise InputError(
                f"{path}: is not a model that OpenVINO can load; it may be damaged or cut off"
            ) from None
        if text is None:
            raise no_card(path)
        self.card = Card.from_json(text, str(path))
        self.precision = self._precision(precision)
        for result in model.get_results():
            if "maps" not in result.output(0).get_names() and len(model.get_results()) > 1:
                model.remove_result(result)  # what only leads there is not computed
        names = [each.get_any_name() for each in model.inputs]
        outputs = [name for each in model.outputs for name in each.get_names()]
        shape = [
            side.get_length() if side.is_static else None
            for side in (model.inputs[0].get_partial_shape() if model.inputs else [])
        ]
        check_names_and_shape(path, self.card, names, outputs, shape)
        side = self.card.preparation.size
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": _HINTS[self.precision],
            "ENABLE_CPU_PINNING": False,  # where threads run is the user's decision
        }
        try:
            model.reshape([1, self.card.preparation.channels, side, side])
            self._compiled = runtime.compile_model(model, "CPU", settings)
        except Exception:
            raise InputError(
                f"{path}: OpenVINO cannot run this network; try another backend"
            ) from None
        self._requests = threading.local()  # a request serves one thread

    def _precision(self, wanted: str | None) -> str:
        precision = wanted or self.card.precision
        if precision != self.card.precision and "int8" in (precision, self.card.precision):
            raise InputError(
                f"{self._path}: holds a network in {self.card.precision}, not in {precision}; "
                f"graspling export --precision {precision} makes one"
            )
        if precision == "bf16" and not has_bf16():
            raise InputError("precision bf16: this processor does not compute in bf16; use fp32")
        return precision

    def run(self, tensor: NDArray[np.float32]) -> Maps:
        """See :class:`graspling.backends.Backend`."""
        request = getattr(self._requests, "request", None)
        if request is None:
            request = self._requests.request = self._compiled.create_infer_request()
        request.infer({"image": np.ascontiguousarray(tensor)}, share_inputs=True)
        # a copy: the request writes over its own memory with the next frame
        result = np.array(request.get_tensor("maps").data[0], dtype=np.float32)
        check_maps(self._path, self.card, result)
        return result
