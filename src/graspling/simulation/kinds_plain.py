"""Plain solids, what shape completion begins with. Sizes in mm."""

from __future__ import annotations

import numpy as np

from graspling.simulation.parts import Part
from graspling.simulation.solids import (
    Draw,
    arc,
    box,
    capsule,
    cylinder,
    ellipsoid,
    group,
    loft,
    prism,
    regular,
)


def block(draw: Draw) -> list[Part]:
    """A box; one side can be taken."""
    return [box(draw.grip(), draw(20, 140), draw(15, 110))]


def slab(draw: Draw) -> list[Part]:
    """A thin box: book, card box, phone."""
    return [box(draw.grip(30, 72), draw(70, 170), draw(8, 25))]


def stick(draw: Draw) -> list[Part]:
    """A long box."""
    return [box(draw(9, 35), draw(90, 220), draw(9, 35))]


def can(draw: Draw) -> list[Part]:
    """A cylinder with rims."""
    radius, height = draw.grip(24, 70) / 2, draw(30, 150)
    parts = group(0, cylinder(radius, height))
    if draw.chance(0.5):
        rim = draw(2, 4)
        parts += group(1, cylinder(radius + 1, rim, (0, 0, height / 2 - rim / 2)))
        parts += group(1, cylinder(radius + 1, rim, (0, 0, -height / 2 + rim / 2)))
    return parts


def puck(draw: Draw) -> list[Part]:
    """A flat cylinder."""
    return [cylinder(draw.grip(30, 72) / 2, draw(9, 28))]


def dowel(draw: Draw) -> list[Part]:
    """A thin cylinder: pen, candle, battery."""
    return [cylinder(draw(9, 32) / 2, draw(60, 200), axis="x")]


def pill(draw: Draw) -> list[Part]:
    """A capsule."""
    radius = draw.grip(14, 60) / 2
    return [capsule(radius, 2 * radius + draw(15, 120), axis="x")]


def ball(draw: Draw) -> list[Part]:
    """A sphere, or nearly."""
    size = draw.grip(24, 70)
    return [ellipsoid(size, size * draw(0.93, 1.07), size * draw(0.93, 1.07))]


def pebble(draw: Draw) -> list[Part]:
    """An ellipsoid: egg, soap, stone."""
    return [ellipsoid(draw.grip(22, 66), draw(40, 120), draw(18, 60))]


def wedge(draw: Draw) -> list[Part]:
    """A triangular prism."""
    width, height = draw.grip(20, 66), draw(20, 70)
    tip = draw(-0.5, 0.5) * width
    return [prism([(-width / 2, 0), (width / 2, 0), (tip, height)], draw(30, 130))]


def column(draw: Draw) -> list[Part]:
    """A prism with five to eight sides."""
    corners = draw.whole(5, 8)
    return [prism(regular(corners, draw.grip(20, 64) / 2), draw(20, 120))]


def cone(draw: Draw) -> list[Part]:
    """A blunt cone or pyramid."""
    corners = draw.whole(4, 5) if draw.chance(0.4) else 20
    low = draw.grip(30, 70) / 2
    return [
        loft(regular(corners, low), regular(corners, low * draw(0.25, 0.8)), draw(30, 110)),
    ]


def lens(draw: Draw) -> list[Part]:
    """Two blunt cones on each other, a thick rim between."""
    radius, rim = draw.grip(30, 70) / 2, draw(6, 20)
    ring, up, down = regular(18, radius), draw(5, 30), draw(5, 30)
    top, bottom = ring * draw(0.3, 0.8), ring * draw(0.3, 0.8)
    return [
        prism(ring, rim),
        loft(ring, top, up, (0, 0, (rim + up) / 2)),
        loft(bottom, ring, down, (0, 0, -(rim + down) / 2)),
    ]


def ell(draw: Draw) -> list[Part]:
    """Two boxes at a right angle."""
    thick, high = draw(12, 45), draw(12, 60)
    a, b = draw(50, 130), draw(40, 110)
    return [
        box(a, thick, high),
        box(thick, b, high, (-a / 2 + thick / 2, thick / 2 + b / 2, 0)),
    ]


def tee(draw: Draw) -> list[Part]:
    """A box across the end of a box."""
    thick, high = draw(12, 40), draw(12, 55)
    a, b = draw(50, 130), draw(40, 110)
    return [
        box(a, thick, high),
        box(draw(0.5, 1.4) * thick, b, high * draw(0.7, 1), (draw(-0.3, 0.3) * a, b / 2, 0)),
    ]


def cross(draw: Draw) -> list[Part]:
    """Two bars that cross."""
    high = draw(12, 45)
    return [
        box(draw(60, 140), draw(12, 40), high),
        box(draw(12, 40), draw(60, 140), high * draw(0.7, 1), (draw(-15, 15), draw(-15, 15), 0)),
    ]


def steps(draw: Draw) -> list[Part]:
    """Boxes on each other, each smaller."""
    x, y, z = draw.grip(30, 70), draw(40, 120), 0.0
    parts = []
    for number in range(draw.whole(2, 3)):
        height = draw(12, 40)
        shift = (draw(-4, 4) * number, draw(-8, 8) * number, z + height / 2)
        parts += group(number, box(x, y, height, shift))
        x, y, z = x * draw(0.45, 0.85), y * draw(0.45, 0.85), z + height
    return parts


def crescent(draw: Draw) -> list[Part]:
    """A bent rod: banana, hook, handle."""
    thick = draw(10, 34) / 2
    span = np.deg2rad(draw(50, 200))
    radius = max(draw(80, 170) / span, 2.2 * thick)
    return arc(radius, -span / 2, span / 2, thick, max(3, round(5 * span)))


KINDS = {
    kind.__name__: kind
    for kind in (
        *(block, slab, stick, can, puck, dowel, pill, ball, pebble, wedge, column, cone, lens),
        *(ell, tee, cross, steps, crescent),
    )
}
