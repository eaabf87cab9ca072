"""Grasps that hold: the critic's verdict beside the rectangle metric and, where it is known, truth.

GQ-STN, section V: a grasp counts as robust when the critic says so with at least 0.5; rectangles
have h = w / 5 on both sides. The two disagree, so all four cells are counted, with the two shares
that the paper's section V-B gives: P(rectangle right | not robust), P(rectangle wrong | robust).

The paper had no truth. Here every predicted grasp on a generated frame is also judged by the
analytic label of the scene behind it, and executed by a floating gripper in simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal, Protocol

import numpy as np

from graspling.datasets.generated import Generated
from graspling.datasets.sample import Dataset, Sample
from graspling.detector import Detector
from graspling.errors import InputError
from graspling.evaluation.calibration import Calibration, calibration
from graspling.evaluation.evaluate import OneModel, Subset
from graspling.evaluation.intervals import wilson
from graspling.evaluation.rectangle import JAW_RULES, Rule, correct
from graspling.frames import check_depth
from graspling.grasps import Grasps
from graspling.gripper import Gripper
from graspling.image import fill_holes
from graspling.intrinsics import Intrinsics
from graspling.poses import to_poses
from graspling.robust.base import RobustDetection
from graspling.robust.critic import ROBUST, OnnxCritic, judge

Truth = Literal["none", "label", "physics"]
Progress = Callable[[Sequence[str]], Iterable[str]]


@dataclass(frozen=True)
class Row:
    """One image.

    Attributes:
        id, object: of the image.
        found: there is a grasp; the rest is false or 0 without one.
        rectangle: it fits a label.
        p: the critic's probability.
        state: analytic label: 1 robust, 0 neither, -1 surely not; None: not asked.
        held: it held in simulation; None: not asked, or the engine gave up.
        milliseconds: of the whole detection.
    """

    id: str
    object: str
    found: bool
    rectangle: bool
    p: float
    state: int | None
    held: bool | None
    milliseconds: float

    @property
    def robust(self) -> bool:
        """The critic says so."""
        return self.p >= ROBUST


@dataclass(frozen=True, eq=False)
class RobustResult:
    """Scores of one detector on some images.

    Attributes:
        rows: every judged image.
        rule: of the rectangle metric.
        model, critic, data: names.
        subset: the images that were asked for.
        gripper: that the truth was tried with.
        seed: of the perturbed copies.
        crop: of the model, from its card.
    """

    rows: tuple[Row, ...]
    rule: Rule
    model: str
    critic: str
    data: str
    subset: Subset
    gripper: str
    seed: int
    crop: str

    def count(self, **wanted: bool) -> int:
        """Images whose ``rectangle``, ``robust``, ``held``... are as wanted."""
        return sum(all(getattr(row, k) == v for k, v in wanted.items()) for row in self.rows)

    @property
    def cells(self) -> dict[str, int]:
        """The four cells of the two verdicts."""
        found = {}
        for right, one in ((True, "right"), (False, "wrong")):
            for robust, other in ((True, "robust"), (False, "not_robust")):
                found[f"rectangle_{one}_{other}"] = self.count(rectangle=right, robust=robust)
        return found

    def share(self, successes: int, n: int) -> dict[str, Any]:
        """A share with its interval; None of nothing."""
        low, high = wilson(successes, n)
        value = successes / n if n else None
        return {"share": value, "successes": successes, "n": n, "interval": [low, high]}

    @property
    def labelled(self) -> list[Row]:
        """Rows whose analytic label is known."""
        return [row for row in self.rows if row.state is not None]

    @property
    def tried(self) -> list[Row]:
        """Rows that were executed."""
        return [row for row in self.rows if row.held is not None]

    def agreement(self) -> Calibration | None:
        """How the critic's probability agrees with what held; None when nothing was executed."""
        tried = [row for row in self.tried if row.found]
        if not tried:
            return None
        return calibration([row.p for row in tried], [bool(row.held) for row in tried])

    def to_dict(self) -> dict[str, Any]:
        """What ``graspling evaluate --metric robust --json`` writes."""
        n, cells = len(self.rows), self.cells
        robust = self.count(robust=True)
        states = [row.state for row in self.labelled]
        agreement = self.agreement()
        times = [row.milliseconds for row in self.rows]
        document: dict[str, Any] = {
            "metric": "robust",
            "n": n,
            "rectangle": self.share(self.count(rectangle=True), n),
            "robust": self.share(robust, n),
            "cells": cells,
            "rectangle_right_given_not_robust": self.share(
                cells["rectangle_right_not_robust"], n - robust
            ),
            "rectangle_wrong_given_robust": self.share(cells["rectangle_wrong_robust"], robust),
            "no_grasp": self.count(found=False),
            "label": {
                "robust": self.share(states.count(1), len(states)),
                "neither": states.count(0),
                "surely_not": states.count(-1),
            },
            "physics": self.share(sum(bool(row.held) for row in self.tried), len(self.tried)),
            "critic_against_physics": agreement.to_dict() if agreement else None,
            "median_ms": float(np.median(times)) if times else None,
        }
        for name in ("label", "physics"):
            known = self.labelled if name == "label" else self.tried
            for said in (True, False):
                rows = [row for row in known if row.robust == said]
                good = sum((row.state == 1) if name == "label" else bool(row.held) for row in rows)
                key = f"{name}_given_{'' if said else 'not_'}robust"
                document[key] = self.share(good, len(rows))
        return document | {
            "rule": self.rule.to_dict(),
            "jaw_rule": JAW_RULES["fifth"],
            "robust_from": ROBUST,
            "model": self.model,
            "critic": self.critic,
            "data": self.data,
            "split": self.subset.split,
            "split_hash": self.subset.split_hash,
            "fold": self.subset.fold,
            "part": self.subset.part,
            "crop": self.crop,
            "gripper": self.gripper,
            "seed": self.seed,
        }


class _Judge(Protocol):
    def __call__(
        self, sample: Sample, grasp: Grasps, depth: Any, z: float
    ) -> tuple[int | None, bool | None]: ...


def evaluate_robust(
    detector: Detector,
    dataset: Dataset,
    subset: Subset,
    critic: OnnxCritic,
    *,
    gripper: Gripper | None = None,
    truth: Truth = "none",
    rule: Rule | None = None,
    focal: float | None = None,
    distance: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> RobustResult:
    """Judge the best grasp of each image by labels, critic and truth.

    Args:
        gripper: that the critic speaks of; of generated data by default their own.
        truth: "label": the analytic label of the scene behind a generated frame; "physics": that,
            and a trial in simulation.
        focal: of frames without intrinsics, pixels.
        distance: bring the frames so near to the critic's cameras that the middle of each lies so
            many metres away: depth is shifted and the focal length scaled with it, so that sizes
            in metres stay as they are. For cameras far beyond the critic's range.

    Raises:
        InputError: a frame has no depth or no focal length; truth is asked of other data.
    """
    hand = gripper or own_gripper(dataset)
    tell: _Judge | None = None
    if truth != "none":
        if not isinstance(dataset, Generated):
            raise InputError(f"{dataset.name}: only generated data know the scene behind a frame")
        tell = _teller(dataset, hand, truth, seed)
    rows: list[Row] = []
    one = OneModel(detector)
    for sample_id in progress(subset.ids) if progress else subset.ids:
        sample = dataset[sample_id]
        if sample.grasps is None or not len(sample.grasps):
            continue
        depth, f = _camera(sample, focal, distance)
        start = perf_counter()
        detection = detector.run(sample.rgb, depth, top=1, threshold=0.0, focal=f)
        spent = (perf_counter() - start) * 1e3
        one.check(sample_id)
        grasp = detection.grasps
        owner = sample.object_id or sample_id
        if not len(grasp):
            state, held = (-1 if tell else None), (False if truth == "physics" else None)
            rows.append(Row(sample_id, owner, False, False, 0.0, state, held, spent))
            continue
        own = detection.z if isinstance(detection, RobustDetection) else None
        p, z = judge(critic, grasp, depth, f, hand, own)
        right = bool(correct(grasp, sample.grasps, **(rule or Rule()).to_dict(), jaw="fifth").any())
        state, held = tell(sample, grasp, depth, float(z[0])) if tell else (None, None)
        rows.append(Row(sample_id, owner, True, right, float(p[0]), state, held, spent))
    if not rows:
        raise InputError(f"none of the {len(subset.ids)} images has a label to judge by")
    card = detector.card
    names = (card.name, critic.card.name, dataset.name)
    crop = card.preparation.crop
    return RobustResult(tuple(rows), rule or Rule(), *names, subset, hand.name, seed, crop)


def own_gripper(dataset: Dataset) -> Gripper:
    """The gripper that data were made for: of generated ones theirs, else panda."""
    if isinstance(dataset, Generated):
        return Gripper.from_dict(dataset.manifest.described["gripper"])
    return Gripper.load("panda")


def _camera(sample: Sample, focal: float | None, distance: float | None) -> tuple[Any, float]:
    """Depth (H, W) and focal length of a sample, as the critic is to see them."""
    if sample.depth is None:
        raise InputError(f"sample {sample.id!r} has no depth, which a critic needs")
    found = focal if sample.focal is None else sample.focal
    if found is None:
        raise InputError(f"sample {sample.id!r} has no intrinsics: give --focal PIXELS")
    depth = check_depth(sample.depth)
    if distance is None:
        return depth, float(found)
    filled = fill_holes(depth)
    middle = float(np.median(filled))
    return (filled + np.float32(distance - middle)).astype(np.float32), found * distance / middle


def _teller(dataset: Generated, gripper: Gripper, truth: Truth, seed: int) -> _Judge:
    """What the scene behind a frame says of a grasp."""
    from graspling.datasets.augment import generator
    from graspling.simulation.assess import assess
    from graspling.simulation.contacts import jaw_axes
    from graspling.simulation.restore import Restorer
    from graspling.simulation.trial import TrialWorld

    restorer = Restorer(dataset)

    def tell(sample: Sample, grasp: Grasps, depth: Any, z: float) -> tuple[int | None, bool | None]:
        tried = truth == "physics"
        scene = restorer(sample.id)
        # of the frame, which may have been halved; places and widths are in metres from here on
        assert sample.intrinsics is not None
        stood = stand(grasp, depth, sample.intrinsics, gripper, z)
        if stood is None:
            return -1, False if tried else None
        place, width = stood
        angle = grasp.angle.astype(np.float32)
        found = assess(
            scene.shapes, scene.heights, gripper, place[None].astype(np.float32), angle,
            np.array([width], np.float32), generator(seed, 0, sample.id),
        )  # fmt: skip
        state = int(found.state[0])
        if not tried:
            return state, None
        pose = np.eye(4)
        pose[:3, :3] = jaw_axes(angle)[0].T
        pose[:3, 3] = place
        world = TrialWorld(scene.model, scene.data, gripper, None, scene.bodies)
        result = world.execute(scene.view.world_from_camera @ pose, width)
        return state, None if result.cause == "unstable" else result.held

    return tell


def stand(
    grasp: Grasps, depth: Any, camera: Intrinsics, gripper: Gripper, z: float
) -> tuple[np.ndarray[Any, np.dtype[np.float64]], float] | None:
    """Where the gripper stands for the first grasp: TCP (3,) in the camera frame and opening,
    metres; None when nobody says how deep.

    The approach axis goes through the surface under the grasp, as poses do
    (:func:`graspling.poses.to_poses`); z is the detector's own where it has one.
    """
    poses = to_poses(grasp[0], depth, camera, gripper, clamp=True)
    if poses.valid[0]:
        place, width = poses.pose[0, :3, 3].copy(), float(poses.width[0])
    else:
        u, v = (int(np.clip(np.rint(x), 0, n - 1)) for x, n in
                ((grasp.u[0], camera.width), (grasp.v[0], camera.height)))  # fmt: skip
        surface = float(depth[v, u])
        if not (np.isfinite(z) and surface > 0):
            return None
        place = camera.deproject(grasp.u[0], grasp.v[0], surface)
        width = float(grasp.width[0] * surface / camera.focal)
    if np.isfinite(z):
        place[2] = z
    return place, float(np.clip(width, gripper.min_opening + 1e-3, gripper.opening))
