"""Tools and industrial parts, from convex parts. Sizes in mm."""

from __future__ import annotations

import numpy as np

from graspling.simulation.parts import Part
from graspling.simulation.rotation import about
from graspling.simulation.solids import (
    Draw,
    arc,
    bar,
    box,
    capsule,
    cylinder,
    group,
    loft,
    prism,
    regular,
    rod,
    staves,
    tube,
)


def hammer(draw: Draw) -> list[Part]:
    """A head across a handle."""
    length, grip, head = draw(110, 200), draw(16, 32), draw(50, 100)
    size = draw(18, 36)
    if draw.chance(0.5):
        parts = group(0, capsule(grip / 2, length, axis="x"))
    else:
        parts = group(0, box(length, grip, grip * draw(0.7, 1)))
    at = (length / 2, draw(-0.15, 0.15) * head, 0)
    if draw.chance(0.5):
        parts += group(1, cylinder(size / 2, head, at, axis="y"))
    else:
        parts += group(1, box(size, head, size * draw(0.8, 1.2), at))
    return parts


def screwdriver(draw: Draw) -> list[Part]:
    """Handle and shaft."""
    handle, radius, shaft = draw(70, 105), draw(11, 18), draw(60, 120)
    corners = draw.whole(6, 8)
    turned = about("y", np.pi / 2)
    grip = prism(regular(corners, radius), handle)
    parts = group(0, grip.turned(turned))
    parts += group(1, tube((handle / 2, 0, 0), (handle / 2 + shaft, 0, 0), draw(3, 5)))
    parts += group(0, cylinder(radius * 0.75, 10, (handle / 2 + 4, 0, 0), axis="x"))
    return parts


def wrench(draw: Draw) -> list[Part]:
    """Bar with an open jaw at one end and a ring at the other."""
    length, wide, high = draw(80, 150), draw(12, 22), draw(9, 14)
    parts = [bar((0, 0, 0), (length, 0, 0), wide, high)]
    jaw, gap = draw(16, 24), draw(10, 18)
    for side in (-1, 1):
        at = (length + jaw * 0.8, side * (gap / 2 + jaw * 0.3))
        parts.append(bar((length - 4, side * (gap / 2 + 2), 0), (*at, 0), jaw * 0.55, high))
    ring = draw(13, 18)
    parts += arc(ring, 0, 2 * np.pi, high / 2, 10, (-ring, 0, 0))
    return parts


def pliers(draw: Draw) -> list[Part]:
    """Two bent handles, a joint, short jaws."""
    spread, length, thick = draw(14, 30), draw(80, 120), draw(6, 9)
    parts = group(1, cylinder(draw(11, 15), 2 * thick * 0.9))
    for side in (-1, 1):
        middle = (-0.45 * length, side * spread, 0)
        end = (-length, side * spread * draw(0.5, 0.9), 0)
        parts += group(0, rod((-8, side * 5, 0), middle, thick), rod(middle, end, thick))
        parts += group(1, bar((0, side * 6, 0), (draw(35, 55), side * 4, 0), 8, 2 * thick * 0.8))
    return parts


def bracket(draw: Draw) -> list[Part]:
    """Angle bracket: two plates, perhaps a rib."""
    wide, thick = draw(20, 60), draw(4, 12)
    a, b = draw(40, 90), draw(35, 80)
    parts = [box(a, wide, thick), box(thick, wide, b, (-a / 2 + thick / 2, 0, b / 2))]
    if draw.chance(0.5):
        corner = np.array([(0, 0), (a * 0.7, 0), (0, b * 0.7)]) + (-a / 2 + thick / 2, 0)
        rib = prism(corner, draw(4, 9)).turned(about("x", np.pi / 2))
        parts.append(rib)
    return parts


def channel(draw: Draw) -> list[Part]:
    """U-shaped: two walls on a floor."""
    length, wide, high, thick = draw(40, 120), draw(30, 68), draw(20, 55), draw(5, 12)
    side = (wide - thick) / 2
    return [
        box(length, wide, thick),
        box(length, thick, high, (0, side, high / 2)),
        box(length, thick, high, (0, -side, high / 2)),
    ]


def beam(draw: Draw) -> list[Part]:
    """I-profile."""
    length, wide, high = draw(50, 140), draw(25, 60), draw(25, 65)
    thick = draw(5, 10)
    return [
        box(length, wide, thick, (0, 0, high / 2)),
        box(length, wide, thick, (0, 0, -high / 2)),
        box(length, draw(6, 14), high, (0, 0, 0)),
    ]


def ring(draw: Draw) -> list[Part]:
    """A torus: taken by its rim."""
    radius, thick = draw(22, 60), draw(5, 13)
    return arc(radius, 0, 2 * np.pi, thick, 14)


def washer(draw: Draw) -> list[Part]:
    """A pipe section: tape roll, bearing, sleeve."""
    outer, height = draw.grip(32, 70) / 2, draw(12, 60)
    return staves(outer, outer * draw(0.5, 0.85), height)


def nut(draw: Draw) -> list[Part]:
    """A hexagon with a hole."""
    outer, height = draw(28, 64) / 2, draw(10, 30)
    return staves(outer, outer * draw(0.45, 0.65), height, count=6)


def bolt(draw: Draw) -> list[Part]:
    """Hexagonal head, shaft, perhaps a nut on it."""
    radius, length = draw(5, 13), draw(35, 100)
    head = draw(8, 18)
    parts = group(0, cylinder(radius, length))
    parts += group(0, prism(regular(6, radius * draw(1.6, 2.1)), head, (0, 0, length / 2)))
    if draw.chance(0.4):
        at = (0, 0, draw(-0.4, 0.1) * length)
        parts += group(1, prism(regular(6, radius * 1.8), head, at))
    return parts


def gear(draw: Draw) -> list[Part]:
    """A disc with teeth and a hub."""
    radius, height, teeth = draw(18, 34), draw(9, 22), draw.whole(8, 14)
    parts = [cylinder(radius, height)]
    for k in range(teeth):
        angle = 2 * np.pi * k / teeth
        at = (radius * np.cos(angle), radius * np.sin(angle), 0)
        wide = radius * 2.6 / teeth
        parts.append(box(draw(7, 8) * 1.2, wide, height, at, about("z", angle)))
    parts += group(1, cylinder(radius * draw(0.3, 0.5), height + draw(6, 25)))
    return parts


def elbow(draw: Draw) -> list[Part]:
    """Pipe bend with collars."""
    radius, a, b = draw(10, 24), draw(30, 70), draw(30, 70)
    parts = group(0, rod((0, 0, 0), (a, 0, 0), radius), rod((0, 0, 0), (0, b, 0), radius))
    collar = radius * draw(1.1, 1.3)
    parts += group(1, tube((a - 4, 0, 0), (a + radius, 0, 0), collar))
    parts += group(1, tube((0, b - 4, 0), (0, b + radius, 0), collar))
    return parts


def pipe_tee(draw: Draw) -> list[Part]:
    """Three pipes that meet."""
    radius, length = draw(10, 24), draw(60, 120)
    return [
        cylinder(radius, length, axis="x"),
        tube((0, 0, 0), (0, draw(30, 70), 0), radius * draw(0.7, 1)),
    ]


def spool(draw: Draw) -> list[Part]:
    """Two flanges on a core, with thread."""
    flange, core, length = draw.grip(30, 68) / 2, draw(8, 14), draw(25, 70)
    thick = draw(3, 7)
    parts = group(0, cylinder(flange, thick, (0, 0, length / 2)))
    parts += group(0, cylinder(flange, thick, (0, 0, -length / 2)))
    parts += group(1, cylinder(min(core * draw(1, 1.8), flange * 0.9), length))
    return parts


def shaft(draw: Draw) -> list[Part]:
    """Turned part: cylinders of several radii in a row."""
    parts, x = [], 0.0
    for number in range(draw.whole(3, 5)):
        length = draw(15, 45)
        parts += group(number % 2, cylinder(draw(6, 28), length, (x + length / 2, 0, 0), axis="x"))
        x += length
    return parts


def plug(draw: Draw) -> list[Part]:
    """Adapter: tapered body, collar, pins."""
    wide, high = draw(28, 52), draw(28, 50)
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * wide / 2
    parts = group(0, loft(square, square * draw(0.6, 0.9), high))
    parts += group(0, cylinder(wide * 0.35, 14, (0, 0, high / 2 + 6)))
    for side in (-1, 1):
        parts += group(1, cylinder(2.5, 20, (side * wide * 0.22, 0, -high / 2 - 9)))
    return parts


def hook(draw: Draw) -> list[Part]:
    """Allen key, hook, crank: a bent rod with straight ends."""
    thick, a, b, c = draw(4, 9), draw(60, 130), draw(25, 60), draw(0, 50)
    parts = [rod((0, 0, 0), (a, 0, 0), thick), rod((0, 0, 0), (0, b, 0), thick)]
    if c > 20:
        parts.append(rod((0, b, 0), (draw(-1, 1) * c, b, c * draw(0, 0.6)), thick))
    return parts


def clamp(draw: Draw) -> list[Part]:
    """C-clamp: frame of three bars, screw with a handle."""
    high, deep, thick = draw(45, 85), draw(35, 60), draw(10, 16)
    parts = group(0, box(thick, high, thick * draw(0.7, 1)))
    for side in (-1, 1):
        at = (deep / 2, side * (high - thick) / 2, 0)
        parts += group(0, box(deep + thick, thick, thick * draw(0.7, 1), at))
    x, low = deep - 4, -high / 2
    parts += group(1, tube((x, low - 35, 0), (x, low + high * draw(0.3, 0.6), 0), 4.5))
    parts += group(1, rod((x - 16, low - 32, 0), (x + 16, low - 32, 0), 3.5))
    return parts


KINDS = {
    kind.__name__: kind
    for kind in (
        *(hammer, screwdriver, wrench, pliers, bracket, channel, beam, ring, washer, nut, bolt),
        *(gear, elbow, pipe_tee, spool, shaft, plug, hook, clamp),
    )
}
