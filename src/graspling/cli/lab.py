"""The border between the base install and the lab."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from graspling.errors import MissingExtraError

_LAB = ("torch", "safetensors", "onnx", "onnxscript")


@contextmanager
def needs_lab() -> Iterator[None]:
    """Around imports of the lab: a missing package becomes an error that names the extra."""
    try:
        yield
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package in _LAB:
            raise MissingExtraError(package, "lab") from None
        raise
