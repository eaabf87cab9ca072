"""Many trials by many workers, gathered in the order of their numbers."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from graspling.errors import InputError
from graspling.evaluation.intervals import mean_interval, wilson
from graspling.simulation.cluster import on_ray
from graspling.simulation.pool import local
from graspling.simulation.robot.film import Film
from graspling.simulation.robot.pick import CAUSES
from graspling.simulation.robot.settings import Settings
from graspling.simulation.robot.trials import Attempt, TrialMaker, TrialRecord


@dataclass
class Result:
    """What came of a run.

    Attributes:
        attempts: in the order of their trials, exactly as many as were asked for.
        units: of each attempt, what is resampled for the intervals: the object that was meant; its
            table where none was.
        objects, cleared: over trials that are complete.
        trials: number of trials (tables), complete or not.
        seconds: wall time; ``stages`` processor time of all workers by stage.
        notes: trials that were drawn again.
    """

    attempts: list[Attempt] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    objects: int = 0
    cleared: int = 0
    trials: int = 0
    seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """The numbers for JSON, see docs/simulate.md."""
        won = [attempt.outcome.success for attempt in self.attempts]
        lifted = [attempt.outcome.lifted for attempt in self.attempts]
        causes = Counter(a.outcome.cause for a in self.attempts if a.outcome.cause)
        by_object: dict[str, dict[str, int]] = {}
        for attempt in self.attempts:
            row = by_object.setdefault(attempt.object or "none", {"attempts": 0, "successes": 0})
            row["attempts"] += 1
            row["successes"] += attempt.outcome.success
        return {
            "attempts": len(won),
            "successes": sum(won),
            "success": sum(won) / len(won),
            "interval": list(mean_interval(won, self.units)),
            "lifted": sum(lifted) / len(lifted),
            "lifted_interval": list(mean_interval(lifted, self.units)),
            "cleared": self.cleared / self.objects if self.objects else None,
            "scenes": self.trials,
            "causes": {cause: causes.get(cause, 0) for cause in CAUSES},
            "by_object": dict(sorted(by_object.items())),
            "trials_per_second": len(won) / self.seconds if self.seconds else None,
            "seconds": round(self.seconds, 2),
            "stages": {name: round(value, 2) for name, value in self.stages.items()},
            "drawn_again": self.notes,
        }


def simulate(
    settings: Settings,
    attempts: int,
    *,
    workers: int = 1,
    ray: str | None = None,
    progress: bool = True,
) -> Result:
    """Run trials until so many grasp attempts are made.

    Args:
        attempts: exactly so many count; those of a last table that are too many are left out.
        workers: processes on this machine; with ``ray`` tasks of the cluster. The numbers do not
            depend on how many.
        ray: None for this machine alone; else a cluster's address, "" to start one here.
        progress: show a bar with the success rate so far on standard error.

    Raises:
        InputError: no such model, gripper, camera or folder; no attempts.
        GrasplingError: a trial cannot be done.
        MissingExtraError: MuJoCo or Ray is not installed.
    """
    if attempts < 1:
        raise InputError(f"trials is {attempts}, expected 1 or more grasp attempts")
    if workers < 1:
        raise InputError(f"workers is {workers}, expected 1 or more")
    TrialMaker.describe(settings)
    began = time.monotonic()
    numbers: Iterator[int] = itertools.count()
    if settings.protocol == "single":
        numbers = iter(range(attempts))
    if ray is None:
        records = local(TrialMaker, settings, numbers, workers)
    else:
        records = on_ray(TrialMaker, settings, numbers, workers, ray)
    result, early = Result(), dict[int, TrialRecord]()
    with (
        closing(records),
        tqdm(total=attempts, unit="trial", delay=2, disable=None if progress else True) as bar,
    ):
        while len(result.attempts) < attempts:
            while result.trials not in early:
                record = next(records)
                early[record.number] = record
            before = len(result.attempts)
            _take(result, early.pop(result.trials), attempts)
            _show(bar, result, len(result.attempts) - before)
    result.seconds = time.monotonic() - began
    return result


def film(settings: Settings, attempts: int, path: str) -> None:
    """The first attempts of a run once more (they are the same), filmed.

    Raises:
        InputError: the name does not end with .mp4, or the file cannot be written.
    """
    with Film(path) as frames:
        maker, done, number = TrialMaker(settings, frames), 0, 0
        while done < attempts:
            frames.title = f"{settings.model or 'default model'}, {settings.protocol}, {number + 1}"
            done += len(maker(number).attempts)
            number += 1


def _take(result: Result, record: TrialRecord, wanted: int) -> None:
    room = wanted - len(result.attempts)
    taken = record.attempts[:room]
    result.attempts += taken
    result.units += [attempt.object or f"table {record.number}" for attempt in taken]
    result.trials += 1
    if len(record.attempts) <= room:
        result.objects += record.objects
        result.cleared += record.cleared
    for stage, seconds in record.seconds.items():
        result.stages[stage] = result.stages.get(stage, 0.0) + seconds
    if record.note:
        result.notes.append(f"trial {record.number}: {record.note}")


def _show(bar: Any, result: Result, new: int) -> None:
    won = sum(attempt.outcome.success for attempt in result.attempts)
    low, high = wilson(won, len(result.attempts))
    share = won / len(result.attempts)
    bar.set_postfix_str(f"{share:.1%} ({low:.1%}-{high:.1%})", refresh=False)
    bar.update(new)
