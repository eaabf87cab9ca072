"""Exact rewrites of an ONNX graph that make it run faster in ONNX Runtime.

Each pass changes a model in place, leaves what it computes as it was (up to rounding) and skips
what it does not understand. Spatial sizes are static; the batch may be dynamic.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[Any]


def simplify(model: onnx.ModelProto) -> None:
    """Every pass of this module."""
    merge_heads(model)
    replace_transposed(model)
    replace_depth_to_space(model)
    replace_mish(model)
    strip(model)


def merge_heads(model: onnx.ModelProto) -> None:
    """Convolutions of one input that meet in one Concat over channels become one convolution."""
    graph = model.graph
    makers = {node.output[0]: node for node in graph.node}
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(output.name for output in graph.output)
    weights = _weights(graph)
    for concat in [n for n in graph.node if n.op_type == "Concat"]:
        heads = [makers[name] for name in concat.input if name in makers]
        if len(heads) < max(len(concat.input), 2) or _attributes(concat)["axis"] != 1:
            continue
        first = heads[0]
        alike = all(
            head.op_type == "Conv"
            and head.input[0] == first.input[0]
            and len(head.input) == len(first.input)
            and all(name in weights for name in head.input[1:])
            and _attributes(head) == _attributes(first)
            and _attributes(head).get("group", 1) == 1
            and weights[head.input[1]].shape[1:] == weights[first.input[1]].shape[1:]
            and readers[head.output[0]] == 1
            for head in heads
        )
        if not alike:
            continue
        merged = onnx.NodeProto()
        merged.CopyFrom(first)
        for slot in range(1, len(first.input)):
            joined = np.concatenate([weights[head.input[slot]] for head in heads])
            merged.input[slot] = _add(graph, f"{concat.name}_{slot}", joined)
        merged.output[0] = concat.output[0]
        _replace(graph, concat, [merged])
        for head in heads:
            graph.node.remove(head)


def replace_transposed(model: onnx.ModelProto) -> None:
    """Transposed convolutions become plain ones, with a depth-to-space where they enlarge.

    With stride s and a kernel of K, each of the s x s phases of the output is a convolution of
    the input with ceil(K / s) taps a side; a depth-to-space interleaves them, and a Slice drops
    what the padding of the original cuts off. A ReLU that follows is moved to the front, where
    ONNX Runtime fuses it with the convolution.
    """
    graph = model.graph
    weights, shapes = _weights(graph), _shapes(model)
    for node in [n for n in graph.node if n.op_type == "ConvTranspose"]:
        how = _attributes(node)
        step = how.get("strides", [1])[0]
        source, target = shapes.get(node.input[0]), shapes.get(node.output[0])
        if (
            how.get("group", 1) != 1
            or set(how.get("dilations", [1])) != {1}
            or set(how.get("strides", [1])) != {step}
            or any(name not in weights for name in node.input[1:])
            or source is None
            or target is None
        ):
            continue
        # Rows (and columns) of phases count from where the first tap alone meets the input;
        # those from `first` to `last` hold the output, which starts `skip` pixels after `first`.
        phases = _phases(weights[node.input[1]], step)
        before, after, skip = [], [], []
        for axis in (0, 1):
            cut = how.get("pads", [0, 0])[axis]
            first, last = cut // step, -(-(cut + target[2 + axis]) // step)
            before.append(phases.shape[2 + axis] - 1 - first)
            after.append(last - source[2 + axis])
            skip.append(cut - first * step)
        if min(before + after) < 0:
            continue

        name, output = node.name, node.output[0]
        inputs = [node.input[0], _add(graph, f"{name}_weight", phases)]
        if len(node.input) > 2:
            bias = np.repeat(weights[node.input[2]], step * step)
            inputs.append(_add(graph, f"{name}_bias", bias))
        chain = [helper.make_node("Conv", inputs, [output], name, pads=before + after)]
        if step > 1:
            stop = [start + side for start, side in zip(skip, target[2:], strict=True)]
            limits = {"from": skip, "to": stop, "axes": [2, 3]}
            chain += [
                helper.make_node(
                    "DepthToSpace", [""], [output], f"{name}_up", blocksize=step, mode="CRD"
                ),
                helper.make_node(
                    "Slice",
                    ["", *(_add(graph, f"{name}_{k}", np.array(v)) for k, v in limits.items())],
                    [output],
                    f"{name}_crop",
                ),
            ]
        readers = [n for n in graph.node if output in n.input]
        if len(readers) == 1 and readers[0].op_type == "Relu":
            graph.node.remove(readers[0])
            chain.insert(1, helper.make_node("Relu", [""], [output], f"{name}_relu"))
            chain[-1].output[0] = readers[0].output[0]
        _replace(graph, node, chain)


def _phases(kernel: Array, step: int) -> Array:
    """(in, out, K, L) of a transposed convolution to (out s s, in, ceil(K/s), ceil(L/s))."""
    inputs, outputs, height, width = kernel.shape
    rows, columns = -(-height // step), -(-width // step)
    padded = np.zeros((inputs, outputs, rows * step, columns * step), kernel.dtype)
    padded[:, :, :height, :width] = kernel
    split = padded.reshape(inputs, outputs, rows, step, columns, step)[:, :, ::-1, :, ::-1]
    return np.ascontiguousarray(
        split.transpose(1, 3, 5, 0, 2, 4).reshape(outputs * step * step, inputs, rows, columns)
    )


def replace_depth_to_space(model: onnx.ModelProto) -> None:
    """A depth-to-space (pixel shuffle) becomes two plain transpositions.

    First the columns of a block are woven in, then its rows: in ONNX Runtime 1.31 that takes half
    the time of its DepthToSpace or less.
    """
    graph = model.graph
    shapes = _shapes(model)
    for node in [n for n in graph.node if n.op_type == "DepthToSpace"]:
        how = _attributes(node)
        if node.output[0] not in shapes or how.get("mode") != b"CRD":
            continue
        step, name = how["blocksize"], node.name
        _, channels, tall, wide = shapes[node.output[0]]
        stages: list[tuple[str, Sequence[int]]] = [
            ("Reshape", (-1, step, tall // step, wide // step)),
            ("Transpose", (0, 2, 3, 1)),
            ("Reshape", (-1, step, tall // step, wide)),
            ("Transpose", (0, 2, 1, 3)),
            ("Reshape", (-1, channels, tall, wide)),
        ]
        chain = []
        for number, (kind, numbers) in enumerate(stages):
            label = f"{name}_{number}"
            if kind == "Transpose":
                chain.append(helper.make_node(kind, [""], node.output, label, perm=numbers))
            else:
                shape = _add(graph, f"{label}_shape", np.array(numbers))
                chain.append(helper.make_node(kind, ["", shape], node.output, label))
        chain[0].input[0] = node.input[0]
        _replace(graph, node, chain)


def replace_mish(model: onnx.ModelProto) -> None:
    """Mish, x tanh(log(1 + e^x)), becomes x n / (n + 2) with n = e^x (e^x + 2).

    In ONNX Runtime 1.31 a Mish is a Softplus, which takes ten times as long as all of this. Above
    20 both are x in single precision, and n must not leave the range of floats.
    """
    graph = model.graph
    for node in [n for n in graph.node if n.op_type == "Mish"]:
        (x,), (mish,) = node.input, node.output
        most = _add(graph, f"{mish}_most", np.array(20.0, np.float32))
        two = _add(graph, f"{mish}_two", np.array(2.0, np.float32))
        least, power, more, n, over, tanh = (f"{mish}_step{i}" for i in range(6))
        steps = [
            helper.make_node("Min", [x, most], [least]),
            helper.make_node("Exp", [least], [power]),
            helper.make_node("Add", [power, two], [more]),
            helper.make_node("Mul", [power, more], [n]),
            helper.make_node("Add", [n, two], [over]),
            helper.make_node("Div", [n, over], [tanh]),
            helper.make_node("Mul", [x, tanh], [mish]),
        ]
        _insert(graph, node, steps)


def strip(model: onnx.ModelProto) -> None:
    """Drop unused weights and everything that only tells how the graph came to be."""
    graph = model.graph
    used = {name for node in graph.node for name in node.input}
    kept = [weight for weight in graph.initializer if weight.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    for part in (graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    graph.ClearField("value_info")
    model.ClearField("metadata_props")
    model.ClearField("functions")


def _weights(graph: onnx.GraphProto) -> dict[str, Array]:
    return {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Shapes of the four-dimensional values whose channels, height and width are known."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    found = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shape = [side.dim_value for side in value.type.tensor_type.shape.dim]
        if len(shape) == 4 and all(shape[1:]):
            found[value.name] = shape
    return found


def _add(graph: onnx.GraphProto, name: str, array: Array) -> str:
    graph.initializer.append(numpy_helper.from_array(array, name))
    return name


def _replace(graph: onnx.GraphProto, old: onnx.NodeProto, chain: list[onnx.NodeProto]) -> None:
    """Put a chain of nodes, each of which reads the one before, in the place of a node."""
    for node, following in itertools.pairwise(chain):
        node.output[0] = f"{node.name}_out"
        following.input[0] = node.output[0]
    _insert(graph, old, chain)


def _insert(graph: onnx.GraphProto, old: onnx.NodeProto, new: list[onnx.NodeProto]) -> None:
    """Put nodes in the place of one."""
    place = list(graph.node).index(old)
    graph.node.remove(old)
    for offset, node in enumerate(new):
        graph.node.insert(place + offset, node)
