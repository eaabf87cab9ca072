"""Does a network in fewer bits still answer like the one in floats?

Two questions, on validation images: how much accuracy is lost, and how often its best grasp is one
that the network in floats does not have among its best three (rectangle metric).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graspling.datasets.sample import Dataset
from graspling.detector import Detector
from graspling.evaluation.evaluate import Progress, evaluate
from graspling.evaluation.rectangle import correct

# What may be lost, and how often the best grasp may be a stranger.
MOST_LOST = 0.01
MOST_STRANGERS = 0.05


@dataclass(frozen=True)
class Fidelity:
    """Shares in [0, 1].

    Attributes:
        before, after: accuracy of the network in floats and of the other one.
        strangers: share of images whose best grasp matches none of the best three in floats.
        n: images behind the accuracies: those with a label.
        compared: images behind the strangers: those in which either has a grasp.
        seen: of the images, how many the network was trained on.
    """

    before: float
    after: float
    strangers: float
    n: int
    compared: int
    seen: int = 0

    @property
    def faults(self) -> list[str]:
        """Why the network should not be used; empty when it is as good."""
        found = []
        if not self.before:
            found.append(
                f"in fp32 no best grasp of the {self.n} images is right, so they cannot judge it; "
                "give images like those that it was trained for"
            )
        if self.before - self.after > MOST_LOST + 1e-9:
            found.append(
                f"accuracy falls from {self.before:.3f} to {self.after:.3f}, "
                f"by more than {MOST_LOST:g}"
            )
        if self.strangers > MOST_STRANGERS + 1e-9:
            found.append(
                f"the best grasp is none of the three best in fp32 in {self.strangers:.1%} of "
                f"{self.compared} images, more than {MOST_STRANGERS:.0%}"
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        """For the model's card."""
        return {
            "accuracy_fp32": self.before,
            "accuracy": self.after,
            "strangers": self.strangers,
            "n": self.n,
            "compared": self.compared,
            "trained_on": self.seen,
        }


def fidelity(
    before: Detector,
    after: Detector,
    dataset: Dataset,
    ids: Sequence[str],
    *,
    progress: Progress | None = None,
) -> Fidelity:
    """Compare two detectors of the same network: their accuracy on the images that have labels,
    their best grasps on all."""
    results = [evaluate(detector, dataset, ids, progress=progress) for detector in (before, after)]
    strangers = judged = 0
    for sample_id in progress(ids) if progress else ids:
        sample = dataset[sample_id]
        known = before.detect(sample.rgb, sample.depth, top=3, threshold=0.0, focal=sample.focal)
        best = after.detect(sample.rgb, sample.depth, top=1, threshold=0.0, focal=sample.focal)
        if len(known) or len(best):
            judged += 1
            strangers += not (len(known) and len(best) and correct(best, known)[0])
    fp32, other = results
    seen = before.card.trained_on.count(dataset.identity, ids)
    share = strangers / max(judged, 1)
    return Fidelity(fp32.accuracy, other.accuracy, share, fp32.n, judged, seen)
