"""The machine behind a measurement, and a place on it to measure."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("graspling", "numpy", "opencv-python-headless", "onnxruntime", "openvino", "torch")


def processors() -> list[int]:
    """Numbers of the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pin(count: int) -> bool:
    """Keep this process on ``count`` processors, where the system can; says whether it did.

    The last ones are taken: the first serves most interrupts.
    """
    if not hasattr(os, "sched_setaffinity"):
        return False
    os.sched_setaffinity(0, processors()[-count:])
    return True


def cpu_name() -> str:
    """The processor's name as the system tells it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.M)
    return found[1].strip() if found else platform.machine()


def cpu_features() -> list[str]:
    """What the processor can that matters to networks, of those known here."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    flags = set(re.findall(r"\w+", text))
    return [f for f in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8") if f in flags]


def versions() -> dict[str, str]:
    """Release of Python and of each package that a measurement depends on, if installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def describe() -> str:
    """One line: processor, how many, what it can, system, versions."""
    features = " ".join(cpu_features())
    parts = [
        f"{cpu_name()}, {len(processors())} processors{f' ({features})' if features else ''}",
        f"{platform.system()} {platform.machine()}",
        ", ".join(f"{name} {number}" for name, number in versions().items()),
    ]
    return "; ".join(parts)


def load_average() -> float | None:
    """Processes that wanted to run in the last minute; None where the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def memory_mb() -> float | None:
    """Resident memory of this process, in 10^6 bytes; None where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
