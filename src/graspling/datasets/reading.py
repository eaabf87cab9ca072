"""What the readers share: label files through :mod:`graspling.formats`, small tables, JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from graspling.datasets.sample import FileFault
from graspling.errors import InputError
from graspling.formats import FORMATS
from graspling.grasps import Grasps


def read_text(path: Path) -> str:
    """The text of a file; InputError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not a text file (UTF-8)") from None


def read_grasps(path: Path, label_format: str, shown: str) -> tuple[Grasps, tuple[FileFault, ...]]:
    """Grasps of a label file and its malformed rows; ``shown`` names the file in the faults."""
    parsed = FORMATS[label_format].parse(read_text(path), shown)
    faults = (FileFault(shown, f.line, f.message, f.malformed) for f in parsed.faults)
    return parsed.grasps, tuple(faults)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; InputError when the file is missing or holds something else."""
    try:
        document = json.loads(read_text(path))
    except ValueError as error:
        raise InputError(f"{path}: is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: expected a JSON object, got {type(document).__name__}")
    return document


def read_objects(path: Path) -> dict[str, str]:
    """``objects.csv`` with the columns ``id`` and ``object`` as id -> object id."""
    rows = list(csv.DictReader(read_text(path).splitlines()))
    if not rows or any(not row.get("id") or not row.get("object") for row in rows):
        raise InputError(f"{path}: expected a table with the columns id,object in every row")
    return {row["id"]: row["object"] for row in rows}


def shuffled(names: Iterable[str], rng: np.random.Generator, buffer: int) -> Iterator[str]:
    """Each name once, drawn from the next ``buffer`` ones."""
    held: list[str] = []
    for name in names:
        if len(held) < buffer:
            held.append(name)
            continue
        place = int(rng.integers(len(held)))
        yield held[place]
        held[place] = name
    yield from (held[i] for i in rng.permutation(len(held)))
