"""Antipodal grasp candidates: two surface points whose normals face each other along an opening.

As in Dex-Net (Mahler et al. 2017, section IV): draw a point on the surface, draw a direction in its
friction cone, follow it through the object, keep the pair when the far normal's cone holds the
direction too. Here the direction lies across the camera's axis, along which the gripper comes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graspling.simulation.shapes import (
    BOX,
    CAPSULE,
    CYLINDER,
    ELLIPSOID,
    MESH,
    Floats,
    Ints,
    Shapes,
)

Generator = np.random.Generator


@dataclass(frozen=True, eq=False)
class Candidates:
    """N lines through objects, camera frame, metres and radians.

    Attributes:
        point: (N, 3) half way between the two surface points.
        angle: (N,) of the opening about the optical axis, in [-pi, pi).
        distance: (N,) between the two surface points.
        owner: (N,) object.
    """

    point: Floats
    angle: Floats
    distance: Floats
    owner: Ints

    def __len__(self) -> int:
        return len(self.owner)


def sample(
    shapes: Shapes,
    rng: Generator,
    count: int,
    *,
    friction: float,
    farthest: float,
    rounds: int = 3,
) -> Candidates:
    """About ``count`` antipodal candidates, as many from each object, fewer where there are few.

    Args:
        friction: half angle of the cones is its arc tangent.
        farthest: largest distance between the two points, metres.
        rounds: how often to draw again for objects that have too few.
    """
    objects = np.unique(shapes.owner)
    if not len(objects):
        none = np.zeros(0, np.float32)
        return Candidates(np.zeros((0, 3), np.float32), none, none, np.zeros(0, np.intp))
    each = -(-count // len(objects))
    found: list[Candidates] = []
    have = np.zeros(int(objects.max()) + 1, np.intp)
    for _ in range(rounds):
        need = np.where(np.isin(np.arange(len(have)), objects), each - have, 0)
        need = np.maximum(need, 0)
        if not need.any():
            break
        batch = _draw(shapes, rng, need * 4, friction, farthest)
        # of each object no more than it needs
        order = np.argsort(batch.owner, kind="stable")
        rank = np.empty(len(order), np.intp)
        owners = batch.owner[order]
        start = np.searchsorted(owners, owners)
        rank[order] = np.arange(len(order)) - start
        keep = rank < need[batch.owner]
        found.append(_rows(batch, keep))
        have += np.bincount(found[-1].owner, minlength=len(have))
    columns = ((f.point, f.angle, f.distance, f.owner) for f in found)
    return Candidates(*(np.concatenate(parts) for parts in zip(*columns, strict=True)))


def _rows(table: Candidates, rows: NDArray[np.bool_] | Ints) -> Candidates:
    return Candidates(
        table.point[rows], table.angle[rows], table.distance[rows], table.owner[rows]
    )


def _draw(
    shapes: Shapes, rng: Generator, tries: Ints, friction: float, farthest: float
) -> Candidates:
    """Those of ``tries`` (objects,) surface points an object that start an antipodal pair."""
    area = _area(shapes)
    parts = []
    for owner in np.flatnonzero(tries):
        own = np.flatnonzero(shapes.owner == owner)
        share = np.cumsum(area[own])
        draw = rng.random(int(tries[owner])) * share[-1]
        parts.append(own[np.minimum(np.searchsorted(share, draw), len(own) - 1)])
    part = np.concatenate(parts)
    point, normal = surface(shapes, part, rng)
    cone = np.float32(np.cos(np.arctan(friction)))
    # the direction lies across the optical axis: only walls can hold it
    flat = np.hypot(normal[:, 0], normal[:, 1])
    turn = rng.uniform(-1, 1, len(part)).astype(np.float32) * np.float32(np.arctan(friction))
    good = flat * np.cos(turn) >= cone
    part, point, normal, turn = part[good], point[good], normal[good], turn[good]
    angle = np.arctan2(-normal[:, 1], -normal[:, 0]) + turn
    x = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=1).astype(np.float32)
    owner = shapes.owner[part]
    # all parts of the same object: where the line enters and leaves them
    row, other = np.nonzero(owner[:, None] == shapes.owner[None])
    enter, leave = shapes.cut(other, point[row], x[row])
    enter, leave = enter[:, 0], leave[:, 0]
    own = other == part[row]
    # a point inside another part is no surface
    hidden = np.zeros(len(part), bool)
    hidden[row[~own & (enter < -1e-4) & (leave > 1e-4)]] = True
    far, back = _exits(rng, row, other, enter, leave, own, len(part), farthest)
    facing = np.einsum("ka,ka->k", shapes.normals(back, point + x * far[:, None]), x)
    keep = ~hidden & (far > 1e-3) & (far <= farthest) & (facing >= cone)
    point, far = point[keep] + x[keep] * (far[keep, None] / 2), far[keep]
    angle = (angle[keep] + np.pi) % (2 * np.pi) - np.pi
    return Candidates(point, angle.astype(np.float32), far, owner[keep])


def _exits(
    rng: Generator,
    row: Ints,
    other: Ints,
    enter: Floats,
    leave: Floats,
    own: NDArray[np.bool_],
    count: int,
    farthest: float,
) -> tuple[Floats, Ints]:
    """The exit of each line, (N,) t and part: with equal chance the first one (through a wall) or
    the last one within reach (across the object), merging parts that overlap."""
    far, back = np.zeros(count, np.float32), np.zeros(count, np.intp)
    far[row[own]], back[row[own]] = leave[own], other[own]
    last = (rng.random(count) < 0.5)[row] & (enter < leave) & (leave <= farthest)
    order = np.argsort(leave, kind="stable")
    chosen = order[(last & (leave > far[row]))[order]]
    far[row[chosen]], back[row[chosen]] = leave[chosen], other[chosen]
    for _ in range(4):
        longer = (enter <= far[row] + 1e-4) & (leave > far[row] + 1e-6)
        if not longer.any():
            break
        chosen = order[longer[order]]
        far[row[chosen]], back[row[chosen]] = leave[chosen], other[chosen]
    return far, back


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


def _area(shapes: Shapes) -> Floats:
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
