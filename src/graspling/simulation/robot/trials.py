"""A numbered trial: one object, or a table to be cleared. It depends on settings and number alone,
so it does not matter which worker does it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.errors import GrasplingError, InputError
from graspling.grasps import Grasps
from graspling.gripper import Gripper
from graspling.simulation.robot.cell import BASE, Cell
from graspling.simulation.robot.choosing import (
    CANDIDATES,
    ORACLE,
    ByDetector,
    Chooser,
    Oracle,
    Proposals,
)
from graspling.simulation.robot.film import Film
from graspling.simulation.robot.kinematics import Kinematics
from graspling.simulation.robot.looking import RobotCamera, Seen
from graspling.simulation.robot.pick import Outcome, failed, pick
from graspling.simulation.robot.plan import Plan, plan
from graspling.simulation.robot.settings import Settings
from graspling.simulation.robot.snapshot import snapshot
from graspling.simulation.robot.staging import Stage
from graspling.simulation.scene import Scene
from graspling.simulation.views import CameraView

Floats = NDArray[np.float64]
Generator = np.random.Generator
_EDGE = 0.05  # of the side of what is seen: what lies there is out of sight
_TRIES = 3  # a trial at which the engine fails is drawn again so often
_LOOKS = (0.45, 0.33)  # heights of a camera on the hand at the second and third look, metres
_BETWEEN, _DELAY = 0.5, 0.2  # seconds between looks, and from the last look to the grasp


@dataclass(frozen=True)
class Attempt:
    """One grasp attempt.

    Attributes:
        object: id of the object that was meant, "" when none was.
        quality: of the grasp as its detector gave it.
        picture: JPEG of a failure, b"" when none is kept.
    """

    object: str
    outcome: Outcome
    quality: float
    picture: bytes = b""


@dataclass(frozen=True)
class TrialRecord:
    """What a worker hands back.

    Attributes:
        objects, cleared: how many were on the table, and how many of them are in the box.
        seconds: of the processor, by stage.
        note: why it was drawn again, or "".
    """

    number: int
    attempts: tuple[Attempt, ...]
    objects: int
    cleared: int
    seconds: Mapping[str, float]
    note: str = ""


class TrialMaker:
    """Does trials by their number.

    Raises:
        InputError: no such model, gripper, camera or folder of objects.
        MissingExtraError: MuJoCo is not installed.
    """

    def __init__(self, settings: Settings, film: Film | None = None) -> None:
        self.settings, self.film = settings, film
        self.gripper = Gripper.load(settings.gripper)
        self.kinematics = Kinematics(self.gripper, BASE)
        self.camera = RobotCamera(settings.look, self.kinematics)
        self.chooser = chooser(settings, self.gripper)
        self.stage = Stage(settings, self.gripper, self._view)
        self._seconds: dict[str, float] = {}

    @staticmethod
    def describe(settings: Settings) -> Mapping[str, Any]:
        """A check that all that is named is there; meshes are cut once and for all."""
        maker = TrialMaker(settings)
        prepare = getattr(maker.stage.source, "prepare", None)
        if prepare is not None:
            prepare()
        return {"gripper": maker.gripper.name, "camera": maker.camera.model.name}

    def __call__(self, number: int) -> TrialRecord:
        """The trial; one that the engine fails at is drawn again from another seed and noted."""
        notes: list[str] = []
        for again in range(_TRIES):
            try:
                return self._do(number, again, "; ".join(notes))
            # what the machine lacks at the moment must not decide which trial it is
            except (GrasplingError, MemoryError, OSError):
                raise
            except Exception as error:
                notes.append(f"drawn again after {type(error).__name__}: {error}")
                if again == _TRIES - 1:
                    raise
        raise AssertionError

    def _do(self, number: int, again: int, note: str) -> TrialRecord:
        settings = self.settings
        self._seconds = {}
        single = settings.protocol == "single"
        began = time.process_time()
        scene = (self.stage.single if single else self.stage.many)(number, again)
        began = self._count("scene", began)
        cell = Cell(
            scene.model,
            scene.data,
            scene.bodies,
            self.gripper,
            self.kinematics,
            settings.pick.hand,
        )
        if self.film is not None:
            cell.film = self.film
        self._count("model", began)
        rng = np.random.default_rng([settings.seed, 5, number, again])
        camera, error = self.camera.place(rng)
        attempts: list[Attempt] = []
        for turn in range(1 if single else 2 * len(scene.objects)):
            if turn and not self._in_sight(cell, camera).any():
                break
            attempts.append(self._attempt(scene, cell, camera, error, rng))
            if cell.unstable:
                raise RuntimeError("the engine became unstable")
            for thing in attempts[-1].outcome.placed:
                cell.remove(thing)
            stuck = len(attempts) > 1 and not any(a.outcome.success for a in attempts[-2:])
            if stuck or not cell.present.any():
                break
        if single:
            attempts[0] = replace(attempts[0], object=scene.objects[0].id)
        count = len(scene.objects)
        gone = count - int(cell.present.sum())
        return TrialRecord(number, tuple(attempts), count, gone, self._seconds, note)

    def _in_sight(self, cell: Cell, camera: Floats) -> NDArray[np.bool_]:
        """(N,) objects that are there and whose middle lies in what a detector sees, the central
        square of the frame, and not at its very edge."""
        intrinsics = self.camera.model.intrinsics
        inverse = np.linalg.inv(camera)
        places = cell.places() @ inverse[:3, :3].T + inverse[:3, 3]
        middle = np.array([intrinsics.width - 1, intrinsics.height - 1]) / 2
        away = np.abs(intrinsics.project(places) - middle).max(axis=1)
        side = min(intrinsics.width, intrinsics.height)
        return np.asarray(cell.present & (away < (0.5 - _EDGE) * side))

    # ---- one attempt ----------------------------------------------------------------------------

    def _attempt(
        self, scene: Scene, cell: Cell, camera: Floats, error: Floats, rng: Generator
    ) -> Attempt:
        seen, proposals = self._looks(scene, cell, camera, error, rng)
        began = time.process_time()
        row, way = self._first(cell, proposals)
        began = self._count("plan", began)
        target = -1 if row < 0 else int(proposals.targets[row])
        if way is not None:
            width = float(proposals.widths[row])
            outcome = pick(cell, way, width, target, self.settings.pick)
            self._count("pick", began)
        else:
            outcome = failed("unreachable" if row >= 0 else "no grasp", target)
        if self.film is not None:
            self.film.verdict(cell, outcome.cause)
        picture = b""
        if self.settings.pictures and not outcome.success:
            shown = proposals.grasps[row] if row >= 0 else proposals.grasps.top(1)
            picture = snapshot(seen, shown)
        name = scene.objects[target].id if target >= 0 else ""
        return Attempt(
            name, outcome, float(proposals.grasps.quality[row]) if row >= 0 else 0.0, picture
        )

    def _looks(
        self, scene: Scene, cell: Cell, camera: Floats, error: Floats, rng: Generator
    ) -> tuple[Seen, Proposals]:
        """The last frame that was looked at and what was found in it."""
        settings = self.settings
        heading = rng.uniform(0, 2 * np.pi)
        drift = settings.moving * np.array([np.cos(heading), np.sin(heading)])
        seen, found = self._look(scene, cell, camera, error, rng, None)
        for height in _LOOKS if settings.closed_loop or settings.moving else ():
            self._drift(cell, drift * _BETWEEN)
            if not settings.closed_loop:
                continue
            row, _ = self._first(cell, found)
            if row < 0:
                seen, found = self._look(scene, cell, camera, error, rng, None)
                continue
            pose = found.poses[row]
            if settings.look.mount == "hand" and height < camera[2, 3]:
                camera = self.camera.nearer(camera, pose[:3, 3], height)
            under_way = on_image(pose, float(found.widths[row]), camera @ error, seen)
            again, better = self._look(scene, cell, camera, error, rng, under_way)
            if len(better):
                seen, found = again, better
        self._drift(cell, drift * _DELAY)
        return seen, found

    def _look(
        self,
        scene: Scene,
        cell: Cell,
        camera: Floats,
        error: Floats,
        rng: Generator,
        previous: Grasps | None,
    ) -> tuple[Seen, Proposals]:
        began = time.process_time()
        seen = self.camera.look(scene, cell, camera, error, rng, self.chooser.colour)
        began = self._count("frame", began)
        found = self.chooser.propose(seen, cell, rng, previous)
        self._count("detect", began)
        return seen, found

    def _first(self, cell: Cell, proposals: Proposals) -> tuple[int, Plan | None]:
        """The first proposal with a pose that the arm can do, and how. Without one, the first that
        has a pose, or -1."""
        settings = self.settings.pick
        tops = cell.places()[cell.present][:, 2].max(initial=0.0)
        posed = np.flatnonzero(np.isfinite(proposals.poses).all(axis=(1, 2)))[:CANDIDATES]
        for row in posed:
            pose = proposals.poses[row]
            hover = float(np.clip(tops + 0.06 - pose[2, 3], settings.hover, 0.2))
            way = plan(self.kinematics, pose, cell.bin, hover=hover, lift=settings.lift)
            if way is not None:
                return int(row), way
        return (int(posed[0]) if len(posed) else -1), None

    def _drift(self, cell: Cell, step: Floats) -> None:
        if step.any():
            for number in np.flatnonzero(cell.present):
                cell.shift(int(number), step)
            cell.rest(0.0)

    def _view(self, rng: Generator) -> CameraView:
        camera, _ = self.camera.place(rng)
        return CameraView(self.camera.model.intrinsics, camera)

    def _count(self, stage: str, began: float) -> float:
        now = time.process_time()
        self._seconds[stage] = self._seconds.get(stage, 0.0) + now - began
        return now


def chooser(settings: Settings, gripper: Gripper) -> Chooser:
    """Of the model that the settings name."""
    if settings.model == ORACLE:
        return Oracle(gripper)
    detector = ByDetector(
        settings.model,
        settings.gripper,
        settings.approach,
        rerank=settings.rerank,
        fallback=settings.fallback,
        critic=settings.critic,
    )
    if settings.closed_loop and not detector.follows:
        raise InputError(
            f"{settings.model or 'the default model'} with what stands behind it cannot follow a "
            "grasp; leave out --closed-loop"
        )
    return detector


def on_image(pose: Floats, width: float, believed: Floats, seen: Seen) -> Grasps:
    """A grasp of the world, as the robot believes it, in pixels of a frame from ``believed``."""
    ends = np.array([[0, 0, 0, 1], [-width / 2, 0, 0, 1], [width / 2, 0, 0, 1]]) @ pose.T
    points = ends @ np.linalg.inv(believed).T
    middle, first, second = seen.intrinsics.project(points[:, :3])
    along = second - first
    if not np.isfinite(along).all() or not np.hypot(*along) > 0:
        return Grasps.empty()
    return Grasps.from_arrays(
        middle[0], middle[1], np.arctan2(along[1], along[0]), np.hypot(*along)
    )
