from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from graspling.onnx_graph import (
    merge_heads,
    replace_depth_to_space,
    replace_mish,
    replace_transposed,
    strip,
)

Pass = Callable[[onnx.ModelProto], None]


def model_of(
    nodes: list[onnx.NodeProto], channels: int, weights: dict[str, NDArray[Any]], size: int = 7
) -> onnx.ModelProto:
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", channels, size, size + 1])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    stored = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "test", [image], [result], stored)
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    return onnx.shape_inference.infer_shapes(model)


def check(model: onnx.ModelProto, change: Pass, *, channels: int, size: int = 7) -> list[str]:
    """The kinds of nodes after the change, which must not change the result."""
    image = np.random.default_rng(0).standard_normal((2, channels, size, size + 1))

    def run() -> NDArray[Any]:
        providers = ["CPUExecutionProvider"]
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=providers)
        result: NDArray[Any] = session.run(None, {"x": image.astype(np.float32)})[0]
        return result

    before = run()
    assert np.abs(before).max() > 0.1
    change(model)
    strip(model)
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_allclose(run(), before, atol=1e-5)
    return [node.op_type for node in model.graph.node]


def normal(*shape: int) -> NDArray[Any]:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "extra"),
    [
        *((3, 2, 1, 1), (5, 2, 2, 1), (9, 3, 3, 1)),  # GG-CNN
        *((4, 2, 1, 1), (4, 2, 2, 1), (9, 1, 4, 0)),  # GR-ConvNet
        *((2, 2, 0, 0), (4, 2, 1, 0), (3, 1, 0, 0), (2, 3, 0, 2), (6, 4, 5, 3), (3, 2, 0, 1)),
    ],
)
def test_transposed_convolutions_become_plain_ones(
    kernel: int, stride: int, padding: int, extra: int, relu: bool
) -> None:
    node = helper.make_node(
        "ConvTranspose",
        ["x", "w", "b"],
        ["z" if relu else "y"],
        "up",
        strides=[stride] * 2,
        pads=[padding] * 4,
        output_padding=[extra] * 2,
    )
    nodes = [node, helper.make_node("Relu", ["z"], ["y"])] if relu else [node]
    weights = {"w": normal(3, 5, kernel, kernel), "b": normal(5)}
    kinds = check(model_of(nodes, 3, weights), replace_transposed, channels=3)
    up = [] if stride == 1 else ["DepthToSpace", "Slice"]
    assert kinds == ["Conv", *["Relu"] * relu, *up]


def test_grouped_transposed_convolutions_stay() -> None:
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], "up", group=2)
    model = model_of([node], 4, {"w": normal(4, 3, 3, 3)})
    assert check(model, replace_transposed, channels=4) == ["ConvTranspose"]


@pytest.mark.parametrize(("step", "channels"), [(2, 8), (3, 9), (4, 32)])
def test_depth_to_space_becomes_two_transpositions(step: int, channels: int) -> None:
    node = helper.make_node("DepthToSpace", ["x"], ["y"], "up", blocksize=step, mode="CRD")
    kinds = check(model_of([node], channels, {}), replace_depth_to_space, channels=channels)
    assert kinds == ["Reshape", "Transpose", "Reshape", "Transpose", "Reshape"]


@pytest.mark.parametrize("scale", [1.0, 200.0])  # e^x of 200 and more is no float
def test_mish_does_without_softplus(scale: float) -> None:
    nodes = [
        helper.make_node("Mul", ["x", "scale"], ["z"]),
        helper.make_node("Mish", ["z"], ["y"]),
    ]
    model = model_of(nodes, 3, {"scale": np.array(scale, np.float32)})
    kinds = check(model, replace_mish, channels=3)
    assert kinds == ["Mul", "Min", "Exp", "Add", "Mul", "Add", "Div", "Mul"]


def heads(*, kernels: tuple[int, int] = (2, 2), axis: int = 1) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["x", f"w{i}", f"b{i}"], [f"h{i}"], f"head{i}") for i in range(2)
    ]
    nodes.append(helper.make_node("Concat", ["h1", "h0"], ["y"], "cat", axis=axis))
    weights = {f"w{i}": normal(1 + i * (axis == 1), 3, k, k) + i for i, k in enumerate(kernels)}
    weights |= {f"b{i}": normal(1 + i * (axis == 1)) for i in range(2)}
    return model_of(nodes, 3, weights)


def test_heads_are_merged_in_the_order_of_the_concat() -> None:
    assert check(heads(), merge_heads, channels=3) == ["Conv"]


def test_heads_that_are_not_joined_over_channels_stay() -> None:
    assert check(heads(axis=0), merge_heads, channels=3) == ["Conv", "Conv", "Concat"]


def test_strip_drops_what_is_not_read() -> None:
    model = model_of(
        [helper.make_node("Relu", ["x"], ["y"], doc_string="from line 3")], 1, {"unused": normal(9)}
    )
    helper.set_model_props(model, {"exporter": "notes"})
    strip(model)
    assert not model.graph.initializer
    assert not model.metadata_props
    assert not model.graph.node[0].doc_string
