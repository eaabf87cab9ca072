"""Model files that no sidecar vouches for run in a process of their own before they run here.

The runtimes trust a graph: one that is damaged can end the whole process from inside their code,
where nothing can be caught. So such a file is opened and run on noise apart, by the runtime that is
going to run it; if that process dies, the file is refused. What the runtime says in words there is
not looked at: it says it again here.

That takes as long as starting Python and the runtime does, once for a file and runtime in each
process. A file whose sidecar fits (all that are shipped or exported have one) is not run apart.
"""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.backends.files import weights_of
from graspling.errors import InputError
from graspling.frames import read_bytes

# "0": nothing is run apart. Set so in the process apart, and by who trusts all of his files.
SWITCH = "GRASPLING_APART"
_PATIENCE = 120.0  # seconds
_SURVIVED = b"survived"
_MOST_VALUES = 1 << 28  # of one input; the largest that a card allows
_KINDS = {"tensor(bool)": np.bool_, "tensor(int64)": np.int64}


def check_survival(path: Path, backend: str, data: bytes) -> None:
    """A process must outlive this file.

    Args:
        backend: "onnxruntime" or "openvino"; graphics cards are left out.
        data: content of the file.

    Raises:
        InputError: it does not.
    """
    if os.environ.get(SWITCH) == "0":
        return
    digest = hashlib.sha256(data)
    if path.suffix == ".xml":
        digest.update(read_bytes(weights_of(path)))
    fault = _fault(str(path), backend, digest.hexdigest())
    if fault:
        raise InputError(
            f"{path}: {fault} ({backend}, tried apart); it is damaged or of a foreign kind: fetch "
            "or export it again"
        )


@lru_cache(maxsize=64)
def _fault(path: str, backend: str, digest: str) -> str:
    """What a file with this digest does to a process; "" when nothing."""
    python = _interpreter()
    if not python:
        return ""
    found = os.pathsep.join(place or os.getcwd() for place in sys.path)
    try:
        done = subprocess.run(
            [python, "-P", "-c", f"from {__name__} import main; main()", path, backend],
            env={**os.environ, SWITCH: "0", "PYTHONPATH": found},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except subprocess.TimeoutExpired:
        return f"does not answer within {_PATIENCE:.0f} s"
    except OSError:  # no process can be started here
        return ""
    # 1 and 2 are Python's own: it could not begin
    ended = _SURVIVED in done.stdout or done.returncode in (0, 1, 2)
    return "" if ended else "ends the process that runs it"


def _interpreter() -> str:
    """Python, or "" where this program is another one that holds it (embedded, frozen)."""
    name = Path(sys.executable or "").name.lower()
    plain = name.startswith(("python", "pypy")) and not getattr(sys, "frozen", False)
    return sys.executable if plain else ""


# ---- in the process apart ---------------------------------------------------------------------


def main() -> None:
    """Open and run the file that the command line names, tell of it and end."""
    path, backend = Path(sys.argv[1]), sys.argv[2]
    with suppress(Exception):  # there are systems without such limits
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # its death is no news
    for attempt in (_run_openvino,) if backend == "openvino" else (_run_graph, _run_maps):
        with suppress(Exception):
            attempt(path)
    sys.stdout.buffer.write(_SURVIVED)
    sys.stdout.flush()
    os._exit(0)  # what the runtimes do when Python ends is another matter


def _run_openvino(path: Path) -> None:
    from graspling.backends.openvino import OpenVinoBackend

    _run(OpenVinoBackend(path))


def _run_maps(path: Path) -> None:
    """As a detector runs it."""
    from graspling.backends.onnx_runtime import OnnxBackend

    _run(OnnxBackend(path))


def _run(backend: Any) -> None:
    preparation = backend.card.preparation
    backend.run(_noise([1, preparation.channels, preparation.size, preparation.size]))


def _run_graph(path: Path) -> None:
    """All that an ONNX graph gives: also the decoding inside, critics, networks of one grasp."""
    from graspling.backends.onnx_runtime import open_session

    session = open_session(path, 1)
    inputs = {each.name: _noise(each.shape, each.type) for each in session.get_inputs()}
    session.run(None, inputs)


def _noise(shape: list[Any], kind: str = "") -> NDArray[Any]:
    """Noise of a shape in which sides that are no numbers are 1."""
    sides = [side if isinstance(side, int) else 1 for side in shape]
    if math.prod(sides) > _MOST_VALUES:
        raise MemoryError
    noise = np.random.default_rng(0).normal(size=sides)
    return np.asarray(noise, dtype=_KINDS.get(kind, np.float32))
