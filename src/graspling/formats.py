"""Label texts of the public data sets to :class:`~graspling.grasps.Grasps` and back.

Every angle is converted here, at the door; behind it there is one convention (see ``Grasps``).
A reader skips what it cannot use and reports it with the line, so that one bad row does not cost a
whole file. None of the formats holds a quality.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from graspling.errors import InputError
from graspling.grasps import Grasps
from graspling.rectangles import why_no_rectangle

_BIN_DEG = 10
_CLASSES = 180 // _BIN_DEG + 1


@dataclass(frozen=True)
class Fault:
    """A row that was left out.

    Attributes:
        line: number of the line in the file, from 1.
        message: what was found there and what was expected.
        source: name of the file.
        malformed: False for rows that the format itself allows and that hold no grasp (a rectangle
            with NaN, the background class).
    """

    line: int
    message: str
    source: str = "text"
    malformed: bool = True

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: {self.message}"


@dataclass(frozen=True, eq=False)
class Parsed:
    """What a label text holds: the good rows in file order, and a report of the others."""

    grasps: Grasps
    faults: list[Fault] = field(default_factory=list)


class RowError(Exception):
    """Why a row is left out."""

    def __init__(self, message: str, malformed: bool = True) -> None:
        super().__init__(message)
        self.malformed = malformed


# ---- Cornell --------------------------------------------------------------------------------


def _parse_cornell(text: str, source: str) -> Parsed:
    rows = list(_rows(text))
    rectangles, faults = [], []
    for first in range(0, len(rows), 4):
        corners = []
        try:
            for number, row in rows[first : first + 4]:
                line = number
                corners.append(_numbers(row.split(), "x y", allow_nan=True))
            line = rows[first][0]
            check_rectangle(np.array(corners))
            rectangles.append(corners)
        except RowError as error:
            faults.append(Fault(line, str(error), source, error.malformed))
    return Parsed(Grasps.from_rectangles(np.array(rectangles)), faults)


def check_rectangle(corners: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
    """Raises RowError when (N, 2) corners, pixels, are no rectangle."""
    if len(corners) < 4:
        raise RowError(f"the last rectangle has {len(corners)} corners, expected 4")
    if np.isnan(corners).any():
        raise RowError("a rectangle with NaN was dropped", malformed=False)
    if wrong := why_no_rectangle(corners[None])[0]:
        raise RowError(f"these four corners form no rectangle; {wrong}")


def _write_cornell(grasps: Grasps) -> str:
    corners = grasps.to_rectangles().reshape(-1, 2).tolist()
    return "".join(f"{x!r} {y!r}\n" for x, y in corners)


# ---- Jacquard -------------------------------------------------------------------------------


def _jacquard_row(row: str) -> list[float]:
    u, v, degrees, opening, jaw = _numbers(row.split(";"), "x;y;theta;opening;jaw")
    return [u, v, math.radians(degrees), opening, jaw]


def _write_jacquard(grasps: Grasps) -> str:
    table = np.stack([grasps.u, grasps.v, np.degrees(grasps.angle), grasps.width, grasps.jaw], 1)
    return "".join(";".join(map(repr, row)) + "\n" for row in table.tolist())


# ---- multi-object ---------------------------------------------------------------------------


def _parse_multi_object(text: str, source: str) -> Parsed:
    first = next(_rows(text), (0, ""))[1]
    if len(first.split()) == 2:
        return _parse_cornell(text, source)
    return _by_row(_multi_object_row)(text, source)


def _multi_object_row(row: str) -> list[float]:
    number, left, top, right, bottom = _numbers(row.split(), "class x_min y_min x_max y_max")
    if number == 0:
        raise RowError("class 0 is the background, not a grasp", malformed=False)
    if number not in range(1, _CLASSES + 1):
        raise RowError(f"class {number:g}, expected a whole number from 1 to {_CLASSES}")
    # the classes count from -90 degrees, counter-clockwise as seen, that is against our sense
    degrees = 90 - _BIN_DEG * (number - 1)
    centre = [(left + right) / 2, (top + bottom) / 2]
    return [*centre, math.radians(degrees), right - left, bottom - top]


def _write_multi_object(grasps: Grasps) -> str:
    number = np.floor((90 - np.degrees(grasps.angle)) / _BIN_DEG + 0.5).astype(int) + 1
    half = np.stack([grasps.width, grasps.jaw], axis=1) / 2
    boxes = np.concatenate([grasps.centres - half, grasps.centres + half], axis=1).tolist()
    rows = zip(number.tolist(), boxes, strict=True)
    return "".join(f"{bin_} {' '.join(map(repr, box))}\n" for bin_, box in rows)


# ---- shared ---------------------------------------------------------------------------------


def _rows(text: str) -> Iterator[tuple[int, str]]:
    """(line number from 1, row) of the lines that are not blank."""
    for line, row in enumerate(text.splitlines(), start=1):
        if row.strip():
            yield line, row.strip()


def _numbers(cells: list[str], expected: str, allow_nan: bool = False) -> list[float]:
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError:
        numbers = []
    usable = all(math.isfinite(n) or (allow_nan and math.isnan(n)) for n in numbers)
    if len(numbers) != len(expected.replace(";", " ").split()) or not usable:
        shown = " ".join(cells)
        raise RowError(f'got "{shown[:60]}", expected the numbers "{expected}"')
    return numbers


def _by_row(read: Callable[[str], list[float]]) -> Callable[[str, str], Parsed]:
    """A reader of texts with one grasp (u, v, angle, width, jaw) a row."""

    def parse(text: str, source: str) -> Parsed:
        table, faults = [], []
        for line, row in _rows(text):
            try:
                grasp = read(row)
                if min(grasp[3:]) <= 0:
                    raise RowError(
                        f"opening {grasp[3]:g} and jaw {grasp[4]:g}, expected more than 0"
                    )
                table.append(grasp)
            except RowError as error:
                faults.append(Fault(line, str(error), source, error.malformed))
        return Parsed(Grasps.from_arrays(*np.array(table).reshape(-1, 5).T), faults)

    return parse


@dataclass(frozen=True)
class LabelFormat:
    """One text format of labels.

    Attributes:
        name: key in :data:`FORMATS`.
        about: the layout and its conventions.
    """

    name: str
    about: str
    _parse: Callable[[str, str], Parsed]
    _write: Callable[[Grasps], str]

    def parse(self, text: str, source: str = "text") -> Parsed:
        """Read a label text; ``source`` names the file in the faults. Never raises."""
        return self._parse(text, source)

    def write(self, grasps: Grasps) -> str:
        """The text of ``grasps``, without their quality. ``parse`` reads it back."""
        return self._write(grasps)


FORMATS: dict[str, LabelFormat] = {
    entry.name: entry
    for entry in (
        LabelFormat(
            "cornell",
            'Four lines "x y" a rectangle, pixels of the 640x480 frame; the first edge is the '
            "direction in which the jaws open. A rectangle with NaN is dropped whole.",
            _parse_cornell,
            _write_cornell,
        ),
        LabelFormat(
            "jacquard",
            '"x;y;theta;opening;jaw" a line, pixels and degrees; theta turns from x to y, '
            "clockwise as seen, as in Grasps.",
            _by_row(_jacquard_row),
            _write_jacquard,
        ),
        LabelFormat(
            "multi_object",
            '"class x_min y_min x_max y_max" a line (Chu et al. 2018): the box before it is turned '
            "about its centre, its x side along the opening; class = round((a + 90) / 10) + 1, 1 "
            "to 19, for the angle a in degrees counter-clockwise as seen; class 0 is the "
            "background. Writing rounds the angle to 10 degrees. The published annotation files "
            "hold corners as Cornell's do; a text whose first row is two numbers is read so.",
            _parse_multi_object,
            _write_multi_object,
        ),
    )
}


def label_format(name: str) -> LabelFormat:
    """The format called ``name``. Raises InputError listing the names when there is none."""
    if name not in FORMATS:
        raise InputError(f"label format {name!r} is not known; choose from {', '.join(FORMATS)}")
    return FORMATS[name]
