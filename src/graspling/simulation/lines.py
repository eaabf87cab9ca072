"""Straight lines through convex bodies, many at a time: where they enter and leave.

Each body stands in its own frame at the origin. A bundle is a grid of parallel lines; of each line
k, j, i only its direction and start differ linearly, so what a cut needs is spread from three
numbers a bundle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

_TINY = 1e-6
FAR = np.float32(1e9)  # a miss enters at FAR and leaves at -FAR


@dataclass(frozen=True)
class Bundle:
    """Parallel lines in the parts' frames: (K, 3) vectors, (I,) and (J,) steps."""

    origin: Floats
    direction: Floats
    first: Floats
    second: Floats
    i: Floats
    j: Floats

    def rows(self, rows: NDArray[np.intp]) -> Bundle:
        """Some of the bundles."""
        vectors = (self.origin[rows], self.direction[rows], self.first[rows], self.second[rows])
        return Bundle(*vectors, self.i, self.j)

    def spread(self, base: Floats, along: Floats, up: Floats) -> Floats:
        """(K, J, I) of base (K,) + along (K,) i + up (K,) j."""
        columns = base[:, None] + along[:, None] * self.i
        return np.asarray((up[:, None] * self.j)[:, :, None] + columns[:, None, :])

    def dot(self, vector: Floats) -> Floats:
        """(K, J, I) of vector (K, 3) . (point of the line at t = 0)."""
        return self.spread(
            _dot(vector, self.origin), _dot(vector, self.first), _dot(vector, self.second)
        )


def _dot(a: Floats, b: Floats) -> Floats:
    return np.asarray(a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1] + a[:, 2] * b[:, 2])


def _slab(bundle: Bundle, axis: int, half: Floats) -> tuple[Floats, Floats]:
    speed = bundle.direction[:, axis]
    speed = np.where(np.abs(speed) < _TINY, np.float32(_TINY), speed)
    scale = -1 / speed
    middle = bundle.spread(
        bundle.origin[:, axis] * scale,
        bundle.first[:, axis] * scale,
        bundle.second[:, axis] * scale,
    )
    reach = (half * np.abs(scale))[:, None, None]
    return middle - reach, np.add(middle, reach, out=middle)


def cut_box(bundle: Bundle, size: Floats) -> tuple[Floats, Floats]:
    low, high = _slab(bundle, 0, size[:, 0])
    for axis in (1, 2):
        start, end = _slab(bundle, axis, size[:, axis])
        np.maximum(low, start, out=low)
        np.minimum(high, end, out=high)
    return low, high


def _tube(bundle: Bundle, radius: Floats) -> tuple[Floats, Floats]:
    """Endless cylinder along z; a miss has low = +1e9."""
    dx, dy = bundle.direction[:, 0], bundle.direction[:, 1]
    speed = np.hypot(dx, dy)
    slow = speed < 1e-5
    dx, dy = np.where(slow, np.float32(1e-5), dx), np.where(slow, np.float32(0), dy)
    speed = np.maximum(speed, np.float32(1e-5))
    lines = (bundle.origin, bundle.first, bundle.second)
    middle = bundle.spread(*(-(dx * v[:, 0] + dy * v[:, 1]) / speed**2 for v in lines))
    offset = bundle.spread(*((dy * v[:, 0] - dx * v[:, 1]) / speed for v in lines))
    np.multiply(offset, offset, out=offset)
    return _round(middle, np.subtract(radius[:, None, None] ** 2, offset, out=offset), 1 / speed)


def _ball(bundle: Bundle, radii: Floats, shift: Floats | None = None) -> tuple[Floats, Floats]:
    """Ellipsoid about (0, 0, shift)."""
    direction = bundle.direction / radii
    speed = np.sqrt(_dot(direction, direction))
    unit = direction / speed[:, None]
    helper = np.eye(3, dtype=np.float32)[np.abs(unit).argmin(axis=1)]
    e1 = np.cross(unit, helper)
    e1 /= np.sqrt(_dot(e1, e1))[:, None]
    e2 = np.cross(unit, e1)
    origin = bundle.origin
    if shift is not None:
        origin = origin - shift[:, None] * np.array([0, 0, 1], np.float32)
    moved = Bundle(origin, bundle.direction, bundle.first, bundle.second, bundle.i, bundle.j)
    middle = moved.dot(-unit / radii / speed[:, None])
    rest = 1 - moved.dot(e1 / radii) ** 2 - moved.dot(e2 / radii) ** 2
    return _round(middle, rest, 1 / speed)


def _round(middle: Floats, rest: Floats, scale: Floats) -> tuple[Floats, Floats]:
    missed = rest <= 0
    half = np.sqrt(np.maximum(rest, 0, out=rest), out=rest)
    half *= scale[:, None, None]
    low, high = middle - half, middle + half
    low[missed], high[missed] = FAR, -FAR
    return low, high


def cut_cylinder(bundle: Bundle, size: Floats) -> tuple[Floats, Floats]:
    low, high = _tube(bundle, size[:, 0])
    start, end = _slab(bundle, 2, size[:, 1])
    return np.maximum(low, start, out=low), np.minimum(high, end, out=high)


def cut_capsule(bundle: Bundle, size: Floats) -> tuple[Floats, Floats]:
    low, high = cut_cylinder(bundle, size)
    missed = low > high
    low[missed], high[missed] = FAR, -FAR
    for shift in (-size[:, 1], size[:, 1]):
        start, end = _ball(bundle, np.repeat(size[:, :1], 3, axis=1), shift)
        np.minimum(low, start, out=low)
        np.maximum(high, end, out=high)
    return low, high


def cut_ellipsoid(bundle: Bundle, size: Floats) -> tuple[Floats, Floats]:
    return _ball(bundle, size)


def cut_hulls(bundle: Bundle, planes: Floats) -> tuple[Floats, Floats]:
    """``planes`` (K, F, 4) of each bundle's own hull; the last plane may be repeated."""
    normals = planes[..., :3]
    speed, *parts = (
        np.matmul(normals, vector[..., None])[..., 0]
        for vector in (bundle.direction, bundle.origin, bundle.first, bundle.second)
    )
    speed = np.where(np.abs(speed) < _TINY, np.float32(_TINY), speed)
    table = np.stack([planes[..., 3] - parts[0], -parts[1], -parts[2]], axis=2)
    table /= speed[..., None]
    entering = speed < 0
    low = -_foremost(bundle, np.where(entering[..., None], -table, _NEVER))
    high = _foremost(bundle, np.where(entering[..., None], _NEVER, table))
    return low, high


_NEVER = np.array([FAR, 0, 0], np.float32)
_MANY = 24  # faces that are worth choosing from


def _foremost(bundle: Bundle, table: Floats) -> Floats:
    """(K, J, I) least of base + along i + up j over the faces of a table (K, F, 3).

    Of hundreds of faces a handful can be the first anywhere in a narrow bundle: those whose least
    value in it is below the largest that another face reaches.
    """
    kept, chosen = table[..., 0] < FAR, table
    if table.shape[1] > _MANY:
        reach = np.abs(table[..., 1]) * np.abs(bundle.i).max()
        reach += np.abs(table[..., 2]) * np.abs(bundle.j).max()
        bound = (table[..., 0] + reach).min(axis=1, keepdims=True)
        kept &= table[..., 0] - reach <= bound
        order = np.argsort(~kept, axis=1, kind="stable")[:, : max(int(kept.sum(axis=1).max()), 1)]
        chosen = np.take_along_axis(table, order[..., None], axis=1)
        kept = np.take_along_axis(kept, order, axis=1)
        chosen = np.where(kept[..., None], chosen, _NEVER)
    least = bundle.spread(*chosen[:, 0].T)
    for face in range(1, chosen.shape[1]):
        rows = np.flatnonzero(kept[:, face])
        few = bundle.rows(rows).spread(*chosen[rows, face].T)
        least[rows] = np.minimum(least[rows], few)
    return np.asarray(least)
