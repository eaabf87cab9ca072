"""A fixed bank of procedural textures: on objects, so that a network learns shape, and on tables.

The bank is the same in every process and is drawn once; a scene picks from it and tints what it
picks, because uploading textures for each scene would cost more than rendering it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Generator = np.random.Generator
OBJECT_SIDE, TABLE_SIDE = 128, 512
_SEED = 20240


@cache
def object_textures() -> tuple[Image, ...]:
    """(6 * 128, 128, 3) RGB each: six faces of a cube below each other."""
    recipes = [noise] * 8 + [checker] * 4 + [stripes] * 7 + [wood] * 6 + [speckle] * 6
    recipes += [printed] * 14 + [brushed] * 4
    return tuple(_cube(recipe, index) for index, recipe in enumerate(recipes))


@cache
def table_textures() -> tuple[Image, ...]:
    """(512, 512, 3) RGB each; they tile."""
    recipes = [paper] * 5 + [wood] * 7 + [speckle] * 5 + [weave] * 4 + [noise] * 6
    recipes += [checker, stripes, tiles, tiles, brushed, brushed]
    rngs = [np.random.default_rng([_SEED, 1, index]) for index in range(len(recipes))]
    return tuple(recipe(rng, TABLE_SIDE) for recipe, rng in zip(recipes, rngs, strict=True))


def _cube(recipe: Callable[[Generator, int], Image], index: int) -> Image:
    """Two different faces and their copies, so that opposite sides differ in part."""
    faces = []
    for face in range(3):
        # the same colours on every face: one generator for colours, another for the pattern
        rng = np.random.default_rng([_SEED, 0, index])
        rng.random(1 if face == 2 and recipe is printed else 0)
        faces.append(recipe(rng, OBJECT_SIDE))
    return np.concatenate([faces[k] for k in (0, 0, 2, 1, 1, 0)])


# ---- colours ------------------------------------------------------------------------------------


def _colour(rng: Generator, saturation: float = 1.0) -> NDArray[np.float64]:
    """(3,) in [0, 1], bright enough to be tinted."""
    hsv = np.array([[[rng.uniform(0, 360), saturation * rng.random(), rng.uniform(0.35, 1)]]])
    return np.asarray(cv2.cvtColor(hsv.astype(np.float32), cv2.COLOR_HSV2RGB)[0, 0], np.float64)


def _mix(field: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> Image:
    """Colours between two (3,) by a field (H, W) in [0, 1]."""
    image = low + np.clip(field, 0, 1)[..., None] * (high - low)
    return np.asarray(np.rint(image * 255), np.uint8)


# ---- fields, all of them tile -------------------------------------------------------------------


def _field(rng: Generator, side: int, cells: tuple[int, int]) -> NDArray[np.float32]:
    """Smooth noise in [0, 1] that tiles, with cells (rows, columns) of random values."""
    coarse = rng.random(cells).astype(np.float32)
    coarse = np.pad(coarse, 2, mode="wrap")
    rows, columns = np.array(cells) + 4
    large = cv2.resize(
        coarse, (side * columns // cells[1], side * rows // cells[0]), interpolation=cv2.INTER_CUBIC
    )
    top, left = 2 * side // cells[0], 2 * side // cells[1]
    field = large[top : top + side, left : left + side]
    low, high = float(field.min()), float(field.max())
    return np.asarray((field - low) / (high - low + 1e-6), np.float32)


def _octaves(rng: Generator, side: int, first: int, count: int) -> NDArray[np.float32]:
    total = np.zeros((side, side), np.float32)
    for octave in range(count):
        cells = min(first * 2**octave, side)
        total += _field(rng, side, (cells, cells)) / 2**octave
    total -= total.min()
    return np.asarray(total / total.max(), np.float32)


# ---- recipes: (rng, side) -> (side, side, 3) uint8 ----------------------------------------------


def noise(rng: Generator, side: int) -> Image:
    """Clouds: stone, stains, concrete."""
    field = _octaves(rng, side, int(rng.integers(2, 12)), 5)
    if side == TABLE_SIDE:  # one colour and its shades
        colour = _colour(rng, 0.35)
        return _mix(field, colour * rng.uniform(0.6, 0.95), colour)
    return _mix(field, _colour(rng, 0.6) * rng.uniform(0.5, 1), _colour(rng, 0.6))


def paper(rng: Generator, side: int) -> Image:
    """White or grey, almost even."""
    field = _octaves(rng, side, 4, 6)
    return _mix(field, np.full(3, rng.uniform(0.86, 0.95)), np.full(3, 1.0))


def speckle(rng: Generator, side: int) -> Image:
    """Small dots: laminate, granite."""
    field = np.full((side, side), 0.15, np.float32)
    for _ in range(2):
        dots = rng.random((side, side)) < rng.uniform(0.005, 0.06)
        grown = cv2.dilate(dots.astype(np.uint8), np.ones((int(rng.integers(1, 4)),) * 2, np.uint8))
        field[grown > 0] = rng.uniform(0.4, 1)
    soft = cv2.blur(field, (2, 2), borderType=cv2.BORDER_REFLECT)
    if side == TABLE_SIDE:
        colour = _colour(rng, 0.3)
        return _mix(soft, colour, colour * rng.uniform(0.5, 0.9))
    return _mix(soft, _colour(rng, 0.5), _colour(rng, 0.5) * 0.7)


def checker(rng: Generator, side: int) -> Image:
    """Squares."""
    count = int(rng.choice([4, 8, 16]))
    row, column = np.indices((side, side)) * count // side
    return _mix(((row + column) % 2).astype(float), _colour(rng), _colour(rng))


def stripes(rng: Generator, side: int) -> Image:
    """Bars of two widths, along either side, or slanted."""
    row, column = np.indices((side, side)) / side
    across = (row, column, row + column)[int(rng.integers(3))]
    phase = across * int(rng.integers(2, 12)) % 1
    field = (phase < rng.uniform(0.2, 0.7)).astype(float)
    field += (np.abs(phase - 0.85) < 0.05) * 0.5
    return _mix(field, _colour(rng), _colour(rng))


def wood(rng: Generator, side: int) -> Image:
    """Bent rings along one direction, on boards."""
    bend = _octaves(rng, side, 2, 2) * rng.uniform(0.5, 2)
    along = _field(rng, side, (int(rng.integers(10, 24)), 2))
    fibre = _field(rng, side, (side // 2, 8))
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (bend + along * rng.uniform(1, 3)))
    field = 0.6 * rings + 0.4 * fibre
    dark = np.array([0.42, 0.27, 0.15]) * rng.uniform(0.5, 1.4) + rng.uniform(-0.05, 0.05, 3)
    light = np.clip(dark + rng.uniform(0.15, 0.4) * np.array([1, 0.85, 0.65]), 0, 1)
    image = _mix(field, np.clip(dark, 0, 1), light)
    if side == TABLE_SIDE:
        board = side // int(rng.choice([2, 4, 8]))
        for number, top in enumerate(range(0, side, board)):
            shade = rng.uniform(0.8, 1.1)
            rows = image[top : top + board].astype(np.float32) * shade
            rows = np.roll(rows, int(rng.integers(side)), axis=1)
            rows[:2] *= 0.6 if number % 2 == 0 else 0.7
            image[top : top + board] = np.clip(rows, 0, 255)
    return image


def weave(rng: Generator, side: int) -> Image:
    """Cloth: threads over and under."""
    count = int(rng.choice([32, 64, 128]))
    row, column = np.indices((side, side)) * count / side
    over = (np.floor(row) + np.floor(column)) % 2
    field = np.where(over > 0, np.sin(np.pi * (row % 1)), np.sin(np.pi * (column % 1)))
    field = 0.7 * field + 0.3 * _octaves(rng, side, 8, 3)
    colour = _colour(rng, 0.6)
    return _mix(field, colour * 0.6, colour)


def tiles(rng: Generator, side: int) -> Image:
    """Tiles with joints."""
    count = int(rng.choice([4, 8]))
    row, column = np.indices((side, side)) * count / side
    joint = (row % 1 < 0.04) | (column % 1 < 0.04)
    shade = rng.random((count, count))[row.astype(int), column.astype(int)]
    field = 0.6 + 0.3 * shade + 0.1 * _octaves(rng, side, 8, 3)
    return _mix(np.where(joint, 0, field), _colour(rng, 0.3) * 0.5, _colour(rng, 0.4))


def brushed(rng: Generator, side: int) -> Image:
    """Metal with fine scratches."""
    field = 0.5 * _field(rng, side, (side // 2, 2)) + 0.5 * _field(rng, side, (side // 4, 4))
    grey = rng.uniform(0.5, 0.8) * np.array([1, 1, rng.uniform(0.95, 1.05)])
    return _mix(field, grey * 0.8, np.clip(grey * 1.2, 0, 1))


def printed(rng: Generator, side: int) -> Image:
    """A package: bands, circles, a title, small print, a bar code."""
    image = np.empty((side, side, 3), np.uint8)
    image[:] = np.rint(_colour(rng, 0.8) * 255)
    ink = [tuple(int(v) for v in np.rint(_colour(rng) * 255 * rng.uniform(0.1, 1))) for _ in "123"]
    top = int(rng.integers(0, side // 2))
    cv2.rectangle(image, (0, top), (side, top + int(rng.integers(16, 56))), ink[0], -1)
    for _ in range(int(rng.integers(1, 4))):
        centre = tuple(int(v) for v in rng.integers(0, side, 2))
        cv2.circle(
            image, centre, int(rng.integers(6, 34)), ink[int(rng.integers(3))], -1, cv2.LINE_AA
        )
    letters = "".join(rng.choice(list("ABCDEFGHKLMNOPRSTUWXZ"), int(rng.integers(4, 8))))
    place = (int(rng.integers(0, 20)), int(rng.integers(30, 90)))
    cv2.putText(image, letters, place, cv2.FONT_HERSHEY_DUPLEX, 0.9, ink[1], 2, cv2.LINE_AA)
    for row in range(int(rng.integers(78, 96)), side - 4, 5):
        x = 6
        while x < side * 0.6:
            step = int(rng.integers(3, 12))
            cv2.line(image, (x, row), (x + step, row), ink[2], 1)
            x += step + 3
    for x in range(int(side * 0.68), side - 6, 2):
        if rng.random() < 0.6:
            cv2.line(image, (x, side - 30), (x, side - 8), (20, 20, 20), 1)
    return image
