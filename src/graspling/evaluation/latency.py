"""How long a model takes from a raw frame to ten grasps, and what it needs.

Each row is measured in a process of its own, pinned to as many processors as it has threads, so
that rows do not share thread pools, caches or memory. Times are wall times of whole calls of
:meth:`graspling.detector.Detector.run`; networks that say one grasp say one, not ten.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib import import_module, resources
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.backends import openvino
from graspling.backends.apart import SWITCH
from graspling.backends.onnx_runtime import import_onnxruntime
from graspling.card import Card
from graspling.detector import Detector
from graspling.evaluation.machine import memory_mb, pin
from graspling.frames import read_depth, read_rgb
from graspling.robust.base import RobustDetector
from graspling.robust.detectors import SAMPLING, open_detector

TOP = 10
_LEAST_RUNS = 20
_WARM_UP = 10
_CARD_SIZE = 224  # of the input whose multiply-accumulates a card has
_FOCAL = 615.0  # of the sample frames, pixels
_STAGES = ("prepare", "network", "decode")

Frame = tuple[NDArray[np.uint8], NDArray[np.float32]]


@dataclass(frozen=True)
class Task:
    """One row to measure.

    Attributes:
        model: what the row is called.
        path: the model file; of prop_gqcnn its critic.
        backend, precision, threads: as for :func:`graspling.load`; "auto" is no backend here.
        runs: timed calls at most.
        seconds: time them no longer than this (but at least 20).
    """

    model: str
    path: str
    backend: str
    precision: str | None
    threads: int
    runs: int = 300
    seconds: float = 10.0


@dataclass(frozen=True)
class Row:
    """What was measured, medians in milliseconds; p95 and p99 are of the whole call.

    Attributes:
        load_ms: from the file to a detector, the runtime imported already.
        memory_mb: resident memory that loading and running took, 10^6 bytes; None where the
            system does not tell.
        bytes: of the model file, with its weights.
        macs: for one input of this size; None where nothing says them, see :func:`macs_of_input`.
        pinned: whether the process was kept on its processors.
    """

    model: str
    network: str
    modality: str
    size: int
    backend: str
    precision: str
    threads: int
    prepare_ms: float
    network_ms: float
    decode_ms: float
    total_ms: float
    p95_ms: float
    p99_ms: float
    best_ms: float
    load_ms: float
    memory_mb: float | None
    bytes: int
    parameters: int
    macs: int | None
    runs: int
    pinned: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def sample_frames() -> list[Frame]:
    """The sample frames of the package: raw 640x480 colour and depth with holes."""
    folder = Path(str(resources.files("graspling") / "samples"))
    names = sorted(file.name.removesuffix("_rgb.jpg") for file in folder.glob("*_rgb.jpg"))
    return [
        (read_rgb(folder / f"{n}_rgb.jpg"), read_depth(folder / f"{n}_depth.png", "0.1mm"))
        for n in names
    ]


def measure(task: Task) -> Row:
    """Measure one row in a fresh process (a network that ends its process ends no other)."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(measure_here, task).result()


def measure_here(task: Task) -> Row:
    """Measure one row in this process, which stays pinned."""
    pinned = pin(task.threads)
    os.environ[SWITCH] = "0"  # the time to load is that of a file that can be trusted
    frames = sample_frames()
    _import_runtime(task.backend)
    before, start = memory_mb(), perf_counter()
    detector = _open(task)
    loaded = (perf_counter() - start) * 1e3
    for number in range(_WARM_UP):
        _once(detector, frames[number % len(frames)])
    times: list[list[float]] = []
    begin = perf_counter()
    while len(times) < task.runs:
        if len(times) >= _LEAST_RUNS and perf_counter() - begin > task.seconds:
            break
        times.append(_once(detector, frames[len(times) % len(frames)]))
    after = memory_mb()
    return _row(task, detector, np.array(times), loaded, _grown(before, after), pinned)


def _open(task: Task) -> Detector:
    how: dict[str, Any] = {"threads": task.threads, "backend": task.backend}
    if task.model == SAMPLING:
        return open_detector(SAMPLING, critic=task.path, **how)
    return open_detector(task.path, precision=task.precision, **how)


def _import_runtime(backend: str) -> None:
    """What every program that uses a runtime pays once, whatever the model."""
    if backend == "openvino":
        openvino.core()
    elif backend == "pytorch":
        import_module("graspling.training.checkpoint")
    else:
        import_onnxruntime()


def _once(detector: Detector, frame: Frame) -> list[float]:
    """Milliseconds of the stages and of the whole call."""
    start = perf_counter()
    # a threshold of 0 lets every frame have its ten grasps
    detection = detector.run(*frame, top=TOP, threshold=0.0, focal=_FOCAL)
    total = (perf_counter() - start) * 1e3
    return [*(detection.milliseconds[stage] for stage in _STAGES), total]


def _grown(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else round(max(after - before, 0.0), 1)


def _row(
    task: Task,
    detector: Detector,
    times: NDArray[np.float64],
    loaded: float,
    memory: float | None,
    pinned: bool,
) -> Row:
    card, path = detector.card, Path(task.path)
    without_maps = isinstance(detector, RobustDetector)
    files = [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]
    prepare, network, decode, total = (float(x) for x in np.median(times, axis=0))
    whole = times[:, 3]
    return Row(
        model=task.model,
        network=card.network,
        modality=card.modality,
        size=card.preparation.size,
        backend=task.backend,
        precision=card.precision if without_maps else detector.backend.precision,
        threads=task.threads,
        prepare_ms=round(prepare, 3),
        network_ms=round(network, 3),
        decode_ms=round(decode, 3),
        total_ms=round(total, 3),
        p95_ms=round(float(np.percentile(whole, 95)), 3),
        p99_ms=round(float(np.percentile(whole, 99)), 3),
        best_ms=round(float(whole.min()), 3),
        load_ms=round(loaded, 1),
        memory_mb=memory,
        bytes=sum(file.stat().st_size for file in files),
        parameters=card.parameters,
        macs=macs_of_input(card),
        runs=len(times),
        pinned=pinned,
    )


def macs_of_input(card: Card) -> int | None:
    """Multiply-accumulates for one input of the model's size.

    A card has those at 224 x 224. At another size they are counted, which takes PyTorch and a
    network of graspling's; otherwise None.
    """
    size = card.preparation.size
    if card.kind != "maps" or size == _CARD_SIZE:
        return card.macs
    if find_spec("torch") is None:
        return None
    torch = import_module("torch")
    networks = import_module("graspling.networks")
    if card.network not in networks.NETWORKS:
        return None
    with torch.device("meta"):
        network = networks.build(card.network, card.modality, **card.recipe.get("variant", {}))
    count: int = import_module("graspling.networks.counts").macs(network, size)
    return count


def thread_counts(wanted: Sequence[int], available: int) -> list[int]:
    """0 means all; doubles and those that the machine does not have are left out."""
    counts = [available if count == 0 else min(count, available) for count in wanted]
    return list(dict.fromkeys(counts))
