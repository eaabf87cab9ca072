"""Random points on the surfaces of convex parts."""

from __future__ import annotations

import numpy as np

from graspling.simulation.lines import Floats
from graspling.simulation.shapes import (
    BOX,
    CAPSULE,
    CYLINDER,
    ELLIPSOID,
    MESH,
    Ints,
    Shapes,
)

Generator = np.random.Generator


def surface(shapes: Shapes, part: Ints, rng: Generator) -> tuple[Floats, Floats]:
    """One point a row of ``part`` (K,), uniform over its surface: (K, 3) points and normals,
    camera frame. (On ellipsoids nearly uniform: the best of a few draws by weight.)"""
    count = len(part)
    size, kinds = shapes.size[part], shapes.kind[part]
    u = rng.random((count, 3)).astype(np.float32)
    ball = rng.normal(size=(count, 3)).astype(np.float32)
    ball /= np.maximum(np.linalg.norm(ball, axis=1, keepdims=True), 1e-9)
    ring = 2 * np.pi * u[:, 0]
    circle = np.stack([np.cos(ring), np.sin(ring)], axis=1).astype(np.float32)
    local = np.zeros((count, 3), np.float32)
    for kind in np.unique(kinds):
        k = np.flatnonzero(kinds == kind)
        s = size[k]
        if kind == BOX:
            faces = np.stack([s[:, 1] * s[:, 2], s[:, 0] * s[:, 2], s[:, 0] * s[:, 1]], axis=1)
            pick = (u[k, 0] * faces.sum(axis=1))[:, None] > np.cumsum(faces, axis=1)
            axis = np.minimum(pick.sum(axis=1), 2)
            local[k] = (2 * rng.random((len(k), 3)) - 1) * s
            at = np.arange(len(k))
            local[k, axis] = np.where(u[k, 1] < 0.5, -1, 1) * s[at, axis]
        elif kind == CYLINDER:
            radius, half = s[:, 0], s[:, 1]
            cap = u[k, 1] * (2 * half + radius) < radius
            reach = np.where(cap, radius * np.sqrt(rng.random(len(k))), radius)
            local[k, :2] = circle[k] * reach[:, None]
            local[k, 2] = np.where(cap, np.where(u[k, 2] < 0.5, -1, 1), 2 * u[k, 2] - 1) * half
        elif kind == CAPSULE:
            radius, half = s[:, 0], s[:, 1]
            end = u[k, 1] * (half + radius) < radius
            local[k] = ball[k] * radius[:, None]
            local[k, 2] += np.copysign(half, ball[k, 2])
            side = k[~end]
            local[side, :2] = circle[side] * radius[~end, None]
            local[side, 2] = (2 * u[side, 2] - 1) * half[~end]
        elif kind == ELLIPSOID:
            local[k] = _on_ellipsoid(s, rng)
        elif kind == MESH:
            for mesh in np.unique(part[k]):
                own = np.flatnonzero(part == mesh)
                local[own] = _on_triangles(shapes.meshes[int(mesh)][1], len(own), rng)
    point = shapes.centre[part] + np.einsum("kab,kb->ka", shapes.rotation[part], local)
    return point, shapes.normals(part, point)


def _on_ellipsoid(size: Floats, rng: Generator, draws: int = 6) -> Floats:
    ball = rng.normal(size=(len(size), draws, 3))
    ball /= np.maximum(np.linalg.norm(ball, axis=2, keepdims=True), 1e-9)
    # area on the ellipsoid for an equal area on the sphere
    weight = np.linalg.norm(ball / size[:, None], axis=2) * size.prod(axis=1)[:, None]
    share = np.cumsum(weight, axis=1)
    pick = (rng.random(len(size)) * share[:, -1])[:, None] > share
    chosen = np.minimum(pick.sum(axis=1), draws - 1)
    return np.asarray(ball[np.arange(len(size)), chosen] * size, np.float32)


def _on_triangles(triangles: Floats, count: int, rng: Generator) -> Floats:
    a, b, c = triangles.transpose(1, 0, 2)
    share = np.cumsum(np.linalg.norm(np.cross(b - a, c - a), axis=1))
    row = np.minimum(np.searchsorted(share, rng.random(count) * share[-1]), len(a) - 1)
    p, q = rng.random((2, count, 1))
    over = p + q > 1
    p, q = np.where(over, 1 - p, p), np.where(over, 1 - q, q)
    return np.asarray(a[row] + p * (b - a)[row] + q * (c - a)[row], np.float32)


def areas(shapes: Shapes) -> Floats:
    """(P,) surfaces, square metres (of an ellipsoid by Thomsen's formula)."""
    area = np.zeros(len(shapes), np.float32)
    for row, (kind, (a, b, c)) in enumerate(zip(shapes.kind, shapes.size, strict=True)):
        if kind == BOX:
            area[row] = 8 * (a * b + b * c + a * c)
        elif kind == CYLINDER:
            area[row] = 2 * np.pi * a * (a + 2 * b)
        elif kind == CAPSULE:
            area[row] = 4 * np.pi * a * (a + b)
        elif kind == ELLIPSOID:
            p = 1.6075
            mean = ((a * b) ** p + (a * c) ** p + (b * c) ** p) / 3
            area[row] = 4 * np.pi * mean ** (1 / p)
        else:
            p0, p1, p2 = shapes.meshes[row][1].transpose(1, 0, 2)
            area[row] = np.linalg.norm(np.cross(p1 - p0, p2 - p0), axis=1).sum() / 2
    return area
