"""graspling: small grasp detectors that can learn from big ones.

>>> import graspling
>>> grasps = graspling.detect("scene.png", top=5)  # doctest: +SKIP

Everything is loaded at first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graspling import models
    from graspling.detector import detect, load
    from graspling.grasps import Grasps

__version__ = "0.1.0"
__all__ = ["Grasps", "__version__", "detect", "load", "models"]

_HOMES = {
    "Grasps": "graspling.grasps",
    "detect": "graspling.detector",
    "load": "graspling.detector",
}


def __getattr__(name: str) -> Any:
    if name == "models":
        return importlib.import_module("graspling.models")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'graspling' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
