"""Do the labels agree with physics? Labelled grasps, tried by a simulated gripper.

Candidates are drawn uniformly over the objects of random scenes, as for the labels themselves;
some of them, whatever their label, are executed. Since grasps of one object resemble each other,
intervals come from a bootstrap over objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.errors import InputError
from graspling.gripper import Gripper
from graspling.simulation.labels import (
    AMBIGUOUS,
    NEGATIVE,
    POSITIVE,
    FrameLabels,
    LabelSettings,
    label,
)
from graspling.simulation.trial import TrialSettings, TrialWorld

KINDS = ("single", "cluttered", "stacked")
KEYS = ("positives", "positives_hold", "negatives", "negatives_fail", "recall", "ambiguous_share")
_PER_OBJECT = 12  # grasps executed
_CANDIDATES = 40  # drawn an object
_PATIENCE = 200  # scenes in a row that bring no grasp to execute, or no other object


@dataclass(frozen=True, eq=False)
class Trials:
    """N candidates of one kind of scene; those that are antipodal (see ``FrameLabels``).

    Attributes:
        object: (N,) number of the object, the same wherever it comes again.
        state: (N,) 1 positive, 0 ambiguous, -1 negative.
        tried: (N,) executed; held: (N,) and the object hung in the gripper afterwards.
    """

    object: NDArray[np.intp]
    state: NDArray[np.int8]
    tried: NDArray[np.bool_]
    held: NDArray[np.bool_]


def verify(
    make: Callable[[str, np.random.Generator], tuple[Any, Any]],
    gripper: Gripper,
    *,
    seed: int = 0,
    grasps: int = 2000,
    objects: int = 200,
    kinds: Sequence[str] = KINDS,
    settings: LabelSettings | None = None,
    trial: TrialSettings | None = None,
    progress: Callable[[str, int, int, int], None] | None = None,
) -> dict[str, Any]:
    """Execute labelled grasps and count.

    Args:
        make: a settled scene and a view for a kind of scene and a random generator; scenes without
            objects are skipped.
        grasps, objects: least numbers of positives and negatives executed and of objects that they
            belong to, in each kind of scene. Where there are fewer objects, 200 scenes in a row
            without another one are enough.
        progress: called with the kind, the grasps executed, those wanted and the objects, after
            each scene.

    Returns:
        Keys of ``KEYS``, each by kind of scene: ``positives`` and ``negatives`` are how many were
        executed, ``positives_hold`` and ``negatives_fail`` shares of these, ``recall`` the share
        of positives among positives and negatives that held, ``ambiguous_share`` that of the
        ambiguous among all antipodal candidates. Beside them ``intervals`` (95 %, by objects, of
        the four shares), ``objects``, ``scenes``, ``ambiguous_hold`` (share of executed ambiguous
        ones), ``gripper`` and ``seed``.

    Raises:
        InputError: no grasp is wanted, or 200 scenes in a row had none to execute.
    """
    if grasps < 1:
        raise InputError(f"grasps is {grasps}, expected 1 or more")
    settings = settings or LabelSettings()
    result: dict[str, Any] = {key: {} for key in KEYS}
    result |= {"intervals": {}, "ambiguous_hold": {}, "objects": {}, "scenes": {}}
    result |= {"gripper": gripper.name, "seed": seed}
    for kind in kinds:
        parts: list[Trials] = []
        numbers: dict[str, int] = {}
        met: set[int] = set()
        executed = number = useful = new = 0
        while executed < grasps or (len(met) < objects and number - new < _PATIENCE):
            if number - useful >= _PATIENCE:
                raise InputError(
                    f"{kind}: {_PATIENCE} scenes in a row without a grasp to execute; are there "
                    f"objects that fit between the pads of {gripper.name}?"
                )
            # the same stream whatever other kinds are verified
            rng = np.random.default_rng([seed, KINDS.index(kind) if kind in KINDS else 9, number])
            number += 1
            scene, view = make(kind, rng)
            if not len(scene.objects):
                continue
            parts.append(run(scene, view, gripper, rng, settings, trial, numbers))
            counts = parts[-1].tried & (parts[-1].state != AMBIGUOUS)
            executed += int(counts.sum())
            known = len(met)
            met.update(parts[-1].object[counts].tolist())
            useful = number if counts.any() else useful
            new = number if len(met) > known else new
            if progress is not None:
                progress(kind, executed, grasps, len(met))
        trials = _join(parts)
        shares, intervals = summarise(trials)
        for key, value in shares.items():
            result[key][kind] = value
        result["intervals"][kind] = intervals
        result["objects"][kind] = len(met)
        result["scenes"][kind] = number
    return result


def run(
    scene: Any,
    view: Any,
    gripper: Gripper,
    rng: np.random.Generator,
    settings: LabelSettings,
    trial: TrialSettings | None = None,
    numbers: dict[str, int] | None = None,
) -> Trials:
    """Label one scene and execute about 12 grasps of each object.

    Args:
        numbers: of the objects by id; those that are not in it yet are added.
    """
    numbers = {} if numbers is None else numbers
    own = [numbers.setdefault(thing.id, len(numbers)) for thing in scene.objects]
    count = len(scene.objects)
    many = _CANDIDATES * count
    wanted = replace(settings, candidates=many, robust=many, aligned=0.0)
    labels = label(scene, view, gripper, rng, wanted)
    labels = labels[labels.antipodal]
    tried = rng.permutation(len(labels))[: _PER_OBJECT * count]
    world = TrialWorld(scene.model, scene.data, gripper, trial, scene.bodies)
    poses = labels.poses(view.world_from_camera)
    held, executed = np.zeros((2, len(labels)), bool)
    for row in np.sort(tried):
        result = world.execute(poses[row], float(labels.width[row]), int(labels.object[row]))
        held[row] = result.held
        executed[row] = result.cause != "unstable"
    return Trials(np.array(own, np.intp)[labels.object], labels.state, executed, held)


def summarise(
    trials: Trials, repeats: int = 2000, seed: int = 0
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """The numbers of one kind of scene, and 95 % bootstrap intervals of its shares by object."""
    names, owner = np.unique(trials.object, return_inverse=True)
    tried, held = trials.tried, trials.held
    counted = {
        "positives": tried & (trials.state == POSITIVE),
        "positives_held": tried & (trials.state == POSITIVE) & held,
        "negatives": tried & (trials.state == NEGATIVE),
        "negatives_held": tried & (trials.state == NEGATIVE) & held,
        "ambiguous": trials.state == AMBIGUOUS,
        "ambiguous_tried": tried & (trials.state == AMBIGUOUS),
        "ambiguous_held": tried & (trials.state == AMBIGUOUS) & held,
        "all": np.ones(len(held), bool),
    }
    table = {
        key: np.bincount(owner, rows, len(names)).astype(np.float64)
        for key, rows in counted.items()
    }
    point = _shares({key: column.sum() for key, column in table.items()})
    rng = np.random.default_rng(seed)
    draws = np.zeros((repeats, len(names)), np.int64)
    if len(names):
        draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), repeats)
    spread = _shares({key: draws @ column for key, column in table.items()})
    intervals = {}
    for key in ("positives_hold", "negatives_fail", "recall", "ambiguous_share"):
        good = np.asarray(spread[key])
        good = good[np.isfinite(good)]
        ends = np.quantile(good, (0.025, 0.975)) if good.size else (np.nan, np.nan)
        intervals[key] = [float(end) for end in ends]
    shares: dict[str, float] = {
        "positives": int(table["positives"].sum()),
        "negatives": int(table["negatives"].sum()),
    }
    shares |= {key: float(value) for key, value in point.items()}
    return shares, intervals


def _shares(sums: dict[str, Any]) -> dict[str, Any]:
    """From counts, or arrays of counts; not a number where there is nothing to divide by."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = sums["positives_held"] + sums["negatives_held"]
        return {
            "positives_hold": np.divide(sums["positives_held"], sums["positives"]),
            "negatives_fail": 1 - np.divide(sums["negatives_held"], sums["negatives"]),
            "recall": np.divide(sums["positives_held"], found),
            "ambiguous_share": np.divide(sums["ambiguous"], sums["all"]),
            "ambiguous_hold": np.divide(sums["ambiguous_held"], sums["ambiguous_tried"]),
        }


def _join(parts: Iterable[Trials]) -> Trials:
    columns = ((p.object, p.state, p.tried, p.held) for p in parts)
    return Trials(*(np.concatenate(column) for column in zip(*columns, strict=True)))


__all__ = ["KEYS", "KINDS", "FrameLabels", "Trials", "run", "summarise", "verify"]
