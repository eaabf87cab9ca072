"""The rectangle metric (Jiang et al. 2011): is a predicted grasp close enough to a label?

Papers judge by > or >=, by any label or by the nearest, some by overlap alone. The rule here is
IoU > 0.25 and angle difference < 30 degrees (modulo 180) with the same label, any label of the
image; the others are options. The overlap is exact, in float: no rasterised polygons.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from graspling.errors import InputError
from graspling.grasps import Grasps, angle_difference
from graspling.iou import rotated_iou, rotated_iou_matrix

JawRule = Literal["half", "label", "fifth"]

# Dense networks predict no jaw; a data set says by which rule its labels are met.
JAW_RULES: dict[JawRule, str] = {
    "half": "prediction: width / 2; label: its own jaw",
    "label": "the length of the gripper's pads, known from the label, on both sides",
    "fifth": "width / 5 on both sides",
}


@dataclass(frozen=True)
class Rule:
    """When a grasp counts as correct.

    Attributes:
        iou: overlap that must be exceeded, in [0, 1).
        angle_deg: angle difference that must not be reached, degrees in (0, 90].
        at_least: reaching a limit is enough (>= and <=) instead of exceeding it (> and <).
        nearest: judge by the label whose centre is nearest, instead of any label.
        iou_only: leave the angle out.
    """

    iou: float = 0.25
    angle_deg: float = 30.0
    at_least: bool = False
    nearest: bool = False
    iou_only: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.iou <= 1:
            raise InputError(f"IoU limit is {self.iou:g}, expected 0 to 1")
        if not 0 < self.angle_deg <= 90:
            raise InputError(f"angle limit is {self.angle_deg:g} degrees, expected 0 to 90")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        sign, below = (">=", "<=") if self.at_least else (">", "<")
        angle = "" if self.iou_only else f" and angle {below} {self.angle_deg:g} degrees"
        return f"IoU {sign} {self.iou:g}{angle}, {'nearest' if self.nearest else 'any'} label"


@dataclass(frozen=True)
class Agreement:
    """All that the metric needs of N predictions and M labels of one image, computed once.

    Attributes:
        iou: (N, M) exact overlap of the rectangles.
        angle_deg: (N, M) angle difference, degrees in [0, 90].
        distance: (N, M) between the centres, pixels.
    """

    iou: NDArray[np.float64]
    angle_deg: NDArray[np.float64]
    distance: NDArray[np.float64]

    @classmethod
    def of(cls, predicted: Grasps, labels: Grasps, jaw: JawRule = "half") -> Agreement:
        """Compare each prediction with each label; see JAW_RULES for ``jaw``."""
        between = predicted.centres[:, None] - labels.centres[None]
        return cls(
            _overlap(predicted, labels, jaw),
            np.rad2deg(angle_difference(predicted.angle[:, None], labels.angle[None])),
            np.hypot(between[..., 0], between[..., 1]),
        )

    def nearest(self) -> NDArray[np.bool_]:
        """(N, M): which labels lie nearest to each prediction; several at one place all do, since
        the order of labels must not decide."""
        least = self.distance.min(axis=1, keepdims=True)
        return np.asarray(self.distance <= least + 1e-9, dtype=bool)

    def correct(self, rule: Rule) -> NDArray[np.bool_]:
        """(N,): which predictions a rule accepts. Without labels, none."""
        if self.iou.size == 0:
            return np.zeros(len(self.iou), dtype=bool)
        # 1e-9 degrees of rounding must not decide between < and <=
        angle = np.round(self.angle_deg, 9)
        if rule.at_least:
            good = (self.iou >= rule.iou) & (rule.iou_only | (angle <= rule.angle_deg))
        else:
            good = (self.iou > rule.iou) & (rule.iou_only | (angle < rule.angle_deg))
        if rule.nearest:
            good &= self.nearest()
        return np.asarray(good.any(axis=1), dtype=bool)


def _overlap(predicted: Grasps, labels: Grasps, jaw: JawRule) -> NDArray[np.float64]:
    """(N, M) IoU with the jaws that the rule says."""
    if jaw == "fifth":
        predicted, labels = (replace(g, jaw=g.width / 5) for g in (predicted, labels))
    if jaw != "label":
        return rotated_iou_matrix(predicted, labels)
    rows, columns = (i.ravel() for i in np.indices((len(predicted), len(labels))))
    each = replace(predicted[rows], jaw=labels.jaw[columns])
    return rotated_iou(each, labels[columns]).reshape(len(predicted), len(labels))


def correct(
    predicted: Grasps,
    labels: Grasps,
    iou: float = 0.25,
    angle_deg: float = 30.0,
    at_least: bool = False,
    nearest: bool = False,
    iou_only: bool = False,
    jaw: JawRule = "half",
) -> NDArray[np.bool_]:
    """Which of the N predicted grasps are correct, (N,) bool; see :class:`Rule`, JAW_RULES."""
    rule = Rule(iou, angle_deg, at_least, nearest, iou_only)
    return Agreement.of(predicted, labels, jaw).correct(rule)
