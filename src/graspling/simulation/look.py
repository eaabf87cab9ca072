"""How a scene looks: colours, textures, gloss, lights, exposure, all at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from graspling.simulation.objects import ObjectModel
from graspling.simulation.textures import object_textures, table_textures

Colour = tuple[float, float, float]
Generator = np.random.Generator


@dataclass(frozen=True)
class Surface:
    """Of a part or a table.

    Attributes:
        colour: RGB in [0, 1]; it tints the texture.
        texture: number in the bank (``textures.py``), -1 none.
        repeat: of a table's texture a metre; on an object, copies a face.
        gloss: strength of highlights in [0, 1].
        shine: how small they are, in [0, 1].
    """

    colour: Colour
    texture: int = -1
    repeat: float = 1.0
    gloss: float = 0.2
    shine: float = 0.3


@dataclass(frozen=True)
class Light:
    """A lamp far away. ``direction`` (3,) is that of its light in the world, length 1."""

    direction: tuple[float, float, float]
    diffuse: Colour
    specular: float
    shadow: bool


@dataclass(frozen=True)
class Look:
    """Attributes:
    objects: of each object its surfaces by group of parts (``Part.group`` modulo their number).
    table, floor: surfaces.
    lights: the first may throw shadows.
    ambient: light from everywhere.
    softness: of the shadow's edge, standard deviation in pixels.
    slope: change of brightness over the image from left to right and top to bottom.
    """

    objects: tuple[tuple[Surface, ...], ...]
    table: Surface
    floor: Surface
    lights: tuple[Light, ...]
    ambient: Colour
    softness: float
    slope: tuple[float, float]


def random_look(rng: Generator, objects: Sequence[ObjectModel]) -> Look:
    """Any look; the same generator state gives the same look."""
    lamps = [_light(rng, number) for number in range(int(rng.integers(1, 4)))]
    ambient = _tint(rng, rng.uniform(0.3, 0.6), 0.04)
    # so that a white table is neither burnt out nor dark
    light = np.mean(ambient) - sum(np.mean(lamp.diffuse) * lamp.direction[2] for lamp in lamps)
    factor = float(rng.uniform(0.6, 1.12) / light)
    return Look(
        objects=tuple(_object(rng) for _ in objects),
        table=_table(rng),
        floor=Surface(_hsv(rng, 0.3, (0.1, 0.6))),
        lights=tuple(replace(lamp, diffuse=_times(lamp.diffuse, factor)) for lamp in lamps),
        ambient=_times(ambient, factor),
        softness=float(rng.uniform(0.5, 6)),
        slope=(float(rng.uniform(-0.15, 0.15)), float(rng.uniform(-0.15, 0.15))),
    )


def _times(colour: Colour, factor: float) -> Colour:
    r, g, b = (value * factor for value in colour)
    return r, g, b


def _object(rng: Generator) -> tuple[Surface, ...]:
    """Three groups; often one material for all of them."""
    count = len(object_textures())
    surfaces: list[Surface] = []
    for group in range(3):
        if group and rng.random() < 0.3:
            surfaces.append(surfaces[0])
            continue
        textured = rng.random() < (0.55 if group == 0 else 0.25)
        surfaces.append(
            Surface(
                _object_colour(rng, textured),
                int(rng.integers(count)) if textured else -1,
                float(rng.choice([1, 1, 1, 2, 3])),
                float(rng.random() ** 2),
                float(rng.uniform(0.05, 0.9)),
            )
        )
    return tuple(surfaces)


def _object_colour(rng: Generator, textured: bool) -> Colour:
    if textured:
        return _hsv(rng, 0.35, (0.7, 1.0))
    kind = rng.random()
    if kind < 0.12:
        return _tint(rng, rng.uniform(0.8, 1.0), 0.03)  # white
    if kind < 0.24:
        return _tint(rng, rng.uniform(0.04, 0.18), 0.02)  # black
    if kind < 0.40:
        return _tint(rng, rng.uniform(0.3, 0.7), 0.03)  # grey, metal
    return _hsv(rng, 1.0, (0.25, 1.0))


def _table(rng: Generator) -> Surface:
    kind = rng.random()
    gloss, shine = float(0.35 * rng.random() ** 2), float(rng.uniform(0.05, 0.5))
    if kind < 0.3:  # paper, white laminate
        texture = int(rng.integers(5)) if rng.random() < 0.6 else -1
        return Surface(_tint(rng, rng.uniform(0.75, 1.0), 0.04), texture, 2.0, gloss / 2, shine)
    if kind < 0.42:  # plain
        return Surface(_hsv(rng, 0.5, (0.12, 0.9)), -1, 1.0, gloss, shine)
    texture = int(rng.integers(len(table_textures())))
    colour = _hsv(rng, 0.2, (0.65, 1.0))
    return Surface(
        colour, texture, float(np.exp(rng.uniform(np.log(0.8), np.log(4)))), gloss, shine
    )


def _light(rng: Generator, number: int) -> Light:
    tilt, turn = np.deg2rad(rng.uniform(5, 60)), rng.uniform(0, 2 * np.pi)
    x, y = np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn)
    strength = rng.uniform(0.35, 0.65) if number == 0 else rng.uniform(0.05, 0.3)
    return Light(
        (float(x), float(y), float(-np.cos(tilt))),
        _tint(rng, strength, 0.06),
        float(rng.uniform(0.1, 0.6)),
        number == 0 and rng.random() < 0.75,
    )


def _tint(rng: Generator, value: float, spread: float) -> Colour:
    r, g, b = (float(v) for v in np.clip(value * (1 + rng.uniform(-spread, spread, 3)), 0, 2))
    return r, g, b


def _hsv(rng: Generator, saturation: float, value: tuple[float, float]) -> Colour:
    hsv = [[[rng.uniform(0, 360), saturation * rng.random() ** 0.7, rng.uniform(*value)]]]
    r, g, b = cv2.cvtColor(np.array(hsv, np.float32), cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return r, g, b
