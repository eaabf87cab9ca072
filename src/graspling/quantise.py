"""A network in another format or in fewer bits, by kept quantisers.

ONNX: the static quantiser of ONNX Runtime (QDQ nodes, one scale a channel). OpenVINO: NNCF. Both
look at prepared frames to see which values occur. What comes out carries the card.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from graspling.backends import openvino
from graspling.backends.onnx_runtime import import_onnxruntime
from graspling.card import METADATA_KEY, Card
from graspling.errors import GrasplingError, MissingExtraError
from graspling.onnx_decode import add_decoding

Tensors = Sequence[NDArray[np.float32]]
# What a processor does in integers; the rest stays in floats.
_LAYERS = ["Conv", "Add", "Concat", "MaxPool", "Relu"]


def with_card(data: bytes, card: Card) -> bytes:
    """An ONNX file with this card in place of its own, decoding inside."""
    model = onnx.load_model_from_string(data)
    add_decoding(model, card.preparation.size, card.decoding)
    onnx.helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    result: bytes = model.SerializeToString()
    return result


def maps_alone(data: bytes) -> bytes:
    """An ONNX file without what follows its maps: decoding does not concern a quantiser."""
    model = onnx.load_model_from_string(data)
    graph = model.graph
    wanted = {"maps"}
    kept = []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            kept.append(node)
            wanted.update(node.input)
    weights = [weight for weight in graph.initializer if weight.name in wanted]
    inputs = [each for each in graph.input if each.name == "image"]
    outputs = [each for each in graph.output if each.name == "maps"]
    for field, values in (
        (graph.node, kept[::-1]),
        (graph.initializer, weights),
        (graph.input, inputs),
        (graph.output, outputs),
    ):
        del field[:]
        field.extend(values)
    result: bytes = model.SerializeToString()
    return result


def quantise_onnx(data: bytes, tensors: Tensors, path: Path) -> None:
    """Write an ONNX network (its maps alone) in int8.

    Args:
        data: the network in floats.
        tensors: prepared frames (C, S, S), whose values set the scales.

    Raises:
        GrasplingError: the quantiser cannot take this network.
    """
    import_onnxruntime()
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = iter(tensors)

        def get_next(self) -> dict[str, Any] | None:
            tensor = next(self._left, None)
            return None if tensor is None else {"image": tensor[None]}

    model = onnx.load_model_from_string(data)
    with _quiet():
        try:
            quantization.quantize_static(
                model,
                str(path),
                Reader(),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=_LAYERS,
                per_channel=True,
                # without VNNI the sum of two products of 8 bits each overflows 16 bits
                reduce_range=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                nodes_to_exclude=_ends([n.name for n in model.graph.node if n.op_type == "Conv"]),
                calibrate_method=quantization.CalibrationMethod.MinMax,
            )
        except Exception as error:  # it raises what its parts raise
            raise _no(error) from None


def write_openvino(data: bytes, card: Card, path: Path, tensors: Tensors | None = None) -> None:
    """Write an ONNX network as OpenVINO's .xml and .bin; with prepared frames, in int8.

    Raises:
        GrasplingError: OpenVINO or its quantiser cannot take this network.
        MissingExtraError: OpenVINO, or NNCF for int8, is not installed.
    """
    core = openvino.core()
    import openvino as runtime

    try:
        model = core.read_model(maps_alone(data))
        side = card.preparation.size
        model.reshape([1, card.preparation.channels, side, side])
        if tensors is not None:
            nncf = _nncf()
            layers = [op for op in model.get_ordered_ops() if "Convolution" in op.get_type_name()]
            ends = _ends([layer.get_friendly_name() for layer in layers])
            with _quiet():
                model = nncf.quantize(
                    model,
                    nncf.Dataset([tensor[None] for tensor in tensors]),
                    preset=nncf.QuantizationPreset.MIXED,
                    subset_size=len(tensors),
                    ignored_scope=nncf.IgnoredScope(names=ends),
                )
        model.set_rt_info(card.to_json(), ["framework", METADATA_KEY])
        runtime.save_model(model, str(path), compress_to_fp16=False)
    except GrasplingError:
        raise
    except Exception as error:  # C++ errors come as RuntimeError
        raise _no(error) from None


def _ends(convolutions: Sequence[str]) -> list[str]:
    """The first and the last: one sees the image and one says the maps, and 8 bits of either cost
    accuracy (8 points for depth) and save next to nothing."""
    return [*convolutions[:1], *convolutions[-1:]]


def _nncf() -> Any:
    os.environ.setdefault("NNCF_CI", "1")  # no report of its use is sent
    try:
        import nncf
    except ImportError:
        raise MissingExtraError("nncf", "quantise") from None
    return nncf


def _no(error: Exception) -> GrasplingError:
    reason = " ".join(str(error).split())[:200]
    return GrasplingError(f"this network cannot be converted: {reason}; nothing was written")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantisers' remarks to themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
