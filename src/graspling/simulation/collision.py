"""Height map along the camera's axis, and how deep an opened gripper can go there.

A gripper that approaches along the camera's axis hits whatever lies between it and its goal, so
the first surface along that axis is all that a collision check needs (and it is what a depth
camera sees). The map holds everything in the scene, the table too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.gripper import Box, Gripper
from graspling.simulation.lines import Floats
from graspling.simulation.shapes import CAPSULE, CYLINDER, ELLIPSOID, MESH, Shapes

CELL = 0.001  # metres
# spacing of the samples of a footprint, metres, and the side in cells (odd) of the least-filter
# that makes up for what lies between them; the outer samples stand half that side within the
# footprint, so that the filter ends where the footprint does (0.8 mm beyond it at 45 degrees)
_FINGER = (0.003, 5)
_PALM = (0.008, 13)
_TILE = 16  # cells
_AXES = np.eye(3, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class HeightMap:
    """Depth of the first surface along the camera's axis over a grid of x and y.

    Attributes:
        depth: (J, I) metres along z of the camera frame; row j is y, column i is x.
        low: x and y of the middle of cell (0, 0), metres.
        cell: side of a cell, metres.
        finger, palm: ``depth`` after a least-filter, for samples that are apart.
    """

    depth: Floats
    low: tuple[float, float]
    cell: float
    finger: Floats
    palm: Floats

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
        finger, palm = (
            np.asarray(cv2.erode(depth, np.ones((width, width), np.uint8)), np.float32)
            for _, width in (_FINGER, _PALM)
        )
        return cls(depth, (float(low[0]), float(low[1])), cell, finger, palm)

    def at(self, x: NDArray[Any], y: NDArray[Any], which: str = "depth") -> Floats:
        """Depth at x and y in metres (any one shape); beyond the border that of its edge."""
        field = getattr(self, which)
        scale = np.float32(1 / self.cell)
        i = ((x - np.float32(self.low[0])) * scale + np.float32(0.5)).astype(np.int32)
        j = ((y - np.float32(self.low[1])) * scale + np.float32(0.5)).astype(np.int32)
        np.clip(i, 0, field.shape[1] - 1, out=i)
        np.clip(j, 0, field.shape[0] - 1, out=j)
        j *= field.shape[1]
        j += i
        return np.asarray(field.ravel().take(j), np.float32)

    # ---- grippers -------------------------------------------------------------------------------

    def finger_limit(
        self, gripper: Gripper, place: Floats, angle: Floats, width: Floats, margin: float = 0.0
    ) -> Floats:
        """(G,) largest z of the TCP at which both opened fingers touch nothing, metres.

        Args:
            place: (G, 2) x and y of the TCP; angle: (G,) of the opening; width: (G,) opening.
            margin: grow (> 0) or shrink (< 0) the fingers sideways, metres.
        """
        limit = np.full(len(place), np.inf, np.float32)
        for box in gripper.fingers:
            x, y = _samples(box, _FINGER, self.cell, margin)
            for side in (-1, 1):
                depth = self._under(place, angle, side * (width / 2), side * x, y, "finger")
                np.minimum(limit, depth - np.float32(box.high[2]), out=limit)
        return limit

    def palm_limit(self, gripper: Gripper, place: Floats, angle: Floats) -> Floats:
        """(G,) largest z of the TCP at which the palm touches nothing, metres."""
        x, y = _samples(gripper.palm, _PALM, self.cell, 0.0)
        depth = self._under(place, angle, np.zeros(len(place), np.float32), x, y, "palm")
        return depth - np.float32(gripper.palm.high[2])

    def top(self, place: Floats, angle: Floats, distance: Floats, length: float) -> Floats:
        """(G,) depth of the nearest surface between the pads: over ``distance`` (G,) along the
        opening and ``length`` along the jaw, metres."""
        along = np.linspace(-0.5, 0.5, 17, dtype=np.float32)
        aside = np.linspace(-length / 2, length / 2, 5, dtype=np.float32)
        x = distance[:, None, None] * along[None, None, :]
        cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
        y = aside[None, :, None]
        u = place[:, 0, None, None] + cos * x - sin * y
        v = place[:, 1, None, None] + sin * x + cos * y
        return np.asarray(self.at(u, v).min(axis=(1, 2)))

    def _under(
        self, place: Floats, angle: Floats, shift: Floats, x: Floats, y: Floats, which: str
    ) -> Floats:
        """(G,) nearest surface under points x (S,) + shift (G,), y (S,) of the gripper frame."""
        cos, sin = np.cos(angle), np.sin(angle)
        u = (place[:, 0] + cos * shift)[:, None] + np.outer(cos, x) - np.outer(sin, y)
        v = (place[:, 1] + sin * shift)[:, None] + np.outer(sin, x) + np.outer(cos, y)
        return np.asarray(self.at(u, v, which).min(axis=1))


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


def _samples(
    box: Box, grid: tuple[float, int], cell: float, margin: float
) -> tuple[Floats, Floats]:
    """x and y (S,) of a grid over the footprint of a box grown by ``margin``."""
    spacing, side = grid
    axes = []
    for axis in (0, 1):
        low, high = box.low[axis] - margin, box.high[axis] + margin
        inset = min(side // 2 * cell, (high - low) / 2)
        count = max(2, int(np.ceil((high - low - 2 * inset) / spacing)) + 1)
        axes.append(np.linspace(low + inset, high - inset, count, dtype=np.float32))
    x, y = np.meshgrid(*axes)
    return x.ravel(), y.ravel()


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
