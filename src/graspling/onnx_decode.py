"""Decoding as part of an ONNX graph, for programs that have ONNX Runtime and nothing else.

The output "grasps" (N, K, 6) holds the best K grasps of each image, best first: u, v, angle, width,
jaw, quality in pixels of the input; rows with quality 0 are empty. It follows
:func:`graspling.maps.decode`, the reference, but for one thing: the centre of a peak is the
centroid of the pixels within 10 % of it that lie within ``Decoding.distance``, while the reference
follows connected pixels as far as they go. On a long ridge the reference therefore names one grasp
in its middle, and the graph the highest point first; on a plateau of equal quality that is wider
than that, it names the upper edge, and one of more than 32 pixels can hide lesser grasps.

The optional input "decode" (true by default) switches it off: the graph then gives maps alone, and
no time is spent.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

from graspling.maps import Decoding

GRASPS = 10
_CANDIDATES = 32  # peaks among which the distinct grasps are looked for
_ROUNDS = 8  # of the suppression; each settles one more link of a chain of neighbours
_TOLERANCE = 0.1  # of a peak: what differs less belongs to it


def add_decoding(model: onnx.ModelProto, size: int, decoding: Decoding | None = None) -> None:
    """Give a model with the output "maps" (N, 4, size, size) the output "grasps", in place.

    A model that has it already, whose maps hold too few pixels or that speaks an older operator set
    than 18 stays as it is.
    """
    graph = model.graph
    old = any(each.domain in ("", "ai.onnx") and each.version < 18 for each in model.opset_import)
    there = any(output.name == "grasps" for output in graph.output)
    if old or there or size**2 < _CANDIDATES:
        return
    branch = _Branch()
    found = _decode(branch, size, decoding or Decoding())
    inside = helper.make_graph(branch.nodes, "decoding", [], [_rows("grasps_inside")])
    inside.node.append(helper.make_node("Identity", [found], ["grasps_inside"]))
    inside.initializer.extend(branch.constants)
    nothing = numpy_helper.from_array(np.zeros((0, GRASPS, 6), np.float32), "grasps_none")
    outside = helper.make_graph(
        [helper.make_node("Constant", [], ["grasps_outside"], value=nothing)],
        "nothing",
        [],
        [_rows("grasps_outside")],
    )
    graph.node.append(
        helper.make_node(
            "If", ["decode"], ["grasps"], "decode", then_branch=inside, else_branch=outside
        )
    )
    graph.input.append(helper.make_tensor_value_info("decode", TensorProto.BOOL, []))
    graph.initializer.append(numpy_helper.from_array(np.array(True), "decode"))
    graph.output.append(_rows("grasps"))


def _rows(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, GRASPS, 6])


class _Branch:
    """Nodes of a graph, written as calls."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def const(self, value: ArrayLike, kind: Any = np.float32) -> str:
        name = f"decode_c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def ints(self, *values: int) -> str:
        return self.const(values, np.int64)

    def __call__(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        names = [f"decode_v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0] if outputs == 1 else names


def _decode(op: _Branch, size: int, how: Decoding) -> str:
    """Nodes from "maps" to (N, K, 6)."""
    flat = op("Reshape", "maps", op.ints(0, 4, size * size))
    channels = op("Split", flat, axis=1, num_outputs=4, outputs=4)
    channels = [op("Squeeze", channel, op.ints(1)) for channel in channels]  # (N, S S) each
    if how.certain:
        channels[0] = _certain(op, *channels[:3])
    smooth = _smooth(op, op("Reshape", channels[0], op.ints(0, 1, size, size)), size, how.sigma)
    highest = op("MaxPool", smooth, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    peaks = op("Where", op("GreaterOrEqual", smooth, highest), smooth, op.const(0))
    smooth = op("Reshape", smooth, op.ints(0, size * size))
    peaks = op("Reshape", peaks, op.ints(0, size * size))
    height, place = op("TopK", peaks, op.ints(_CANDIDATES), axis=1, outputs=2)
    row = op("Div", place, op.ints(size))
    v = op("Cast", row, to=TensorProto.FLOAT)
    u = op("Cast", op("Sub", place, op("Mul", row, op.ints(size))), to=TensorProto.FLOAT)

    limit = how.distance * size
    u, v = _centroid(op, smooth, height, u, v, size, limit)
    angle, width = _means(op, channels, u, v, size, how.sigma)
    same = _same(op, u, v, angle, height, limit, math.radians(how.angle_deg))
    kept = _first_of_each(op, same, height)

    quality, best = op(
        "TopK", op("Mul", height, kept), op.ints(GRASPS), axis=1, sorted=1, outputs=2
    )
    columns = [op("GatherElements", column, best, axis=1) for column in (u, v, angle, width)]
    columns += [op("Mul", columns[3], op.const(0.5)), quality]
    return str(op("Concat", *(op("Unsqueeze", c, op.ints(2)) for c in columns), axis=2))


def _certain(op: _Branch, quality: str, cos: str, sin: str) -> str:
    """See :func:`graspling.maps.weigh_certainty`."""
    length = op("Add", op("Mul", cos, cos), op("Mul", sin, sin))
    weight = op("Min", length, op.const(1))
    for _ in range(3):  # of the square of the length
        weight = op("Sqrt", weight)
    return str(op("Mul", quality, weight))


def _smooth(op: _Branch, quality: str, size: int, sigma: float) -> str:
    """OpenCV's Gaussian of (N, 1, S, S), the border mirrored with its edge repeated."""
    reach = round(sigma * 4 * 2 + 1) | 1
    reach //= 2
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    mirrored = np.pad(np.arange(size), reach, mode="symmetric") if reach <= size else None
    if mirrored is None:
        mirrored = np.clip(np.arange(-reach, size + reach), 0, size - 1)
    indices = op.const(mirrored, np.int64)
    for axis, shape in ((2, (1, 1, -1, 1)), (3, (1, 1, 1, -1))):
        quality = op("Gather", quality, indices, axis=axis)
        quality = op("Conv", quality, op.const(kernel.reshape(shape)))
    return quality


def _window(op: _Branch, u: str, v: str, du: Any, dv: Any, size: int) -> tuple[str, str]:
    """Flat places (N, M P) of P neighbours of M pixels, and which are in the image (N, M, P)."""
    low, high = op.const(0), op.const(size - 1)
    columns = op("Add", op("Unsqueeze", u, op.ints(2)), op.const(du))
    rows = op("Add", op("Unsqueeze", v, op.ints(2)), op.const(dv))
    at_u, at_v = op("Clip", columns, low, high), op("Clip", rows, low, high)
    inside = op("And", op("Equal", at_u, columns), op("Equal", at_v, rows))
    place = op("Add", op("Mul", at_v, op.const(size)), at_u)
    place = op("Cast", place, to=TensorProto.INT64)
    return op("Reshape", place, op.ints(0, -1)), inside


def _look(op: _Branch, channel: str, place: str, count: int) -> str:
    """Values of a flat map (N, S S) at (N, M P) places, as (N, M, P)."""
    values = op("GatherElements", channel, place, axis=1)
    return str(op("Reshape", values, op.ints(0, -1, count)))


def _centroid(
    op: _Branch, smooth: str, height: str, u: str, v: str, size: int, limit: float
) -> tuple[str, str]:
    """Centres (N, M) of what belongs to each peak; the peak itself where that misses it."""
    reach = max(int(limit), 1)
    dv, du = (grid.ravel() for grid in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    near = np.hypot(du, dv) <= max(limit, 1.0)
    du, dv = du[near], dv[near]
    allowed = op("Mul", height, op.const(_TOLERANCE))
    place, inside = _window(op, u, v, du, dv, size)
    values = _look(op, smooth, place, len(du))
    alike = op(
        "LessOrEqual",
        op("Abs", op("Sub", values, op("Unsqueeze", height, op.ints(2)))),
        op("Unsqueeze", allowed, op.ints(2)),
    )
    part = op("Cast", op("And", alike, inside), to=TensorProto.FLOAT)
    total = op("ReduceSum", part, op.ints(2), keepdims=0)
    total = op("Max", total, op.const(1))
    moved = []
    for start, offset in ((u, du), (v, dv)):
        pull = op("ReduceSum", op("Mul", part, op.const(offset)), op.ints(2), keepdims=0)
        moved.append(op("Add", start, op("Div", pull, total)))
    at_u, at_v = (op("Round", coordinate) for coordinate in moved)
    place, _ = _window(op, at_u, at_v, [0], [0], size)
    there = op("GatherElements", smooth, place, axis=1)
    belongs = op("LessOrEqual", op("Abs", op("Sub", there, height)), allowed)
    return op("Where", belongs, moved[0], u), op("Where", belongs, moved[1], v)


def _means(
    op: _Branch, channels: list[str], u: str, v: str, size: int, sigma: float
) -> tuple[str, str]:
    """Angle and width (N, M) around pixels: Gaussian means weighted by quality."""
    reach = math.ceil(3 * sigma)
    dv, du = (grid.ravel() for grid in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    kernel = np.exp(-0.5 * (du**2 + dv**2) / sigma**2)
    place, inside = _window(op, op("Round", u), op("Round", v), du, dv, size)
    weight = op("Max", _look(op, channels[0], place, len(du)), op.const(1e-6))
    weight = op("Mul", weight, op.const(kernel))
    weight = op("Mul", weight, op("Cast", inside, to=TensorProto.FLOAT))
    total = op("ReduceSum", weight, op.ints(2), keepdims=0)
    cos, sin, width = (
        op(
            "Div",
            op(
                "ReduceSum",
                op("Mul", _look(op, channel, place, len(du)), weight),
                op.ints(2),
                keepdims=0,
            ),
            total,
        )
        for channel in channels[1:]
    )
    width = op("Max", op("Mul", width, op.const(size)), op.const(1))
    return _half_angle(op, cos, sin), width


def _half_angle(op: _Branch, cos: str, sin: str) -> str:
    """atan2(sin, cos) / 2, from the tangent of half an angle; ONNX has no atan2."""
    tiny = op.const(1e-12)
    radius = op("Sqrt", op("Add", op("Mul", cos, cos), op("Mul", sin, sin)))
    right = op("Div", sin, op("Max", op("Add", radius, cos), tiny))
    # Left of the axis the other form of the same tangent does not cancel.
    size = op("Max", op("Abs", sin), tiny)
    sign = op("Where", op("Less", sin, op.const(0)), op.const(-1), op.const(1))
    left = op("Mul", sign, op("Div", op("Sub", radius, cos), size))
    return str(op("Atan", op("Where", op("Less", cos, op.const(0)), left, right)))


def _same(op: _Branch, u: str, v: str, angle: str, height: str, limit: float, turn: float) -> str:
    """(N, M, M): 1 where the later of two candidates is the earlier one again, else 0."""

    def differences(column: str) -> str:
        return str(
            op("Sub", op("Unsqueeze", column, op.ints(2)), op("Unsqueeze", column, op.ints(1)))
        )

    du, dv = differences(u), differences(v)
    near = op("Less", op("Add", op("Mul", du, du), op("Mul", dv, dv)), op.const(limit**2))
    turned = op("Abs", differences(angle))
    turned = op("Min", turned, op("Sub", op.const(math.pi), turned))
    part = op(
        "GreaterOrEqual",
        op("Unsqueeze", height, op.ints(1)),
        op("Mul", op("Unsqueeze", height, op.ints(2)), op.const(1 - _TOLERANCE)),
    )
    same = op("And", near, op("Or", op("Less", turned, op.const(turn)), part))
    later = np.triu(np.ones((_CANDIDATES, _CANDIDATES)), 1)
    return str(op("Mul", op("Cast", same, to=TensorProto.FLOAT), op.const(later)))


def _first_of_each(op: _Branch, same: str, height: str) -> str:
    """(N, M): 1 for candidates that no better one that is kept makes superfluous, else 0."""
    kept = op("Cast", op("Greater", height, op.const(0)), to=TensorProto.FLOAT)
    alive = kept
    for _ in range(_ROUNDS):
        by = op(
            "ReduceMax", op("Mul", same, op("Unsqueeze", kept, op.ints(2))), op.ints(1), keepdims=0
        )
        kept = op("Mul", alive, op("Sub", op.const(1), by))
    return str(kept)
