"""Things of kitchen, bath and desk, from convex parts. Sizes in mm."""

from __future__ import annotations

import numpy as np

from graspling.simulation.parts import Part
from graspling.simulation.solids import (
    Draw,
    arc,
    bar,
    box,
    capsule,
    cylinder,
    ellipsoid,
    flared,
    group,
    loft,
    prism,
    regular,
    rod,
    staves,
)


def mug(draw: Draw) -> list[Part]:
    """Wall, bottom, handle."""
    radius, height, wall = draw.grip(48, 70) / 2, draw(60, 105), draw(4, 7)
    parts = group(0, staves(radius, radius - wall, height))
    parts += group(0, cylinder(radius - 0.5, wall, (0, 0, -height / 2 + wall / 2)))
    thick, reach, tall = draw(4, 6), draw(20, 30), height * draw(0.25, 0.36)
    out = radius - wall / 2
    corners = [(out, tall), (out + reach * 0.75, tall * 0.9), (out + reach, tall * 0.3)]
    corners += [(x, -z) for x, z in reversed(corners)]
    colour = 1 if draw.chance(0.2) else 0
    for (x0, z0), (x1, z1) in zip(corners[:-1], corners[1:], strict=True):
        parts += group(colour, rod((x0, 0, z0), (x1, 0, z1), thick))
    return parts


def cup(draw: Draw) -> list[Part]:
    """A beaker that widens upwards; paper cup, yoghurt pot, plant pot."""
    low, wall, height = draw(20, 28), draw(3, 5), draw(50, 110)
    high = low * draw(1.08, 1.35)
    return flared(low, high, wall, height) + [
        cylinder(low + 0.5, wall, (0, 0, -height / 2 + wall / 2))
    ]


def bowl(draw: Draw) -> list[Part]:
    """Low and wide: taken by its rim only."""
    low, wall, height = draw(22, 40), draw(4, 7), draw(28, 50)
    return flared(low, low * draw(1.3, 1.7), wall, height, count=16) + [
        cylinder(low, wall, (0, 0, -height / 2 + wall / 2))
    ]


def bottle(draw: Draw) -> list[Part]:
    """Body, shoulder, neck, cap."""
    radius, body = draw.grip(34, 68) / 2, draw(60, 130)
    shoulder, neck = draw(12, 35), draw(10, 35)
    thin = max(radius * draw(0.28, 0.5), 7)
    parts = group(0, cylinder(radius, body))
    ring = regular(20, 1.0)
    parts += group(0, loft(ring * radius, ring * thin, shoulder, (0, 0, body / 2 + shoulder / 2)))
    top = body / 2 + shoulder
    parts += group(0, cylinder(thin, neck, (0, 0, top + neck / 2)))
    cap = draw(9, 18)
    parts += group(1, cylinder(thin * draw(1.05, 1.3), cap, (0, 0, top + neck + cap / 2)))
    return parts


def flask(draw: Draw) -> list[Part]:
    """A flat bottle: shampoo, detergent."""
    width, deep, body = draw(45, 90), draw(24, 46), draw(90, 150)
    ring = regular(18, 0.5)
    parts = group(0, prism(ring * (width, deep), body))
    parts += group(0, loft(ring * (width, deep), ring * 22, 14, (0, 0, body / 2 + 7)))
    parts += group(1, cylinder(draw(9, 14), draw(14, 28), (0, 0, body / 2 + 24)))
    return parts


def jar(draw: Draw) -> list[Part]:
    """A low body with a wide lid."""
    radius, height, lid = draw.grip(40, 66) / 2, draw(40, 95), draw(9, 20)
    corners = 20 if draw.chance(0.7) else 6
    parts = group(0, prism(regular(corners, radius), height))
    parts += group(1, cylinder(radius * draw(0.85, 1.0), lid, (0, 0, height / 2 + lid / 2)))
    return parts


def spray(draw: Draw) -> list[Part]:
    """A bottle with a trigger head."""
    radius, body = draw(26, 36), draw(80, 120)
    ring = regular(18, 1.0)
    parts = group(0, cylinder(radius, body))
    parts += group(0, loft(ring * radius, ring * 11, 30, (0, 0, body / 2 + 15)))
    top = body / 2 + 30
    parts += group(1, cylinder(12, 20, (0, 0, top + 8)))
    parts += group(1, box(draw(50, 70), 20, 20, (draw(8, 16), 0, top + 26)))
    parts += group(2, rod((22, 0, top + 16), (32, 0, top - 14), 4))
    return parts


def carton(draw: Draw) -> list[Part]:
    """Milk carton: box with a gable roof."""
    x, y, z, roof = draw.grip(45, 70), draw(50, 75), draw(60, 130), draw(18, 32)
    square = np.array([(-x, -y), (x, -y), (x, y), (-x, y)]) / 2
    parts = group(0, box(x, y, z))
    parts += group(0, loft(square, square * (1, 0.06), roof, (0, 0, z / 2 + roof / 2)))
    parts += group(0, box(x, 3, 12, (0, 0, z / 2 + roof + 5)))
    if draw.chance(0.5):
        parts += group(1, cylinder(9, 8, (0, -y / 4, z / 2 + roof / 2 + 5)))
    return parts


def squeeze_tube(draw: Draw) -> list[Part]:
    """Toothpaste: round at the cap, flat at the end."""
    radius, length, cap = draw(13, 22), draw(80, 150), draw(14, 24)
    ring = regular(18, 1.0)
    flat = ring * (radius * 1.45, 2.5)
    parts = group(0, loft(flat, ring * radius, length))
    parts += group(1, cylinder(radius * draw(0.6, 1), cap, (0, 0, length / 2 + cap / 2)))
    return parts


def spoon(draw: Draw) -> list[Part]:
    """Spoon, ladle or spatula: a thin handle, a flat head."""
    length, width, thick = draw(90, 160), draw(7, 14), draw(8, 12)
    head = draw(28, 55)
    parts = group(0, bar((0, 0, 0), (length, 0, 0), width, thick))
    if draw.chance(0.6):
        parts += group(1, ellipsoid(head * draw(1.2, 1.6), head, draw(14, 26), (-head / 2, 0, 0)))
    else:
        parts += group(1, box(head * draw(1, 1.6), head, thick, (-head / 2, 0, 0)))
    return parts


def knife(draw: Draw) -> list[Part]:
    """Handle and blade lying flat; the blade is hardly thick enough to take."""
    handle, blade = draw(80, 120), draw(60, 120)
    wide, thick = draw(16, 26), draw(12, 20)
    parts = group(0, capsule(thick / 2, handle, (-handle / 2, wide / 4, 0), axis="x"))
    parts += group(0, capsule(thick / 2, handle, (-handle / 2, -wide / 4, 0), axis="x"))
    edge = [(-5, -wide / 2), (blade * 0.7, -wide / 2), (blade, wide * 0.4), (-5, wide / 2)]
    parts += group(1, prism(edge, draw(2, 5)))
    return parts


def brush(draw: Draw) -> list[Part]:
    """Handle, head, bristles."""
    length, head = draw(80, 130), draw(40, 75)
    wide, high = draw(18, 40), draw(12, 26)
    handle = draw(6, 11)
    parts = group(0, capsule(handle, length, (length / 2, 0, 0), axis="x"))
    parts += group(0, box(head, wide, 2 * handle, (-head / 2, 0, 0)))
    parts += group(1, box(head * 0.92, wide * 0.9, high, (-head / 2, 0, -handle - high / 2)))
    return parts


def fruit(draw: Draw) -> list[Part]:
    """Apple, pear, pepper: ellipsoids with a stem."""
    size = draw.grip(40, 68)
    parts = group(0, ellipsoid(size, size * draw(0.9, 1.05), size * draw(0.8, 1.2)))
    if draw.chance(0.4):
        small = size * draw(0.55, 0.75)
        parts += group(0, ellipsoid(small, small, small * 1.3, (0, 0, size * 0.45)))
    parts += group(1, rod((0, 0, size * 0.4), (draw(-6, 6), 0, size * 0.4 + draw(18, 26)), 2.5))
    return parts


def remote(draw: Draw) -> list[Part]:
    """Flat case with buttons."""
    x, y, z = draw(38, 58), draw(110, 180), draw(14, 24)
    parts = group(0, box(x, y, z))
    for row in range(draw.whole(2, 4)):
        parts += group(1, box(x * 0.7, 7, 4, (0, -y * 0.3 + row * 16, z / 2 + 1)))
    parts += group(2, cylinder(x * 0.28, 4, (0, y * 0.3, z / 2 + 1)))
    return parts


def scissors(draw: Draw) -> list[Part]:
    """Two blades, two rings."""
    open_, blade, thick = np.deg2rad(draw(6, 25)), draw(60, 100), draw(4, 6)
    parts: list[Part] = []
    for side in (-1, 1):
        along = np.array([np.cos(open_ / 2), side * np.sin(open_ / 2), 0])
        parts += group(0, bar(-0.5 * blade * along, blade * along, draw(10, 14), 2 * thick))
        ring = draw(14, 19)
        at = -(0.5 * blade + ring) * along - np.array([0, side * 9, 0])
        parts += group(1, arc(ring, 0, 2 * np.pi, thick, 9, at))
    return parts


def toy_brick(draw: Draw) -> list[Part]:
    """Building brick with studs."""
    pitch, rows, columns = draw(13, 18), draw.whole(1, 3), draw.whole(2, 4)
    x, y, z = rows * pitch, columns * pitch, draw(14, 26)
    parts = [box(x, y, z)]
    for row in range(rows):
        for column_ in range(columns):
            at = ((row + 0.5) * pitch - x / 2, (column_ + 0.5) * pitch - y / 2, z / 2 + 2)
            parts.append(cylinder(pitch * 0.3, 5, at))
    return parts


def dumbbell(draw: Draw) -> list[Part]:
    """Two ends and a thin middle: weight, bone, spool on its side."""
    thin, length, end = draw(8, 16), draw(50, 110), draw(20, 38)
    parts = group(0, cylinder(thin, length, axis="x"))
    for side in (-1, 1):
        at = (side * length / 2, 0, 0)
        if draw.chance(0.5):
            parts += group(1, cylinder(end, draw(14, 30), at, axis="x"))
        else:
            parts += group(1, ellipsoid(end * 1.6, end * 1.6, end * 1.6, at))
    return parts


KINDS = {
    kind.__name__: kind
    for kind in (
        *(mug, cup, bowl, bottle, flask, jar, spray, carton, squeeze_tube, spoon, knife, brush),
        *(fruit, remote, scissors, toy_brick, dumbbell),
    )
}
