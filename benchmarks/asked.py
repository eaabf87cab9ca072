"""What a run was asked for, kept beside it: a folder never passes for a run of other settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graspling.files import write_text

FILE = "asked.json"
# Where things lie differs from machine to machine and says nothing of a run.
_PLACES = ("data", "out", "unlabelled", "resume", "quick")


def asked(words: Sequence[Any]) -> dict[str, Any]:
    """The words of a `graspling` command as settings: options by name, those of --set by theirs.

    A teacher is known by its bytes, a recipe by its name; folders and data sets are left out.
    """
    found: dict[str, Any] = {"command": []}
    name = ""
    for word in map(str, words):
        if word.startswith("--"):
            name = word.removeprefix("--")
        elif name == "set":
            key, _, value = word.partition("=")
            found[key] = _value(value)
        elif name == "teacher":
            if Path(word).is_file():
                found[name] = digest(Path(word))
        elif not name:
            found["command"].append(Path(word).stem)
        elif name not in _PLACES:
            found[name] = _value(word)
    return found


def digest(*files: Path) -> str:
    """By which files are known again, wherever they lie."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def agree(folder: Path, now: Mapping[str, Any]) -> None:
    """Refuse a folder whose run was asked for with other settings.

    Settings that only one of the two knows are not compared: what other machines found may be kept
    with some of them alone.
    """
    file = folder / FILE
    before = json.loads(file.read_text()) if file.exists() else {}
    for key in sorted(before.keys() & now.keys()):
        if before[key] != now[key]:
            raise SystemExit(
                f"{folder}: its run was asked for with {key} {before[key]}, now it is {now[key]}; "
                "give another --out"
            )


def keep(folder: Path, now: Mapping[str, Any]) -> None:
    """Write down what the run in this folder is asked for; see :func:`agree`."""
    agree(folder, now)
    if not (folder / FILE).exists():
        write_text(folder / FILE, json.dumps(dict(now)) + "\n")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
