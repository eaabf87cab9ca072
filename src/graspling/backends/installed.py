"""What there is to run networks with, for people who wonder: `graspling doctor`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version

from graspling.backends import openvino
from graspling.backends.choose import candidates
from graspling.backends.onnx_runtime import PROVIDERS, available, import_onnxruntime


@dataclass(frozen=True)
class Runtime:
    """One backend on this machine.

    Attributes:
        version: of its package; empty when it is not installed.
        usable: whether it can run here.
        auto: whether "auto" considers it.
        note: what it can do, or what it lacks.
    """

    name: str
    version: str
    usable: bool
    auto: bool
    note: str


def runtimes() -> list[Runtime]:
    """Every backend, installed or not."""
    considered = candidates()
    onnx = str(import_onnxruntime().__version__)
    found = []
    for name, providers in PROVIDERS.items():
        usable = available(name)
        note = "the base install" if name == "onnxruntime" else f"{providers[0]} is in this build"
        if not usable:
            note = "needs onnxruntime-gpu in place of onnxruntime, and an NVIDIA card"
        elif name == "onnxruntime-tensorrt":
            note += "; only when asked for: it builds its engine for minutes"
        found.append(Runtime(name, onnx, usable, name in considered, note))
    there = openvino.installed()
    note = "pip install 'graspling[openvino]'"
    if there:
        note = "fp32, int8 and bf16" if openvino.has_bf16() else "fp32 and int8; no bf16 here"
    found.append(Runtime("openvino", _version("openvino"), there, "openvino" in considered, note))
    torch = _version("torch")
    note = "checkpoints (.safetensors)" if torch else "pip install 'graspling[lab]'"
    found.append(Runtime("pytorch", torch, bool(torch), False, note))
    return found


def extras() -> dict[str, list[str]]:
    """Packages that are missing, by extra; empty lists are complete extras."""
    try:
        asked = distribution("graspling").requires or []
    except PackageNotFoundError:
        return {}
    missing: dict[str, list[str]] = {}
    for requirement in asked:
        found = re.search(r"""extra\s*==\s*['"]([^'"]+)['"]""", requirement)
        name = re.match(r"[\w.-]+", requirement)
        if found and name:
            missing.setdefault(found[1], [])
            if not _version(name[0]):
                missing[found[1]].append(name[0])
    return missing


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
