"""Line charts, drawn with what is there for pictures: losses over epochs, scores over rounds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from graspling.errors import InputError
from graspling.pictures import Picture

# Told apart by any eye (Okabe and Ito), red first.
_COLOURS = [(0, 114, 178), (230, 80, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (0, 0, 0)]
_INK, _GRID = (40, 40, 40), (225, 225, 225)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 20, 50, 60

Points = Sequence[tuple[float, float]]


def chart(
    curves: Mapping[str, Points],
    *,
    x: str,
    y: str,
    title: str = "",
    size: tuple[int, int] = (800, 480),
    zero: bool = True,
) -> Picture:
    """One line for each curve, with axes, ticks and a legend.

    Args:
        curves: points (x, y) by name, in the order in which they are joined; those that are not
            finite are left out.
        x, y: what the axes show.
        size: (width, height), pixels.
        zero: whether the y axis begins at 0.

    Returns:
        (height, width, 3) uint8, red first.

    Raises:
        InputError: there is no point to draw.
    """
    finite = {
        name: [p for p in points if math.isfinite(p[0]) and math.isfinite(p[1])]
        for name, points in curves.items()
    }
    every = [point for points in finite.values() for point in points]
    if not every:
        raise InputError("chart: there is no point to draw")
    width, height = size
    picture = np.full((height, width, 3), 255, np.uint8)
    x_ticks = _ticks(min(p[0] for p in every), max(p[0] for p in every))
    low = 0.0 if zero else min(p[1] for p in every)
    y_ticks = _ticks(min(low, min(p[1] for p in every)), max(p[1] for p in every))

    def place(u: float, v: float) -> tuple[int, int]:
        right = (u - x_ticks[0]) / (x_ticks[-1] - x_ticks[0])
        up = (v - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        across, high = width - _LEFT - _RIGHT, height - _TOP - _BOTTOM
        return round(_LEFT + right * across), round(height - _BOTTOM - up * high)

    for value in x_ticks:
        at = place(value, y_ticks[0])
        cv2.line(picture, at, place(value, y_ticks[-1]), _GRID, 1)
        _text(picture, f"{value:g}", (at[0], at[1] + 22), centred=True)
    for value in y_ticks:
        at = place(x_ticks[0], value)
        cv2.line(picture, at, place(x_ticks[-1], value), _GRID, 1)
        _text(picture, f"{value:g}", (12, at[1] + 5))
    for number, (name, points) in enumerate(finite.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        line = np.array([place(*p) for p in points], np.int32)
        cv2.polylines(picture, [line], False, colour, 2, cv2.LINE_AA)
        if len(points) <= 30:
            for point in line:
                cv2.circle(picture, tuple(map(int, point)), 4, colour, -1, cv2.LINE_AA)
        top = _TOP + 18 + 22 * number
        cv2.line(picture, (width - 230, top - 5), (width - 205, top - 5), colour, 3, cv2.LINE_AA)
        _text(picture, name, (width - 198, top))
    _text(picture, x, (width // 2, height - 14), centred=True)
    _text(picture, f"{y}{': ' + title if title else ''}", (12, 26))
    return picture


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from below the lowest to above the highest value."""
    span = high - low
    if span <= 1e-6 * abs(high):  # all the same
        span = abs(high) or 1.0
    raw = span / 6
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(k * step, 12) for k in range(first, max(last, first + 1) + 1)]


def _text(picture: Picture, text: str, at: tuple[int, int], centred: bool = False) -> None:
    (wide, _), _ = cv2.getTextSize(text, _FONT, 0.5, 1)
    origin = (at[0] - wide // 2 if centred else at[0], at[1])
    cv2.putText(picture, text, origin, _FONT, 0.5, _INK, 1, cv2.LINE_AA)
