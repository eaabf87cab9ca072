"""Which backend runs a model file.

"auto" is a measurement, not a guess: where more than one backend is installed, each runs the
network on the same noise. Those whose maps agree with ONNX Runtime's may stay; the fastest wins,
but one that is not faster than ONNX Runtime by a tenth does not displace it, so that noise on the
machine does not decide. The choice is kept for the process. With the base install there is nothing
to choose and nothing is measured. TensorRT builds its engine for minutes and is used only when it
is asked for.
"""

from __future__ import annotations

import importlib
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import perf_counter

import numpy as np

from graspling.backends import openvino
from graspling.backends.base import Backend, check_kind
from graspling.backends.files import check_safetensors
from graspling.backends.onnx_runtime import PROVIDERS, OnnxBackend, available
from graspling.errors import GrasplingError, InputError, MissingExtraError

BACKENDS = ("auto", *PROVIDERS, "openvino", "pytorch")
PRECISIONS = ("fp32", "bf16", "int8")
# Largest difference of any pixel of a map from ONNX Runtime's. With int8 the runtimes round
# differently, and one step of a quantised map is about 0.01.
AGREEMENT = {"fp32": 1e-3, "int8": 0.1}
_GAIN = 0.9  # share of ONNX Runtime's time that another must stay below
_SECONDS, _RUNS = 0.2, 20  # at most this long and this often


def open_backend(
    path: Path, *, backend: str = "auto", threads: int = 1, precision: str | None = None
) -> Backend:
    """A backend for a model file: ``.onnx``, ``.xml`` (OpenVINO) or ``.safetensors`` (PyTorch).

    Args:
        backend: one of BACKENDS.
        threads: CPU threads for the network.
        precision: "bf16" lets OpenVINO compute a network of floats in bf16; by default as the
            card says.

    Raises:
        InputError: the file is damaged or not a graspling model, or this backend cannot run it.
        MissingExtraError: the backend is not installed.
    """
    if backend not in BACKENDS:
        raise InputError(f"no backend {backend!r}; choose one of {', '.join(BACKENDS)}")
    check_precision(precision)
    able = _able(path)
    if backend == "auto":
        if precision == "bf16" and "openvino" in able:
            able = ("openvino",)
        return _fastest(path, able, threads, precision)
    if backend not in able:
        raise InputError(
            f"backend {backend} cannot run {path.name}; it runs in {', '.join(able)} "
            "(graspling export writes other formats)"
        )
    return _open(path, backend, threads, precision)


def check_precision(precision: str | None) -> None:
    """One of PRECISIONS or None, or InputError."""
    if precision not in (None, *PRECISIONS):
        raise InputError(f"no precision {precision!r}; choose one of {', '.join(PRECISIONS)}")


def candidates() -> tuple[str, ...]:
    """Backends of an ONNX file between which "auto" chooses here; ONNX Runtime first."""
    found = ["onnxruntime"]
    if openvino.installed() and platform.machine().lower() in (
        "x86_64",
        "amd64",
        "arm64",
        "aarch64",
    ):
        found.append("openvino")
    if available("onnxruntime-cuda"):
        found.append("onnxruntime-cuda")
    return tuple(found)


def _able(path: Path) -> tuple[str, ...]:
    """Backends for a kind of file."""
    kinds = {
        ".onnx": (*PROVIDERS, "openvino"),
        ".xml": ("openvino",),
        ".safetensors": ("pytorch",),
    }
    if path.suffix not in kinds:
        raise InputError(f"{path}: expected a name that ends in {', '.join(kinds)}")
    return kinds[path.suffix]


def _open(path: Path, name: str, threads: int, precision: str | None) -> Backend:
    if name == "openvino":
        return openvino.OpenVinoBackend(path, threads=threads, precision=precision)
    opened = (
        torch_backend(path, threads)
        if name == "pytorch"
        else OnnxBackend(path, threads=threads, name=name)
    )
    if precision not in (None, opened.precision):
        raise InputError(
            f"precision {precision}: {name} runs {path.name} in {opened.precision} alone; "
            "bf16 needs --backend openvino, int8 a file from graspling export --precision int8"
        )
    return opened


def torch_backend(path: Path, threads: int) -> Backend:
    """The lab's backend; looked up by name, since the runtime must not depend on the lab."""
    check_kind(path, check_safetensors(path))
    try:
        checkpoint = importlib.import_module("graspling.training.checkpoint")
    except ImportError as error:
        if error.name in ("torch", "safetensors"):
            raise MissingExtraError(error.name, "lab") from None
        raise
    backend: Backend = checkpoint.TorchBackend(path, threads=threads)
    return backend


@dataclass(frozen=True)
class Trial:
    """How one backend did on noise."""

    name: str
    milliseconds: float
    fault: str = ""


def _fastest(path: Path, able: tuple[str, ...], threads: int, precision: str | None) -> Backend:
    names = tuple(name for name in candidates() if name in able)
    if len(names) < 2:
        only = (names or able)[0]
        opened = _open(path, only, threads, precision)
        opened.why = f"the only one installed that runs {path.suffix} files"
        return opened
    _open(path, names[0], threads, precision)  # a damaged file is told before anything is timed
    stamp = path.stat().st_mtime_ns
    trials = _trials(path, stamp, names, threads, precision)
    chosen = choose(trials)
    opened = _open(path, chosen, threads, precision)
    opened.why = "fastest here: " + ", ".join(
        f"{t.name} {t.fault}" if t.fault else f"{t.name} {t.milliseconds:.2f} ms" for t in trials
    )
    return opened


def choose(trials: tuple[Trial, ...]) -> str:
    """The name of the backend to use; the first trial is the one to beat."""
    first, *others = trials
    better = [t for t in others if not t.fault and t.milliseconds < _GAIN * first.milliseconds]
    return min(better, key=lambda t: t.milliseconds).name if better else first.name


@lru_cache(maxsize=64)
def _trials(
    path: Path, stamp: int, names: tuple[str, ...], threads: int, precision: str | None
) -> tuple[Trial, ...]:
    """Run all on the same noise; ``stamp`` is the time of the file, so that a new one is tried."""
    reference = _open(path, names[0], threads, precision)
    size, channels = reference.card.preparation.size, reference.card.preparation.channels
    noise = np.random.default_rng(0).normal(size=(1, channels, size, size)).astype(np.float32)
    expected = reference.run(noise)
    found = [Trial(names[0], _time(lambda: reference.run(noise)))]
    for name in names[1:]:
        try:
            other = _open(path, name, threads, precision)
            difference = float(np.abs(other.run(noise) - expected).max())
        except GrasplingError as error:
            found.append(Trial(name, 0.0, f"fails ({error})"))
            continue
        if not difference <= AGREEMENT.get(reference.precision, 0.0):  # also when it is NaN
            found.append(Trial(name, 0.0, f"disagrees by {difference:.1g}"))
        else:
            found.append(Trial(name, _time(lambda run=other.run: run(noise))))  # type: ignore[misc]
    return tuple(found)


def _time(call: Callable[[], object]) -> float:
    """Milliseconds of the quickest of a few calls."""
    best, start = float("inf"), perf_counter()
    for _ in range(_RUNS):
        before = perf_counter()
        call()
        now = perf_counter()
        best = min(best, now - before)
        if now - start > _SECONDS:
            break
    return best * 1e3
