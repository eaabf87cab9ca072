"""From arguments to a dataclass, by tyro; a mistake becomes one line."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import fields
from typing import Annotated, Any

import tyro

from graspling.cli import UsageError

File = Annotated[str, tyro.conf.arg(metavar="FILE", help_behavior_hint="")]
Folder = Annotated[str, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="")]
Text = Annotated[str, tyro.conf.arg(metavar="TEXT", help_behavior_hint="")]
Files = Annotated[tuple[str, ...], tyro.conf.arg(metavar="FILE [FILE ...]", help_behavior_hint="")]
Texts = Annotated[tuple[str, ...], tyro.conf.arg(metavar="TEXT [TEXT ...]", help_behavior_hint="")]
# Where JSON goes; "-" or nothing after --json is standard output.
Json = Annotated[
    str,
    tyro.conf.arg(
        name="json", metavar="OUT", help_behavior_hint="", help="write JSON there; -: stdout"
    ),
]
Integer = Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")]
Number = Annotated[float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="")]
Integers = Annotated[tuple[int, ...], tyro.conf.arg(metavar="INT [INT ...]", help_behavior_hint="")]
# One data set, see graspling.datasets.open_dataset.
Data = Annotated[str, tyro.conf.arg(metavar="KIND:FOLDER[,option=value...]", help_behavior_hint="")]
# Arguments without a name. They default to "", so that a verb can say in its own words what is
# missing.
DataWord = Annotated[
    str,
    tyro.conf.Positional,
    tyro.conf.arg(metavar="KIND:FOLDER[,option=value...]", help_behavior_hint=""),
]
FileWord = Annotated[
    str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE", help_behavior_hint="")
]
NameWord = Annotated[
    str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME", help_behavior_hint="")
]

NameWords = Annotated[
    tuple[str, ...],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="NAME [NAME ...]", help_behavior_hint=""),
]

_WIDE = 100_000  # characters of a line of tyro's


def parse(kind: type[Any], arguments: Sequence[str], prog: str) -> Any:
    """An instance of the dataclass ``kind``, or None when only help was asked for.

    Raises:
        UsageError: an unknown option, a missing or a bad value.
    """

    def read() -> Any:
        config = (tyro.conf.FlagCreatePairsOff,)
        return tyro.cli(kind, prog=prog, args=_complete(arguments), config=config)

    try:
        with redirect_stderr(io.StringIO()):
            return read()
    except SystemExit as stop:
        if not stop.code:
            return None
    reason = _complaint_of(read)
    stray = [word for word in arguments if word in reason and os.path.exists(word)]
    if stray and reason.startswith("Unrecognized") and any(f.name == "rgb" for f in fields(kind)):
        reason += f"; give images as --rgb {stray[0]} or --depth {stray[0]}"
    raise UsageError(f"{reason} ({prog} --help lists the options)")


def _complaint_of(read: Callable[[], Any]) -> str:
    """What tyro has against the arguments, in one line; a wide one, since it breaks long words."""
    complaint, columns = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(_WIDE)
    try:
        with redirect_stderr(complaint), suppress(SystemExit):
            read()
    finally:
        if columns is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = columns
    return _first_section(complaint.getvalue())


def _complete(arguments: Sequence[str]) -> list[str]:
    """A bare --json means standard output."""
    result = list(arguments)
    for place in reversed([i for i, word in enumerate(result) if word == "--json"]):
        following = result[place + 1 : place + 2]
        if not following or following[0].startswith("--"):
            result.insert(place + 1, "-")
    return result


def _first_section(box: str) -> str:
    """The message in one of tyro's boxes, without frame, title and advice."""
    sections: list[list[str]] = [[]]
    for line in box.splitlines():
        text = line.strip("│ ")
        if re.fullmatch(r"[─-]+", text):
            sections.append([])
        elif not re.match(r"^[╭╰]", line):
            sections[-1].append(text)
    # where the terminal has no such characters the title is a section of its own
    rows = sections[0] if "╭" in box or len(sections) < 2 else sections[1]
    text = " ".join(" ".join(rows).split()).rstrip(".") or "the options are not understood"
    # An optional number: tyro tells why each of its types does not fit; one sentence will do.
    union = re.match(
        r"(Error parsing \S+): no type matching \{None\}\|(\S+) .*? from (\[.*?\])", text
    )
    if union:
        return f"{union[1]}: {union[3]} is no {union[2]}"
    # "" and None stand for an option that was left out, and are nothing to choose; tyro lists
    # choices in any order
    return re.sub(r"(?<=\()'(None)?', |, '(None)?'(?=[,)])", "", text)
