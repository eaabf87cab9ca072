"""What the rewrites of the ONNX graph bring: each network as exported and as graspling writes it.

    python benchmarks/graph.py --out runs/graph

Random weights, of which the time does not depend; one thread, one image. The two files of a network
take turns, so that a busy machine slows both. Medians in milliseconds, and how far the maps differ.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import onnx
import torch
from jobs import markdown

from graspling.backends import openvino
from graspling.backends.onnx_runtime import import_onnxruntime
from graspling.evaluation.machine import describe, pin
from graspling.export import to_onnx
from graspling.files import write_text
from graspling.networks import NETWORKS, build
from graspling.onnx_graph import simplify

Answer = Callable[[np.ndarray], np.ndarray]


def onnxruntime(model: onnx.ModelProto) -> Answer:
    """The model in ONNX Runtime."""
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    data = model.SerializeToString()
    session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return lambda image: session.run(["maps"], {"image": image})[0]


def in_openvino(model: onnx.ModelProto) -> Answer:
    """The model in OpenVINO, fp32."""
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    runtime = openvino.core()
    network = runtime.read_model(model.SerializeToString())
    compiled = runtime.compile_model(network, "CPU", settings)
    return lambda image: compiled(image)[0]


BACKENDS = {"onnxruntime": onnxruntime, "openvino": in_openvino}


def in_turn(first: Answer, second: Answer, image: np.ndarray, seconds: float) -> list[float]:
    """Medians of both, milliseconds."""
    times: list[list[float]] = [[], []]
    for answer in (first, second):
        answer(image)
    begin = perf_counter()
    while perf_counter() - begin < seconds or len(times[0]) < 5:
        for kept, answer in zip(times, (first, second), strict=True):
            start = perf_counter()
            answer(image)
            kept.append(perf_counter() - start)
    return [1e3 * statistics.median(kept) for kept in times]


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Times of one network before and after, by backend."""
    torch.manual_seed(0)
    network = build(name, arguments.modality).eval()
    tensor = torch.randn(1, network.channels, arguments.size, arguments.size)
    before = to_onnx(network, torch.cat([tensor, tensor]))
    after = copy.deepcopy(before)
    simplify(after)
    image = tensor.numpy()
    found: dict[str, Any] = {"difference": 0.0}
    for backend, load in BACKENDS.items():
        plain, rewritten = load(before), load(after)
        difference = float(np.abs(plain(image) - rewritten(image)).max())
        found["difference"] = max(found["difference"], difference)
        found[backend] = in_turn(plain, rewritten, image, arguments.seconds)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/graph"))
    parser.add_argument("--networks", nargs="+", choices=sorted(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--modality", default="rgbd")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each network and backend")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pin(1)
    found, rows = {}, []
    for name in arguments.networks:
        found[name] = measure(name, arguments)
        cells = [
            cell
            for backend in BACKENDS
            for before, after in [found[name][backend]]
            for cell in (f"{before:.2f}", f"{after:.2f}", f"{before / after:.2f}")
        ]
        rows.append([name, *cells, f"{found[name]['difference']:.1g}"])
        print(*rows[-1], flush=True)
    headers = [f"{b} {what}" for b in BACKENDS for what in ("before", "after", "gain")]
    text = markdown(["network", *headers, "difference"], rows)
    document = {"machine": describe(), "networks": found}
    write_text(arguments.out / "graph.json", json.dumps(document, indent=1) + "\n")
    write_text(arguments.out / "graph.md", text)
    print(text)


if __name__ == "__main__":
    main()
