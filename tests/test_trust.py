"""Whatever is handed in, the answer is grasps made of numbers, or one line that says why not."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from tiny_model import tiny_card, tiny_onnx

from graspling import models
from graspling.backends import apart
from graspling.detector import Detector, load
from graspling.errors import GrasplingError, InputError
from graspling.grasps import Grasps

ROUNDS = [
    pytest.param(60, id="some"),
    pytest.param(10_000, id="all", marks=pytest.mark.slow),
]


def in_order(grasps: Grasps) -> None:
    for column in grasps.columns:
        assert np.isfinite(column).all()


def one_line(error: GrasplingError) -> None:
    assert str(error) and "\n" not in str(error)


def odd_rgb(random: np.random.Generator) -> object:
    height, width = (int(x) for x in random.integers(1, 90, 2))
    image = random.integers(0, 256, (height, width, 3)).astype(np.uint8)
    kinds = [
        lambda: image,
        lambda: np.full_like(image, random.integers(0, 256)),
        lambda: image.astype(random.choice(["float32", "uint16", "int64", "bool", "object"])),
        lambda: image[..., : random.integers(0, 3)],
        lambda: image[: random.integers(0, 2)],
        lambda: image[::-2, ::3],
        lambda: None,
        lambda: random.choice(["", "abc"]),
        lambda: [[1, 2], [3]],
        lambda: image.tobytes(),
    ]
    return kinds[int(random.choice(len(kinds), p=[0.4, 0.15, *[0.45 / 8] * 8]))]()


def odd_depth(random: np.random.Generator, rgb: object) -> object:
    shape = rgb.shape[:2] if isinstance(rgb, np.ndarray) and rgb.ndim == 3 else (60, 80)
    depth = random.normal(0.7, 0.05, shape).astype(random.choice(["float32", "float64", "float16"]))
    bad = [np.nan, np.inf, -np.inf, 0, -1, 1e30, -1e30, 1e-30, 3e38]
    for value in random.choice(bad, random.integers(0, 4)):
        with np.errstate(over="ignore"):
            depth[random.random(shape) < random.choice([0.01, 0.3, 1.0])] = value
    kinds = [
        lambda: depth,
        lambda: np.nan_to_num(depth).astype(np.int32),
        lambda: depth[:-1],
        lambda: None,
    ]
    with np.errstate(invalid="ignore"):
        return kinds[int(random.choice(4, p=[0.85, 0.05, 0.05, 0.05]))]()


def odd_options(random: np.random.Generator) -> dict[str, object]:
    options: dict[str, object] = {"top": int(random.integers(1, 40)), "threshold": 0.0}
    if random.random() < 0.3:
        options["roi"] = random.choice([-1e9, 0, 3, 20.5, 60, 1e9, np.nan, np.inf], 4).tolist()
    if random.random() < 0.2:
        options["mask"] = random.random((60, 80)) < random.random()
    if random.random() < 0.1:
        options["threshold"] = float(random.choice([-1, 0.5, 1, np.nan]))
    return options


@pytest.mark.parametrize("rounds", ROUNDS)
def test_frames(tmp_path: Path, rounds: int) -> None:
    detectors = [
        load(tiny_onnx(tmp_path / f"{m}.onnx", tiny_card(m)), backend="onnxruntime")
        for m in ("rgb", "depth", "rgbd")
    ]
    answered = 0
    for seed in range(rounds):
        random = np.random.default_rng(seed)
        rgb = odd_rgb(random)
        depth = odd_depth(random, rgb)
        detector: Detector = detectors[seed % 3]
        try:
            detection = detector.run(rgb, depth, **odd_options(random))  # type: ignore[arg-type]
        except GrasplingError as error:
            one_line(error)
        else:
            in_order(detection.grasps)
            answered += 1
    assert answered > rounds / 5  # not everything is refused


def mutated(data: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(int(random.integers(1, 6))):
        place = int(random.integers(0, len(changed)))
        kind = random.integers(0, 5)
        if kind == 0:
            changed[place] ^= 1 << int(random.integers(0, 8))
        elif kind == 1:
            changed[place : place + 8] = random.bytes(8)
        elif kind == 2:
            del changed[place : place + int(random.integers(1, 64))]
        elif kind == 3:
            changed[place:place] = random.bytes(int(random.integers(1, 64)))
        elif len(changed) > 2:
            del changed[max(place, 1) :]
        changed = changed or bytearray(b"\0")
    return bytes(changed)


def try_model(path: Path, rgb: np.ndarray, depth: np.ndarray) -> None:
    try:
        in_order(load(path).detect(rgb, depth, top=5, threshold=0.0))
    except GrasplingError as error:
        one_line(error)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_model_files(tmp_path: Path, rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graspling.backends.choose.candidates", lambda: ("onnxruntime",))
    random = np.random.default_rng(0)
    rgb = random.integers(0, 256, (48, 64, 3)).astype(np.uint8)
    depth = random.normal(0.7, 0.05, (48, 64)).astype(np.float32)
    whole = tiny_onnx(tmp_path / "whole.onnx", tiny_card("rgbd")).read_bytes()
    text = tiny_card("rgbd").to_json()
    for seed in range(rounds):
        random = np.random.default_rng(seed)
        kind = seed % 4
        if kind == 0:  # the card alone
            damaged = mutated(text.encode(), random).decode("latin-1")
            path = tiny_onnx(tmp_path / "m.onnx", metadata=damaged, channels=4)
        elif kind == 1:
            header = json.dumps({"__metadata__": {"graspling": text}}).encode()
            path = tmp_path / "m.safetensors"
            path.write_bytes(mutated(len(header).to_bytes(8, "little") + header, random))
        else:
            path = tmp_path / "m.onnx"
            path.write_bytes(mutated(whole, random))
        try_model(path, rgb, depth)


# ---- graphs that are whole files but no networks ---------------------------------------------


SHIPPED = "graspling_s-generated-depth"
NUMBERS = (0, -1, 1, 2, 7, 10**6, 2**31 - 1, -(2**31), 2**62)
OPERATORS = ("Conv", "ConvTranspose", "Max", "Concat", "Split", "Reshape", "Pad", "Gather", "LSTM")


def nodes_of(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Those of the graph, then those of the graphs inside."""
    nodes = list(model.graph.node)
    inside = [each.g for node in nodes for each in node.attribute if each.HasField("g")]
    return nodes + [node for graph in inside for node in graph.node]


def known_killers() -> Iterator[bytes]:
    """Each of these ends the process that runs it, with one runtime or the other."""
    for operator, change in (
        ("Max", lambda node: node.input.__setitem__(-1, "")),
        ("Relu", lambda node: setattr(node, "op_type", "Conv")),
        ("Split", lambda node: setattr(node.attribute[-1], "i", 1)),  # of how many there are
    ):
        model = onnx.load_model_from_string(models.path(SHIPPED).read_bytes())
        for node in [node for node in nodes_of(model) if node.op_type == operator][:1]:
            change(node)
            yield model.SerializeToString()


def restructured(data: bytes, random: np.random.Generator) -> bytes:
    """A file of one node that lost an input, is of another kind or has another attribute, or of
    weights of another shape."""
    model = onnx.load_model_from_string(data)
    nodes = nodes_of(model)
    kind = int(random.integers(0, 5))
    number = int(random.choice(NUMBERS))
    node = nodes[int(random.integers(len(nodes)))]
    if kind == 0 and node.input:
        node.input[int(random.integers(len(node.input)))] = ""
    elif kind == 1 and node.input:
        del node.input[int(random.integers(len(node.input)))]
    elif kind == 2:
        node.op_type = str(random.choice(OPERATORS))
    elif kind == 3:
        values = [each for node in nodes for each in node.attribute if each.HasField("i")]
        lists = [each.ints for node in nodes for each in node.attribute if each.ints]
        if random.random() < 0.5:
            values[int(random.integers(len(values)))].i = number
        else:
            numbers = lists[int(random.integers(len(lists)))]
            numbers[int(random.integers(len(numbers)))] = number
    else:
        sized = [each for each in model.graph.initializer if each.dims]
        dims = sized[int(random.integers(len(sized)))].dims
        dims[int(random.integers(len(dims)))] = number
    return model.SerializeToString()


def try_structures(backend: str, folder: Path, rounds: int) -> None:
    """Load and use damaged graphs, in a process that a fault may end: one line for each."""
    rgb = np.zeros((48, 64, 3), np.uint8)
    depth = np.random.default_rng(0).normal(0.7, 0.05, (48, 64)).astype(np.float32)
    whole = models.path(SHIPPED).read_bytes()
    path = folder / "m.onnx"
    random = (restructured(whole, np.random.default_rng(seed)) for seed in range(rounds))
    for data in (*known_killers(), *random):
        path.write_bytes(data)
        try:
            in_order(load(path, backend=backend).detect(rgb, depth, top=5, threshold=0.0))
            print("grasps", flush=True)
        except GrasplingError as error:
            one_line(error)
            print(error, flush=True)


@pytest.mark.parametrize(
    "backend",
    [
        "onnxruntime",
        pytest.param(
            "openvino",
            marks=pytest.mark.skipif(
                importlib.util.find_spec("openvino") is None, reason="needs the extra openvino"
            ),
        ),
    ],
)
@pytest.mark.parametrize(
    "rounds",
    [pytest.param(4, id="some"), pytest.param(100, id="all", marks=pytest.mark.slow)],
)
def test_a_damaged_graph_ends_no_process(tmp_path: Path, backend: str, rounds: int) -> None:
    done = subprocess.run(
        [sys.executable, __file__, backend, str(tmp_path), str(rounds)],
        capture_output=True,
        text=True,
        env={name: text for name, text in os.environ.items() if name != apart.SWITCH},
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, (done.returncode, lines, done.stderr)
    assert len(lines) == rounds + len(list(known_killers()))
    assert any("ends the process that runs it" in line for line in lines)


def test_a_file_that_nobody_vouches_for_is_run_apart_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []
    plain = subprocess.run
    monkeypatch.delenv(apart.SWITCH)
    monkeypatch.setattr(
        apart.subprocess, "run", lambda *words, **how: begun.append(words) or plain(*words, **how)
    )
    load(SHIPPED, backend="onnxruntime")
    assert not begun  # its sidecar vouches for it
    path = tiny_onnx(tmp_path / "m.onnx", tiny_card())
    for _ in range(2):
        load(path, backend="onnxruntime")
    assert len(begun) == 1
    tiny_onnx(path, tiny_card(), angle=0.5)
    monkeypatch.setattr(apart.sys, "frozen", True, raising=False)
    load(path, backend="onnxruntime")  # no Python that could be started
    assert len(begun) == 1


def test_a_file_that_never_answers_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(apart.SWITCH)
    monkeypatch.setattr(apart, "_PATIENCE", 0.001)
    with pytest.raises(InputError, match="does not answer within"):
        load(tiny_onnx(tmp_path / "m.onnx", tiny_card()), backend="onnxruntime")


if __name__ == "__main__":
    try_structures(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
