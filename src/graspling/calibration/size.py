"""Is the board as large as stated? The robot's own movements are a ruler for it.

A wrong square is easily overlooked: where the camera looks at the board from about the same
distance all the time, a camera that is elsewhere explains it nearly as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graspling.calibration.board import View
from graspling.calibration.refine import Fit
from graspling.errors import InputError

_SURE = 4.0  # standard errors, of many images
_REFUSED, _TOLD = 0.015, 0.006  # of the size: wrong for sure; more than a good print and robot are
_BLIND = 0.03  # a square that is wrong by as much should be noticed
_OPEN = 0.5  # beyond, the images say nothing about the size


def size_doubts(views: Sequence[View], fit: Fit, images: int) -> list[str]:
    """Lines for the user about the size of the board.

    Args:
        views: some of the board, for the square that was stated.
        fit: of the board's size along with the rest, to so many ``images``.

    Raises:
        InputError: the board has another size for sure.
    """
    # as Student's t: few images may look certain by chance; each has 3 lengths, 7 are solved for
    sure = _SURE * (1 + 6 / max(3 * images - 7, 1))
    wrong, error = abs(fit.scale - 1), fit.scale_error
    stated = _square(views) * 1e3
    open_by = sure * error / max(fit.scale, 1)
    if wrong > max(_TOLD, sure * error) and open_by < _OPEN:
        line = (
            f"the robot's poses say that a square is {fit.scale * stated:.1f} mm (standard error "
            f"{error * stated:.1g}), not {stated:.1f} mm: measure the printed board (printers "
            "scale pages), or check --square, the unit of the poses and the intrinsics"
        )
        if wrong > _REFUSED:
            raise InputError(line)
        return [line]
    return [size_unknown(open_by)] if open_by > _BLIND else []


def size_unknown(open_by: float = 1.0) -> str:
    """The line when the board's size may be wrong by such a share of it."""
    much = f"a square that is wrong by {open_by:.0%}" if open_by < _OPEN else "a wrong square"
    return (
        f"{much} would not be noticed: move the camera nearer to the board and farther from it, "
        "too, or measure the print again"
    )


def _square(views: Sequence[View]) -> float:
    """Side of a square as the board was stated, metres: corners lie on a grid."""
    places = np.concatenate([view.points[:, :2].ravel() for view in views])
    return float(np.diff(np.unique(np.round(places, 6))).min())
