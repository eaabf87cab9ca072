"""A sheet of the images that went wrong: people look before they read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graspling.datasets.sample import Dataset
from graspling.errors import InputError
from graspling.evaluation.evaluate import Judged, Result
from graspling.evaluation.rectangle import Rule
from graspling.pictures import sheet


def failure_sheet(dataset: Dataset, result: Result, *, most: int = 48) -> NDArray[np.uint8]:
    """Labels and the wrong grasp of each failed image, uint8 RGB; at most ``most`` images.

    The caption says why: the largest overlap with a label that the rule looks at and the angle to
    that label.
    """
    images, captions = [], []
    for judged in result.failures[:most]:
        images.append(dataset.plot(dataset[judged.id], judged.grasp))
        captions.append(f"{judged.id}: {reason(judged, result.rule)}")
    if not images:
        raise InputError("every image was right: there is no failure to draw")
    return sheet(images, captions)


def reason(judged: Judged, rule: Rule) -> str:
    """Why a grasp counts as wrong, in a few words."""
    iou, angle = judged.agreement.iou, judged.agreement.angle_deg
    if iou.size == 0:
        return "no grasp"
    counts = judged.agreement.nearest()[0] if rule.nearest else np.ones(iou.shape[1], dtype=bool)
    best = int(np.where(counts, iou[0], -1).argmax())
    if iou[0, best] == 0:
        return f"beside {'the nearest' if rule.nearest else 'every'} label"
    text = f"IoU {iou[0, best]:.2f}"
    return text if rule.iou_only else f"{text}, {angle[0, best]:.0f} deg"
