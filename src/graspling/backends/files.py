"""Model files, checked before anything is made of them: hash, header, length.

Nothing here executes or unpickles what it reads, and nothing needs PyTorch.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from graspling.card import METADATA_KEY, Card
from graspling.errors import InputError
from graspling.frames import read_bytes

_LONGEST_HEADER = 100_000_000  # bytes, the limit of the safetensors format


def sidecar_of(path: Path) -> Path:
    """Where the card and checksums of a model file lie beside it."""
    return path.with_suffix(".json") if path.suffix == ".onnx" else Path(f"{path}.json")


def is_sidecar(path: Path) -> bool:
    """Whether a file holds the card and checksums of a model."""
    try:
        return "sha256" in json.loads(path.read_bytes())
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def weights_of(path: Path) -> Path:
    """The file with the weights of an OpenVINO model."""
    return path.with_suffix(".bin")


def files_of(path: Path) -> list[Path]:
    """A model file and what lies beside it, whether it is there or not."""
    return [path, sidecar_of(path), *([weights_of(path)] if path.suffix == ".xml" else [])]


def read_model(path: Path) -> bytes:
    """The bytes of a model file; where it has a sidecar, they are the ones it was written for.

    Raises:
        InputError: the file is missing or unreadable, the sidecar is none, or they do not match.
    """
    return read_vouched(path)[0]


def read_vouched(path: Path) -> tuple[bytes, bool]:
    """Like :func:`read_model`, and whether a sidecar vouches for all of it, the weights too."""
    data = read_bytes(path)
    sidecar = sidecar_of(path)
    if not sidecar.exists():
        return data, False
    try:
        document = json.loads(sidecar.read_bytes())
        expected = {path: document["sha256"]}
        if "weights_sha256" in document:
            expected[weights_of(path)] = document["weights_sha256"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(
            f"{sidecar}: is not the sidecar of a model, but has the name of that of {path.name}; "
            "move one of them"
        ) from None
    for file, digest in expected.items():
        content = data if file == path else read_bytes(file)
        if hashlib.sha256(content).hexdigest() != digest:
            raise InputError(
                f"{file}: is not the file that {sidecar.name} describes (sha256 differs); "
                "it is damaged or was replaced: fetch or export it again"
            )
    return data, path.suffix != ".xml" or weights_of(path) in expected


def check_safetensors(path: Path) -> Card:
    """The card of a safetensors file whose header is whole and fits its length.

    Raises:
        InputError: the file is missing, cut off, no safetensors file or without a card.
    """
    data = read_model(path)
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= length <= min(len(data) - 8, _LONGEST_HEADER):
        raise _damaged(path, f"{len(data)} bytes cannot hold its header")
    try:
        header = json.loads(data[8 : 8 + length])
        metadata = header.get("__metadata__") or {}
        ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
        text = metadata.get(METADATA_KEY)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise _damaged(path, "its header is not understood") from None
    expected = 8 + length + max(ends, default=0)
    if len(data) != expected:
        raise _damaged(path, f"{len(data)} bytes, expected {expected}")
    if not isinstance(text, str):
        raise InputError(
            f"{path}: carries no graspling card; expected a checkpoint from `graspling train` "
            "(best.safetensors)"
        )
    return Card.from_json(text, str(path))


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"{path}: is not a whole safetensors file ({reason}); fetch it again")
