"""Keeping an even subset of many labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graspling.simulation.labels import FrameLabels

# Grasps so far apart count as equally different: metres along the table, radians of angle.
_PLACE, _TURN = 0.01, 0.35


def spread(points: NDArray[np.floating], count: int) -> NDArray[np.intp]:
    """Rows of ``points`` (N, D), each as far as possible from those before it; at most ``count``.

    Farthest-point sampling from row 0 on: any first part of the result is an even subset too.
    """
    rows = np.zeros(min(count, len(points)), np.intp)
    distance = np.full(len(points), np.inf)
    for place in range(1, len(rows)):
        distance = np.minimum(distance, ((points - points[rows[place - 1]]) ** 2).sum(axis=1))
        rows[place] = np.argmax(distance)
    return rows


def thin(labels: FrameLabels, most: int) -> FrameLabels:
    """At most ``most`` labels of each state, evenly spread over places and angles.

    Angles enter as points on a circle that they run around in half a turn.
    """
    angle = 2 * labels.angle.astype(np.float64)
    place = labels.position[:, :2].astype(np.float64) / _PLACE
    turn = np.column_stack([np.cos(angle), np.sin(angle)]) / (2 * _TURN)
    points = np.column_stack([place, turn])
    kept = []
    for state in (1, 0, -1):
        rows = np.flatnonzero(labels.state == state)
        kept.append(rows[spread(points[rows], most)])
    return labels[np.concatenate(kept)]
