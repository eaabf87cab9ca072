"""How good probabilities are: precision and recall, calibration, a reliability diagram."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.errors import InputError
from graspling.evaluation.intervals import wilson

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """Of N probabilities against what was true.

    Attributes:
        n: how many.
        accuracy, precision, recall: at the threshold; precision is 0 when nothing reaches it.
        average_precision: area under the curve of precision over recall, by steps.
        brier: mean squared difference of probability and truth.
        error: expected calibration error, weighted by the bins' counts.
        bins: for each of ten bins from 0 to 1 its count, mean probability and share of the true
            (both None in an empty bin).
    """

    n: int
    threshold: float
    accuracy: float
    precision: float
    recall: float
    average_precision: float
    brier: float
    error: float
    bins: tuple[tuple[int, float | None, float | None], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def calibration(probability: ArrayLike, truth: ArrayLike, threshold: float = 0.5) -> Calibration:
    """Judge probabilities (N,) in [0, 1] by truth (N,) bool.

    Raises:
        InputError: nothing to judge, or columns of different lengths.
    """
    p, true = np.asarray(probability, np.float64), np.asarray(truth, bool)
    if p.ndim != 1 or p.shape != true.shape or not len(p):
        raise InputError(f"calibration: {p.shape} probabilities for {true.shape} truths")
    said = p >= threshold
    hits = int((said & true).sum())
    number = np.minimum((p * 10).astype(int), 9)
    bins: list[tuple[int, float | None, float | None]] = []
    error = 0.0
    for b in range(10):
        inside = number == b
        count = int(inside.sum())
        if not count:
            bins.append((0, None, None))
            continue
        mean, share = float(p[inside].mean()), float(true[inside].mean())
        bins.append((count, mean, share))
        error += count / len(p) * abs(mean - share)
    return Calibration(
        len(p),
        threshold,
        float((said == true).mean()),
        hits / max(int(said.sum()), 1),
        hits / max(int(true.sum()), 1),
        average_precision(p, true),
        float(((p - true) ** 2).mean()),
        error,
        tuple(bins),
    )


def average_precision(probability: Floats, truth: NDArray[np.bool_]) -> float:
    """Sum over thresholds of precision times the gain of recall; 0 without a true one."""
    if not truth.any():
        return 0.0
    order = np.argsort(-probability, kind="stable")
    hit = truth[order]
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    # equal probabilities are one threshold
    last = np.append(np.diff(probability[order]) != 0, True)
    found = np.cumsum(hit)[last]
    gain = np.diff(found, prepend=0) / truth.sum()
    return float((precision[last] * gain).sum())


def reliability_diagram(
    curves: dict[str, Calibration], truth: str, side: int = 480
) -> NDArray[np.uint8]:
    """(H, W, 3) RGB: share of the true over probability, with 95 % intervals, one colour each.

    Args:
        truth: what the vertical axis counts, for example "holds in simulation".
    """
    margin = 64
    image = np.full((side + 2 * margin, side + 2 * margin, 3), 255, np.uint8)

    def at(x: float, y: float) -> tuple[int, int]:
        return round(margin + x * side), round(margin + (1 - y) * side)

    def text(words: str, x: int, y: int, colour: tuple[int, int, int] = (40, 40, 40)) -> None:
        cv2.putText(image, words, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)

    for tick in np.linspace(0, 1, 6):
        cv2.line(image, at(tick, 0), at(tick, 1), (225, 225, 225), 1)
        cv2.line(image, at(0, tick), at(1, tick), (225, 225, 225), 1)
        text(f"{tick:.1f}", at(tick, 0)[0] - 10, at(0, 0)[1] + 20)
        text(f"{tick:.1f}", margin - 32, at(0, tick)[1] + 5)
    cv2.line(image, at(0, 0), at(1, 1), (150, 150, 150), 1, cv2.LINE_AA)
    cv2.rectangle(image, at(0, 1), at(1, 0), (120, 120, 120), 1)
    colours = [(31, 119, 180), (214, 96, 20), (44, 140, 60), (148, 80, 180)]
    for row, (name, found) in enumerate(curves.items()):
        colour = colours[row % len(colours)]
        points = []
        for count, mean, share in found.bins:
            if mean is None or share is None:
                continue
            low, high = wilson(round(share * count), count)
            cv2.line(image, at(mean, low), at(mean, high), colour, 1, cv2.LINE_AA)
            cv2.circle(image, at(mean, share), 4, colour, -1, cv2.LINE_AA)
            points.append(at(mean, share))
        cv2.polylines(image, [np.array(points, np.int32)], False, colour, 1, cv2.LINE_AA)
        words = f"{name}: n {found.n}, error {found.error:.3f}, precision {found.precision:.3f}"
        text(words, margin + 8, margin + 20 + 18 * row, colour)
    text("probability that the critic says", margin + side // 2 - 110, side + 2 * margin - 18)
    text(f"share that {truth}", 8, 24)
    return image
