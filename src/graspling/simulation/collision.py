"""Height map along the camera's axis, and how deep an opened gripper can go there.

A gripper that approaches along the camera's axis hits whatever lies between it and its goal, so
the first surface along that axis is all that a collision check needs (and it is what a depth
camera sees). The map holds everything in the scene, the table too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graspling.clearance import CELL, Heights
from graspling.simulation.lines import Floats
from graspling.simulation.shapes import CAPSULE, CYLINDER, ELLIPSOID, MESH, Shapes

_TILE = 16  # cells
_AXES = np.eye(3, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class HeightMap(Heights):
    """Heights along the camera's axis of the parts of a scene, in the camera frame."""

    @classmethod
    def of(cls, shapes: Shapes, border: float = 0.12, cell: float = CELL) -> HeightMap:
        """Of all parts and the table, ``border`` metres wider than the parts on each side.

        Rows (K, 3) as in ``shapes``: a part covers a cell when the axis through its middle cuts it.
        """
        if len(shapes):
            reach = shapes.radius[:, None] + border
            low = (shapes.centre[:, :2] - reach).min(axis=0)
            high = (shapes.centre[:, :2] + reach).max(axis=0)
        else:
            low, high = np.full(2, -border), np.full(2, border)
        count = np.ceil((high - low) / cell).astype(int) + 1
        x = (low[0] + cell * np.arange(count[0])).astype(np.float32)
        y = (low[1] + cell * np.arange(count[1])).astype(np.float32)
        nx, ny, nz, offset = (float(value) for value in shapes.table)
        # the table is a plane: n.p = offset
        depth = (offset - nx * x[None, :] - ny * y[:, None]) / nz
        depth = np.ascontiguousarray(depth, np.float32)
        extent = _extent(shapes)
        first = np.maximum(np.ceil((shapes.centre[:, :2] - extent - low) / cell), 0).astype(int)
        last = np.floor((shapes.centre[:, :2] + extent - low) / cell).astype(int) + 1
        for part in range(len(shapes)):
            (i0, j0), (i1, j1) = first[part], last[part]
            if i1 > i0 and j1 > j0:
                patch = depth[j0:j1, i0:i1]
                np.minimum(patch, _seen(shapes, part, x[i0:i1], y[j0:j1]), out=patch)
        return cls(depth, (float(low[0]), float(low[1])), cell, *cls.eroded(depth))


def _seen(shapes: Shapes, part: int, x: Floats, y: Floats) -> Floats:
    """(J, I) depth of a part's first surface over x (I,) and y (J,); 1e9 beside it."""
    # hulls in tiles: few of their faces are seen in one
    tile = _TILE if shapes.kind[part] == MESH else max(len(x), len(y))
    u, v = (np.arange(0, len(values), tile) for values in (x, y))
    origin = np.zeros((len(v), len(u), 3), np.float32)
    step = np.float32((x[-1] - x[0]) / max(len(x) - 1, 1) if len(x) > 1 else CELL)
    # from the middle of a tile, so that it reaches as far on both sides
    along, aside = (
        (np.arange(min(tile, len(values))) - (min(tile, len(values)) - 1) / 2) * step
        for values in (x, y)
    )
    origin[..., 0] = (x[u] - along[0])[None, :]
    origin[..., 1] = (y[v] - aside[0])[:, None]
    axes = (np.broadcast_to(row, (origin.shape[0] * origin.shape[1], 3)) for row in _AXES)
    right, down, forward = axes
    enter, _ = shapes.cut(
        np.full(len(forward), part),
        origin.reshape(-1, 3),
        forward,
        (right, down),
        (along.astype(np.float32), aside.astype(np.float32)),
    )
    tiles = enter.reshape(len(v), len(u), len(aside), len(along)).transpose(0, 2, 1, 3)
    whole = tiles.reshape(len(v) * len(aside), len(u) * len(along))
    return whole[: len(y), : len(x)]


def _extent(shapes: Shapes) -> Floats:
    """(P, 2) half sizes along x and y of the camera of a box round each part."""
    turn, size = shapes.rotation[:, :2], shapes.size  # rows x and y: (P, 2, 3)
    reach = np.abs(turn) @ size[:, :, None]
    extent = reach[:, :, 0]
    axis = np.abs(turn[:, :, 2])
    radius, half = size[:, :1], size[:, 1:2]
    flat = np.sqrt(np.maximum(1 - axis**2, 0))
    kind = shapes.kind[:, None]
    extent = np.where(kind == CYLINDER, radius * flat + half * axis, extent)
    extent = np.where(kind == CAPSULE, radius + half * axis, extent)
    round_ = np.sqrt(((turn * size[:, None, :]) ** 2).sum(axis=2))
    extent = np.where(kind == ELLIPSOID, round_, extent)
    return np.asarray(extent, np.float32)
