"""A plot with one dot a model, drawn without a plotting package."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT = 900, 620
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 40, 30, 70
_INK, _GRID = (30, 30, 30), (225, 225, 225)
_DOTS = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167))  # Okabe and Ito
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class Dot:
    """One model: ``x`` (above 0 on a logarithmic axis), ``y``, its name, a colour from 0 to 3."""

    x: float
    y: float
    name: str
    colour: int = 0


def scatter(
    dots: Sequence[Dot], x_label: str, y_label: str, *, linear: bool = False
) -> NDArray[np.uint8]:
    """(620, 900, 3) uint8: named dots, x logarithmic or linear."""
    picture = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    least, most = min(d.x for d in dots), max(d.x for d in dots)
    low, high = round_log(least, False), round_log(most, True)
    ticks = _ticks(low, high)
    if linear:
        stride = _step(most - least)
        low, high = math.floor(least / stride) * stride, math.ceil(most / stride) * stride
        ticks = [low + n * stride for n in range(round((high - low) / stride) + 1)]
    step = _step(max(d.y for d in dots) - min(d.y for d in dots))
    bottom = math.floor(min(d.y for d in dots) / step) * step
    top = max(math.ceil(max(d.y for d in dots) / step) * step, bottom + step)

    def place(x: float, y: float) -> tuple[int, int]:
        across = (x - low) / (high - low) if linear else math.log(x / low) / math.log(high / low)
        up = (y - bottom) / (top - bottom)
        return (
            round(_LEFT + across * (_WIDTH - _LEFT - _RIGHT)),
            round(_HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)),
        )

    for tick in ticks:
        u, _ = place(tick, bottom)
        cv2.line(picture, (u, _TOP), (u, _HEIGHT - _BOTTOM), _GRID, 1)
        _write(picture, _number(tick), (u, _HEIGHT - _BOTTOM + 22), middle=True)
    for number in range(round((top - bottom) / step) + 1):
        _, v = place(low, bottom + number * step)
        cv2.line(picture, (_LEFT, v), (_WIDTH - _RIGHT, v), _GRID, 1)
        _write(picture, f"{bottom + number * step:g}", (_LEFT - 48, v + 5))
    _write(picture, x_label, ((_LEFT + _WIDTH - _RIGHT) // 2, _HEIGHT - 18), middle=True)
    _write(picture, y_label, (8, 18))
    taken: list[tuple[int, int, int, int]] = []
    points = [place(dot.x, dot.y) for dot in dots]
    for dot, (u, v) in zip(dots, points, strict=True):
        cv2.circle(picture, (u, v), 6, _DOTS[dot.colour], -1, cv2.LINE_AA)
        taken.append((u - 7, v - 7, u + 7, v + 7))
    for dot, point in zip(dots, points, strict=True):
        box = _free(dot.name, point, taken)
        taken.append(box)
        _write(picture, dot.name, (box[0], box[3] - 3))
    return picture


def round_log(value: float, up: bool) -> float:
    """The next of 1, 2, 5, 10, ... beyond a value, so that no dot lies on the frame."""
    power = 10.0 ** math.floor(math.log10(value))
    steps = [power * factor for factor in (0.5, 1, 2, 5, 10, 20)]
    return min(s for s in steps if s > value) if up else max(s for s in steps if s < value)


def _ticks(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = (1, 2, 5) if last - first < 4 else (1,)
    found = [f * 10.0**power for power in range(first, last + 1) for f in every]
    return [tick for tick in found if low * 0.999 <= tick <= high * 1.001]


def _step(span: float) -> float:
    return next((step for step in (0.5, 1, 2, 5, 10, 20) if span / step <= 8), 50)


def _number(value: float) -> str:
    for limit, unit in ((1e6, "M"), (1e3, "K")):
        if value >= limit:
            return f"{value / limit:g}{unit}"
    return f"{value:g}"


def _free(
    name: str, point: tuple[int, int], taken: Sequence[tuple[int, int, int, int]]
) -> tuple[int, int, int, int]:
    """A box (u0, v0, u1, v1) for a name beside its dot that meets no other, where there is one."""
    (width, height), _ = cv2.getTextSize(name, _FONT, 0.45, 1)
    height += 6
    u, v = point
    places = [(u + 9, v - height // 2), (u - width - 9, v - height // 2)]
    for away in range(8, 120, height):
        places += [(u - width // 2, v - away - height), (u - width // 2, v + away)]
        places += [(u + 6, v - away - height), (u + 6, v + away), (u - width - 6, v + away)]
    boxes = [(a, b, a + width, b + height) for a, b in places]
    inside = [b for b in boxes if b[0] >= _LEFT and b[2] <= _WIDTH and b[1] >= 0] or boxes
    free = (
        box
        for box in inside
        if all(box[2] < t[0] or box[0] > t[2] or box[3] < t[1] or box[1] > t[3] for t in taken)
    )
    return next(free, inside[0])


def _write(
    picture: NDArray[np.uint8], text: str, at: tuple[int, int], *, middle: bool = False
) -> None:
    if middle:
        (width, _), _ = cv2.getTextSize(text, _FONT, 0.45, 1)
        at = (at[0] - width // 2, at[1])
    cv2.putText(picture, text, at, _FONT, 0.45, _INK, 1, cv2.LINE_AA)
