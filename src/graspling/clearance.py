"""Heights under a gripper: how deep an opened gripper can go before it touches something.

A gripper that approaches along the axis hits whatever lies between it and its goal, so the first
surface along that axis is all that a collision check needs (and it is what a depth camera sees).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.gripper import Box, Gripper

Floats = NDArray[np.floating[Any]]

CELL = 0.001  # metres
# spacing of the samples of a footprint, metres, and the side in cells (odd) of the least-filter
# that makes up for what lies between them; the outer samples stand half that side within the
# footprint, so that the filter ends where the footprint does (0.8 mm beyond it at 45 degrees)
_FINGER = (0.003, 5)
_PALM = (0.008, 13)


@dataclass(frozen=True, eq=False)
class Heights:
    """Depth of the first surface along the approach over a grid of x and y.

    Attributes:
        depth: (J, I) float32 metres along z, the approach; row j is y, column i is x.
        low: x and y of the middle of cell (0, 0), metres.
        cell: side of a cell, metres.
        finger, palm: ``depth`` after a least-filter, for samples that are apart.
    """

    depth: Floats
    low: tuple[float, float]
    cell: float
    finger: Floats
    palm: Floats

    @staticmethod
    def eroded(depth: Floats) -> tuple[Floats, Floats]:
        """``finger`` and ``palm`` of a ``depth``."""
        finger, palm = (
            np.asarray(cv2.erode(depth, np.ones((width, width), np.uint8)), np.float32)
            for _, width in (_FINGER, _PALM)
        )
        return finger, palm

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
