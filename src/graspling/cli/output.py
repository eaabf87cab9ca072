"""What a command prints and writes: tables, JSON, progress."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cv2

from graspling.backends.files import files_of
from graspling.bar import bar
from graspling.datasets import folders_of
from graspling.errors import InputError
from graspling.files import check_writable, write_text

T = TypeVar("T")
MODELS = (".onnx", ".xml", ".safetensors")  # suffixes of model files


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns of text; a column whose cells all look like numbers is set to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    right = [
        all(row[i][:1] in "-0123456789" for row in cells) and bool(cells)
        for i in range(len(headers))
    ]
    lines = []
    for row in [list(headers), ["-" * width for width in widths], *cells]:
        aligned = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        lines.append("  ".join(aligned).rstrip())
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def say(text: str, *, json_target: str = "") -> None:
    """Print for a person: to standard output, or to standard error while JSON goes there."""
    print(text, file=sys.stderr if json_target == "-" else sys.stdout)


def warn(text: str) -> None:
    """A line on standard error."""
    print(f"graspling: warning: {text}", file=sys.stderr)


def write_json(document: Any, target: str) -> None:
    """Write JSON to a file (whole or not at all), or to standard output for "-"; "" is nowhere."""
    if not target:
        return
    text = json.dumps(document, indent=2, allow_nan=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
    else:
        write_text(target, text)


def progress(items: Sequence[T]) -> Iterable[T]:
    """The items, with :func:`graspling.bar.bar`."""
    return bar(items)


def model_files(*names: str) -> list[Path]:
    """The files of those models that are named by a file."""
    paths = [Path(name) for name in names if Path(name).suffix in MODELS]
    return [file for path in paths for file in files_of(path)]


def refuse_overlap(
    outputs: Iterable[str], inputs: Iterable[Path | str | None], data: str = ""
) -> None:
    """Nothing that is read or written already may be written over, and every output has a place.

    Args:
        outputs: files; "" and "-" are none.
        inputs: files; None and "" are none.
        data: a data set as on the command line; of what lies in its folder nothing is replaced.

    Raises:
        InputError: an output is one of the inputs, two outputs are one file, or there is no place.
    """
    folders = [folder.resolve() for folder in folders_of(data)]
    taken = {Path(path).resolve(): "an input" for path in inputs if path}
    for name in outputs:
        if name in ("", "-"):
            continue
        check_writable(name)
        path = Path(name).resolve()
        if path in taken and not path.is_dir():
            raise InputError(f"{name} is {taken[path]}, too; give the output a name of its own")
        if path.is_file() and any(folder in path.parents for folder in folders):
            raise InputError(f"{name} lies in the data and is there already; choose another place")
        taken[path] = "another output"


def say_written(*targets: str, json_target: str = "") -> None:
    """Name the files that were written."""
    for target in targets:
        if target not in ("", "-"):
            say(f"written: {target}", json_target=json_target)


def quiet_opencv() -> None:
    """What OpenCV and its FFmpeg have to say about a file is said by one line of ours."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
