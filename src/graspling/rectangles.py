"""Do four corners form a rectangle? Labels of many hands come as corners."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# A list whose diagonals miss each other's middle by more than this share of the longer one is no
# rectangle; that is how a file with a missing line shows (the real files stay below 0.00001).
_SKEW = 0.25
# Corners rounded to pixels turn the sides of a small rectangle by some degrees; a slip of the
# mouse turns them further.
_SHEAR = np.radians(30)


def edges(corners: Floats) -> tuple[Floats, Floats]:
    """Opening and plate of (N, 4, 2) corners, two (N, 2): means of the opposite edges."""
    p0, p1, p2, p3 = np.moveaxis(corners, 1, 0)
    return (p1 - p0 + p2 - p3) / 2, (p2 - p1 + p3 - p0) / 2


def why_no_rectangle(corners: Floats) -> list[str]:
    """For each of (N, 4, 2) finite corners, pixels, what is wrong with it; "" if nothing is."""
    p0, p1, p2, p3 = np.moveaxis(corners, 1, 0)
    diagonal = np.maximum(*(np.linalg.norm(line, axis=1) for line in (p2 - p0, p3 - p1)))
    skewed = np.linalg.norm(p0 + p2 - p1 - p3, axis=1) / 2 > _SKEW * diagonal
    opening, plate = edges(corners)
    across = opening[:, 0] * plate[:, 1] - opening[:, 1] * plate[:, 0]
    along = (opening * plate).sum(axis=1)
    corner = np.arctan2(np.abs(across), np.abs(along))  # the smaller angle between the sides
    empty = (np.linalg.norm(opening, axis=1) == 0) | (np.linalg.norm(plate, axis=1) == 0)
    answers = []
    for number in range(len(corners)):
        if skewed[number]:
            answers.append("its opposite sides differ; is a corner missing before?")
        elif empty[number]:
            answers.append("it has an edge of length 0")
        elif corner[number] < np.pi / 2 - _SHEAR:
            answers.append(f"its sides meet at {np.degrees(corner[number]):.0f} degrees")
        else:
            answers.append("")
    return answers
