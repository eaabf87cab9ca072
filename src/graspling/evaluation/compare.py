"""Is model B better than model A? A paired test on the same images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from graspling.errors import InputError
from graspling.evaluation.evaluate import Result
from graspling.evaluation.intervals import Difference, paired_bootstrap


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two results on the same images and the difference between them (B minus A)."""

    a: Result
    b: Result
    difference: Difference

    def to_dict(self) -> dict[str, Any]:
        """What `graspling compare --json` writes."""
        found = asdict(self.difference)
        found["interval"] = list(self.difference.interval)
        subset = self.a.subset
        return {
            "a": self.a.model,
            "b": self.b.model,
            "accuracy_a": self.a.accuracy,
            "accuracy_b": self.b.accuracy,
            **found,
            "split": subset.split,
            "split_hash": subset.split_hash,
            "fold": subset.fold,
            "part": subset.part,
            "data": self.a.data,
            "rule": self.a.rule.to_dict(),
            "crop_a": self.a.crop,
            "crop_b": self.b.crop,
            "trained_on_a": self.a.trained_on,
            "trained_on_b": self.b.trained_on,
        }


def compare(a: Result, b: Result, *, repeats: int = 10_000, seed: int = 0) -> Comparison:
    """Difference of accuracy with a 95 % interval and p, by bootstrap over objects.

    Raises:
        InputError: the results are of different images or different rules.
    """
    if list(a.verdicts) != list(b.verdicts) or a.rule != b.rule:
        raise InputError("compare: expected two results on the same images by the same rule")
    difference = paired_bootstrap(
        list(a.verdicts.values()),
        list(b.verdicts.values()),
        [judged.object_id for judged in a.judged],
        repeats=repeats,
        seed=seed,
    )
    return Comparison(a, b, difference)
