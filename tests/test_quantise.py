"""What goes into 8 bits and what stays in floats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("torch")  # the quantiser is part of the lab

from graspling import models
from graspling.quantise import maps_alone, quantise_onnx


def test_all_but_the_first_and_the_last_convolution_are_in_8_bits(tmp_path: Path) -> None:
    data = maps_alone(models.path("graspling_s-generated-depth").read_bytes())
    rng = np.random.default_rng(0)
    frames = [rng.normal(size=(1, 224, 224)).astype(np.float32) for _ in range(2)]
    quantise_onnx(data, frames, tmp_path / "int8.onnx")

    graph = onnx.load(tmp_path / "int8.onnx").graph
    dequantised = {
        node.output[0]: node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"
    }
    kinds = {weight.name: weight.data_type for weight in graph.initializer}
    weights = [
        kinds[dequantised.get(node.input[1], node.input[1])]
        for node in graph.node
        if node.op_type == "Conv"
    ]
    assert len(weights) == 23
    assert {weights[0], weights[-1]} == {onnx.TensorProto.FLOAT}
    assert set(weights[1:-1]) == {onnx.TensorProto.INT8}
