"""Which objects lie on the table in which trial, decided by the seed and the trial's number.

Some objects cannot be taken at all, or not as they lie: too wide, too flat. They would tell nothing
about a detector, so an object (and, when it is alone, a pose) is drawn again until the analytic
labels know a grasp. Whatever the detector, the scenes are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from graspling.errors import GrasplingError
from graspling.gripper import Gripper
from graspling.simulation.labels import POSITIVE, LabelSettings, label
from graspling.simulation.meshes import MeshFolder
from graspling.simulation.objects import ObjectModel, ObjectSource, ProceduralObjects
from graspling.simulation.robot.settings import Settings
from graspling.simulation.scene import Scene, SceneKind, SceneSettings, make_scene
from graspling.simulation.views import CameraView

Generator = np.random.Generator
_TRIES = 8  # poses of an object before it is called one that cannot be taken
_MOST = 60  # poses of an object that can be taken, or objects, before something is wrong
_LABELS = LabelSettings(candidates=90, robust=16)
# within the reach of the arm, and not below the box
_SCENE = SceneSettings(spread=(0.045, 0.068), table=(0.6, 0.6))


class Only:
    """An object source with one object."""

    def __init__(self, thing: ObjectModel) -> None:
        self._thing = thing

    def sample(self, rng: Generator) -> ObjectModel:
        """That one."""
        return self._thing

    def get(self, object_id: str) -> ObjectModel:
        """That one."""
        return self._thing


class Stage:
    """Makes the scenes of a run.

    Args:
        view: draws a camera's view for the labels.

    Raises:
        InputError: no such folder of objects, or no mesh in it.
    """

    def __init__(
        self, settings: Settings, gripper: Gripper, view: Callable[[Generator], CameraView]
    ) -> None:
        self.settings, self._gripper, self._view = settings, gripper, view
        self.source, self.ids = source(settings.objects, gripper)
        self._single = lru_cache(maxsize=64)(self._draw_object)
        self._known: dict[str, bool] = {}

    def single(self, number: int, again: int) -> Scene:
        """The scene of a single trial. ``again`` counts how often the engine failed at it."""
        settings = self.settings
        if self.ids:
            thing = self.source.get(self.ids[number % len(self.ids)])
        else:
            thing = self._single(number // settings.poses)
        rng = np.random.default_rng([settings.seed, 2, number, again])
        scene = None
        for _ in range(_MOST):
            scene = make_scene("single", Only(thing), rng, count=1, settings=_SCENE)
            if self.graspable(scene, rng):
                return scene
        raise GrasplingError(
            f"object {thing.id}: {self._gripper.name} cannot take it in any of {_MOST} poses; "
            "leave it out or give another --gripper"
        )

    def many(self, number: int, again: int) -> Scene:
        """The scene of a clearing."""
        settings = self.settings
        rng = np.random.default_rng([settings.seed, 3, number, again])
        kind: SceneKind = settings.protocol
        while True:
            scene = make_scene(kind, self, rng, count=settings.count, settings=_SCENE)
            if scene.objects:
                return scene

    def sample(self, rng: Generator) -> ObjectModel:
        """An object that the gripper can take in one pose at least (of a few)."""
        for _ in range(_MOST):
            thing = self.source.sample(rng)
            if self._takeable(thing):
                return thing
        raise GrasplingError(
            f"none of {_MOST} objects can be taken by {self._gripper.name}; "
            "give other --objects or another --gripper"
        )

    def get(self, object_id: str) -> ObjectModel:
        """The object of that id."""
        return self.source.get(object_id)

    def graspable(self, scene: Scene, rng: Generator) -> bool:
        """Whether the labels know a grasp."""
        if not scene.objects:
            return False
        labels = label(scene, self._view(rng), self._gripper, rng, _LABELS)
        return bool((labels.state == POSITIVE).any())

    def _draw_object(self, number: int) -> ObjectModel:
        return self.sample(np.random.default_rng([self.settings.seed, 1, number]))

    def _takeable(self, thing: ObjectModel) -> bool:
        if thing.id not in self._known:
            # of the object alone, so that it is the same in every worker
            rng = np.random.default_rng([4, *thing.id.encode()])
            scenes = (make_scene("single", Only(thing), rng, count=1) for _ in range(_TRIES))
            self._known[thing.id] = any(self.graspable(scene, rng) for scene in scenes)
        return self._known[thing.id]


def source(objects: str, gripper: Gripper) -> tuple[ObjectSource, tuple[str, ...]]:
    """Where objects come from, and their ids when they are a fixed list."""
    if objects == "procedural":
        return ProceduralObjects(gripper, "test"), ()
    folder = MeshFolder.open(objects)
    return folder, folder.ids
