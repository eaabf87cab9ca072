"""Score a detector on a data set: the best grasp of each image against its labels.

The best grasp always counts: the threshold is 0, so that no image is left out silently, and a
detector that finds nothing is wrong there. Grasps and labels meet in pixels of the frame. No label
and no mask of the data set reaches the detector.

Data sets that know more are told more about: a grasp that meets only a label of which nobody knows
whether it holds counts as wrong, and how many these are is said; where nothing can be grasped,
silence is the right answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from graspling.datasets.sample import Dataset, Sample
from graspling.detector import Detector
from graspling.errors import InputError
from graspling.evaluation.intervals import wilson
from graspling.evaluation.rectangle import JAW_RULES, Agreement, JawRule, Rule
from graspling.grasps import Grasps

ANGLE_LIMITS = (30, 25, 20, 15, 10)
IOU_LIMITS = (0.25, 0.30, 0.35, 0.40, 0.45, 0.50)

Progress = Callable[[Sequence[str]], Iterable[str]]


@dataclass(frozen=True)
class Subset:
    """Which images are judged.

    Attributes:
        ids: their ids.
        split: name of the split they come from; "all" without one.
        split_hash: of that split (None without one).
        fold, part: where in the split.
    """

    ids: tuple[str, ...]
    split: str = "all"
    split_hash: str | None = None
    fold: int | None = None
    part: str | None = None


def choose(dataset: Dataset, split: str = "", fold: int = 0, part: str = "test") -> Subset:
    """The ids of one part of a fold; without a split, all labelled ids.

    Raises:
        InputError: no such split, fold or part, or there is nothing in it.
    """
    if not split:
        chosen = Subset(tuple(dataset.ids))
    else:
        splits = dataset.split(split)
        ids = splits.fold(fold).part(part)
        chosen = Subset(tuple(ids), splits.name, splits.hash, fold, part)
    if not chosen.ids:
        where = f"split {split}, fold {fold}, part {part}" if split else str(dataset.root)
        raise InputError(f"no labelled image to judge in {where}")
    return chosen


@dataclass(frozen=True, eq=False)
class Judged:
    """One image: the best grasp (an empty table when none was found), how it fits the labels, and
    how it fits the ambiguous ones."""

    id: str
    object_id: str
    grasp: Grasps
    agreement: Agreement
    ambiguous: Agreement

    def correct(self, rule: Rule) -> bool:
        """Whether there is a grasp and the rule accepts it."""
        return bool(self.agreement.correct(rule).any())

    def unknown(self, rule: Rule) -> bool:
        """Whether only an ambiguous label accepts the grasp: nobody knows whether it is right."""
        return not self.correct(rule) and bool(self.ambiguous.correct(rule).any())


@dataclass(frozen=True)
class Silence:
    """Images in which nothing can be grasped, judged with the threshold of the model's card.

    Attributes:
        n: such images.
        silent: those without a grasp.
        grasps: found in all of them, at most 10 an image.
    """

    n: int = 0
    silent: int = 0
    grasps: int = 0


@dataclass(frozen=True, eq=False)
class Result:
    """Scores of one model on some images; shares are in [0, 1].

    Attributes:
        judged: every image, in the order of the ids.
        rule: when a grasp is correct.
        subset: the images that were asked for.
        unlabelled: ids of the subset without a single label rectangle; they cannot be judged.
        model, seed, crop: of the model, from its card.
        trained_on: how many of the judged ids the weights learned from, as far as the card knows.
        data: name of the data set.
        jaw_rule: see graspling.evaluation.rectangle.JAW_RULES.
        silence: of the images in which nothing can be grasped.
    """

    judged: tuple[Judged, ...]
    rule: Rule
    subset: Subset
    unlabelled: tuple[str, ...]
    model: str
    seed: int | None
    crop: str
    trained_on: int
    data: str = ""
    jaw_rule: JawRule = "half"
    silence: Silence = Silence()
    verdicts: dict[str, bool] = field(init=False)

    def __post_init__(self) -> None:
        verdicts = {judged.id: judged.correct(self.rule) for judged in self.judged}
        object.__setattr__(self, "verdicts", verdicts)

    @property
    def n(self) -> int:
        """Judged images."""
        return len(self.judged)

    @property
    def accuracy(self) -> float:
        """Share of images whose best grasp is correct."""
        return self.share(self.rule)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson 95 % interval of the accuracy."""
        return wilson(sum(self.verdicts.values()), self.n)

    @property
    def unknown(self) -> int:
        """Images whose best grasp only an ambiguous label accepts; they count as wrong."""
        return sum(judged.unknown(self.rule) for judged in self.judged)

    @property
    def accuracy_known(self) -> float | None:
        """Accuracy over the images whose best grasp is known to be right or wrong."""
        known = self.n - self.unknown
        return sum(self.verdicts.values()) / known if known else None

    @property
    def failures(self) -> tuple[Judged, ...]:
        """Images whose best grasp is wrong or missing."""
        return tuple(judged for judged in self.judged if not self.verdicts[judged.id])

    def share(self, rule: Rule) -> float:
        """Accuracy by another rule."""
        return float(np.mean([judged.correct(rule) for judged in self.judged]))

    def by_angle(self) -> dict[str, float]:
        """Accuracy at angle limits of 30 to 10 degrees, the IoU limit as in the rule."""
        return {
            str(limit): self.share(_replace(self.rule, angle_deg=float(limit)))
            for limit in ANGLE_LIMITS
        }

    def by_iou(self) -> dict[str, float]:
        """Accuracy at IoU limits of 0.25 to 0.50, the angle limit as in the rule."""
        return {f"{limit:.2f}": self.share(_replace(self.rule, iou=limit)) for limit in IOU_LIMITS}

    def to_dict(self) -> dict[str, Any]:
        """What `graspling evaluate --json` writes."""
        return {
            "accuracy": self.accuracy,
            "n": self.n,
            "interval": list(self.interval),
            "unknown": self.unknown,
            "accuracy_known": self.accuracy_known,
            "silence": asdict(self.silence),
            "by_angle": self.by_angle(),
            "by_iou": self.by_iou(),
            "iou_only": self.share(_replace(self.rule, iou_only=True)),
            "split": self.subset.split,
            "split_hash": self.subset.split_hash,
            "fold": self.subset.fold,
            "part": self.subset.part,
            "data": self.data,
            "crop": self.crop,
            "jaw_rule": JAW_RULES[self.jaw_rule],
            "rule": self.rule.to_dict(),
            "threshold": 0.0,
            "model": self.model,
            "seed": self.seed,
            "trained_on": self.trained_on,
            "unlabelled": len(self.unlabelled),
            "failures": [judged.id for judged in self.failures],
        }


def evaluate(
    detector: Detector,
    dataset: Dataset,
    subset: Subset | Sequence[str],
    *,
    rule: Rule | None = None,
    progress: Progress | None = None,
) -> Result:
    """Judge the best grasp of each image.

    Args:
        detector: from :func:`graspling.load`.
        dataset: from :func:`graspling.datasets.open_dataset`.
        subset: from :func:`choose`, or ids.
        rule: when a grasp is correct; by default IoU > 0.25 and angle < 30 degrees, any label.
        progress: wraps the ids, to show how far it is.

    Raises:
        InputError: the data lack what the model needs, or no image has a label.
    """
    chosen = subset if isinstance(subset, Subset) else Subset(tuple(subset))
    one = OneModel(detector)
    judged: list[Judged] = []
    unlabelled: list[str] = []
    quiet: list[int] = []
    for sample_id in progress(chosen.ids) if progress else chosen.ids:
        sample = dataset[sample_id]
        if sample.grasps is not None and len(sample.grasps):
            judged.append(judge(detector, sample, dataset.jaw_rule))
            one.check(sample_id)
            continue
        unlabelled.append(sample_id)
        if nothing_to_grasp(sample):
            found = detector.detect(sample.rgb, sample.depth, top=10, focal=sample.focal)
            one.check(sample_id)
            quiet.append(len(found))
    if not judged:
        raise InputError(
            f"none of the {len(chosen.ids)} images has a label to judge by"
            + (f"; {dataset.complaint}" if dataset.complaint else "")
        )
    card = detector.card
    return Result(
        judged=tuple(judged),
        rule=rule or Rule(),
        subset=chosen,
        unlabelled=tuple(unlabelled),
        model=card.name,
        seed=card.seed,
        crop=card.preparation.crop,
        trained_on=card.trained_on.count(dataset.identity, [image.id for image in judged]),
        data=dataset.name,
        jaw_rule=dataset.jaw_rule,
        silence=Silence(len(quiet), quiet.count(0), sum(quiet)),
    )


class OneModel:
    """Sees to it that one score is of one model: without a name, the best one for the images of a
    frame is taken, and frames may differ in what they hold."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._name = ""

    def check(self, sample_id: str) -> None:
        """To be called after each frame.

        Raises:
            InputError: another model answered than before.
        """
        name = self._detector.card.name
        if self._name and name != self._name:
            raise InputError(
                f"{sample_id} is one for {name}, those before it for {self._name}, since images "
                "are missing in some; one score would be of both: name a model (--model)"
            )
        self._name = name


def nothing_to_grasp(sample: Sample) -> bool:
    """Whether the data set knows that no grasp in the image holds: it was labelled, negatives were
    looked for, and there is neither a good nor an ambiguous one."""
    if sample.grasps is None or sample.negatives is None:
        return False
    return not len(sample.grasps) and not len(sample.ambiguous or ())


def judge(detector: Detector, sample: Sample, jaw: JawRule = "half") -> Judged:
    """The best grasp of one labelled image and how it agrees with each label."""
    labels, ambiguous = (found or Grasps.empty() for found in (sample.grasps, sample.ambiguous))
    grasp = detector.detect(sample.rgb, sample.depth, top=1, threshold=0.0, focal=sample.focal)
    agreements = (Agreement.of(grasp, found, jaw) for found in (labels, ambiguous))
    # An image whose object is not known is an object of its own.
    return Judged(sample.id, sample.object_id or sample.id, grasp, *agreements)


def _replace(rule: Rule, **changes: Any) -> Rule:
    return Rule(**{**rule.to_dict(), **changes})
