"""Fixtures for all tests."""

from __future__ import annotations

import importlib.util
import os
import signal
from pathlib import Path
from types import ModuleType

import pytest
from toys import depth_frame, frame, labelled_folder, toy_model  # noqa: F401  (fixtures)

# No sidecar vouches for the models that tests write, and to run each apart first takes long; the
# tests of graspling.backends.apart switch it on again.
os.environ["GRASPLING_APART"] = "0"

# A shell lets what it starts in the background ignore ctrl-C, which tests press.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real data sets: ``GRASPLING_DATA``, or ``shared/data`` beside the
    checkout. Tests that need it are skipped where it is not there."""
    named = os.environ.get("GRASPLING_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data not found at {folder}; set GRASPLING_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def fakes() -> ModuleType:
    """``tests/datasets/fakes.py``: writes tiny data sets of every kind."""
    path = Path(__file__).parent / "datasets" / "fakes.py"
    spec = importlib.util.spec_from_file_location("graspling_test_fakes", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
