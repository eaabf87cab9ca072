"""From arguments to a dataclass, by tyro; a mistake becomes one line."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from contextlib import redirect_stderr
from typing import Annotated, Any

import tyro

from graspling.cli import UsageError

File = Annotated[str, tyro.conf.arg(metavar="FILE", help_behavior_hint="")]
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


def parse(kind: type[Any], arguments: Sequence[str], prog: str) -> Any:
    """An instance of the dataclass ``kind``, or None when only help was asked for.

    Raises:
        UsageError: an unknown option, a missing or a bad value.
    """
    complaint = io.StringIO()
    try:
        with redirect_stderr(complaint):
            return tyro.cli(
                kind,
                prog=prog,
                args=_complete(arguments),
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as stop:
        if not stop.code:
            return None
        reason = _first_section(complaint.getvalue())
        raise UsageError(f"{reason} ({prog} --help lists the options)") from None


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
    rows = []
    for line in box.splitlines():
        text = line.strip("│ ").strip()
        if re.match(r"^[╭╰]", line):
            continue
        if re.fullmatch(r"─+", text):
            break
        rows.append(text)
    text = " ".join(" ".join(rows).split()).rstrip(".") or "the options are not understood"
    # An optional number: tyro tells why each of its types does not fit; one sentence will do.
    union = re.match(
        r"(Error parsing \S+): no type matching \{None\}\|(\S+) .*? from (\[.*?\])", text
    )
    return f"{union[1]}: {union[3]} is no {union[2]}" if union else text
