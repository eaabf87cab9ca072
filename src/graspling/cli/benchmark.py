"""`graspling benchmark`: from a raw frame to ten grasps, model by model."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tqdm import tqdm

from graspling import models as shipped_models
from graspling.backends import BACKENDS, open_backend, openvino
from graspling.backends.choose import PRECISIONS
from graspling.backends.onnx_runtime import PROVIDERS, available
from graspling.cli.lab import needs_lab
from graspling.cli.output import model_files, refuse_overlap, say, table, warn, write_json
from graspling.cli.parse import Integers, Json, NameWords, Texts
from graspling.errors import InputError, MissingExtraError
from graspling.evaluation.latency import Row, Task, measure, thread_counts
from graspling.evaluation.machine import describe, load_average, processors
from graspling.image import Modality
from graspling.models import network_table
from graspling.robust.critic import DEFAULT as CRITIC
from graspling.robust.detectors import SAMPLING
from graspling.robust.session import kind_of


@dataclass(frozen=True)
class Benchmark:
    """Time models on sample frames (raw 640x480 RGB-D with holes), on one thread and on all."""

    models: NameWords = ()
    """Shipped names, model files, prop_gqcnn, or networks (random weights, needs the lab); by
    default all shipped detectors. `networks` stands for every network."""
    backends: Texts = ()
    """onnxruntime, openvino, pytorch ...; by default each one installed that can run the file."""
    precisions: Texts = ()
    """fp32, bf16, int8; by default fp32 and, where the processor has it, bf16."""
    modality: Modality = "rgbd"
    """Input of networks with random weights: rgb, depth or rgbd."""
    size: int = 224
    """Side of their input, pixels."""
    threads: Integers = (1, 0)
    """Numbers of threads; 0 is all processors."""
    runs: int = 300
    """Timed frames a row, at most."""
    seconds: float = 10.0
    """Time a row no longer than this."""
    json: Json = ""


def benchmark(options: Benchmark) -> None:
    """Measure, print and write."""
    _check(options)
    refuse_overlap([options.json], model_files(*options.models))
    machine, load = describe(), load_average()
    rows: list[Row] = []
    with ExitStack() as stack:
        files = list(_files(options, stack))
        tasks = [task for name, path in files for task in _tasks(options, name, path)]
        if not tasks:
            raise InputError("no backend here runs these models in these precisions")
        for task in tqdm(tasks, unit="row", delay=2, leave=False, disable=None):
            try:
                rows.append(measure(task))
            except BrokenProcessPool:
                warn(f"{task.model} in {task.backend}: the process ended; the row is left out")
    where = {"machine": machine, "load_average": load}
    write_json([row.to_dict() | where for row in rows], options.json)
    say(report(rows), json_target=options.json)
    busy = "" if load is None else f"; load average {load:.1f} at the start"
    say(f"\n{machine}{busy}", json_target=options.json)


def report(rows: list[Row]) -> str:
    """A table for a person, milliseconds."""
    headers = ["model", "backend", "precision", "threads", "prepare", "network", "decode", "total"]
    headers += ["p95", "p99", "load", "MB", "bytes"]
    cells: list[list[object]] = []
    for row in rows:
        times = [row.prepare_ms, row.network_ms, row.decode_ms, row.total_ms, row.p95_ms]
        cells.append(
            [row.model, row.backend, row.precision, row.threads]
            + [f"{value:.2f}" for value in (*times, row.p99_ms)]
            + [f"{row.load_ms:.0f}", row.memory_mb and f"{row.memory_mb:.0f}", row.bytes]
        )
    return table(headers, cells)


def _check(options: Benchmark) -> None:
    """Refuse what would fail only after minutes."""
    for given, known, what in (
        (options.backends, BACKENDS[1:], "backend"),
        (options.precisions, PRECISIONS, "precision"),
    ):
        for word in given:
            if word not in known:
                raise InputError(f"no {what} {word!r}; choose from {', '.join(known)}")
    if options.runs < 1 or not options.seconds > 0:
        raise InputError("runs and seconds must be above 0")
    for count in options.threads:
        if not 0 <= count <= len(processors()):
            raise InputError(
                f"threads is {count}, expected 0 (all) or 1 to {len(processors())}, "
                "the processors here"
            )
    for name in options.backends:
        _installed(name, complain=True)


def _installed(name: str, *, complain: bool = False) -> bool:
    if name in PROVIDERS:
        there = available(name)
        if complain and not there:
            raise InputError(f"backend {name}: this build of ONNX Runtime cannot; see doctor")
        return there
    if name == "openvino":
        if complain:
            openvino.core()
        return openvino.installed()
    there = find_spec("torch") is not None
    if complain and not there:
        raise MissingExtraError("torch", "lab")
    return there


def _files(options: Benchmark, stack: ExitStack) -> Iterator[tuple[str, Path]]:
    """Names and files to measure; networks are exported with random weights first."""
    networks = sorted({row["name"] for row in network_table()})
    wanted: list[str] = []
    for name in options.models or shipped_models.detectors():
        wanted += networks if name == "networks" else [name]
    for name in wanted:
        if name in networks:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            yield name, _random(name, options, Path(folder))
        elif name == SAMPLING:
            yield name, shipped_models.path(CRITIC)
        elif Path(name).suffix in (".onnx", ".xml", ".safetensors"):
            if not Path(name).exists():
                raise InputError(f"{name}: there is no such file")
            yield Path(name).stem, Path(name)
        else:
            path = shipped_models.path(name)
            if shipped_models.card(name).kind == "critic":
                raise InputError(f"{name}: is a critic, and finds no grasps; time {SAMPLING}")
            yield name, path


def _random(name: str, options: Benchmark, folder: Path) -> Path:
    """A network with random weights as ONNX, or as a checkpoint for PyTorch alone."""
    with needs_lab():
        from graspling.export import random_model
    path = random_model(name, options.modality, options.size, folder / f"{name}.onnx")
    return path


def _tasks(options: Benchmark, name: str, path: Path) -> Iterator[Task]:
    maps = name != SAMPLING and kind_of(path) == "maps"
    able: tuple[str, ...] = ("pytorch",)
    if path.suffix == ".xml":
        able = ("openvino",)
    elif path.suffix == ".onnx":
        able = (*PROVIDERS, "openvino", "pytorch") if maps else ("onnxruntime",)
    backends = [b for b in options.backends or able if b in able and _installed(b)]
    for backend in backends:
        file = path
        if backend == "pytorch" and path.suffix != ".safetensors":
            file = path.with_suffix(".safetensors")
            if not file.exists() and name in shipped_models.shipped():
                file = shipped_models.CHECKPOINTS / file.name
            if not file.exists():
                continue
        for precision in _precisions(options, backend, file, maps=maps):
            for threads in thread_counts(options.threads, len(processors())):
                yield Task(
                    name, str(file), backend, precision, threads, options.runs, options.seconds
                )


def _precisions(options: Benchmark, backend: str, path: Path, *, maps: bool) -> list[str]:
    """Those asked for that this backend can run from this file; what gives no maps has fp32."""
    has = _precision_of(path) if maps else "fp32"
    able = [has]
    if backend == "openvino" and has == "fp32" and openvino.has_bf16():
        able += ["bf16"]
    return [p for p in able if p in (options.precisions or able)]


def _precision_of(path: Path) -> str:
    if path.suffix == ".safetensors":
        return "fp32"
    backend = "openvino" if path.suffix == ".xml" else "onnxruntime"
    return open_backend(path, backend=backend).precision
