"""The scene behind a generated frame, put together again from ids and poses.

A frame stores which objects lie where, so nothing has to settle again: analytic labels and trials
of any grasp, for example a predicted one, are possible for every frame of a data set.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.camera import Intrinsics
from graspling.datasets.generated import Generated
from graspling.datasets.generated_splits import scene_of
from graspling.errors import InputError
from graspling.gripper import Gripper
from graspling.simulation import world
from graspling.simulation.collision import HeightMap
from graspling.simulation.manifest import FILE
from graspling.simulation.meshes import MeshFolder
from graspling.simulation.objects import ObjectModel, ObjectSource, ProceduralObjects
from graspling.simulation.rotation import quaternion
from graspling.simulation.shapes import Shapes
from graspling.simulation.views import CameraView


@dataclass(frozen=True, eq=False)
class Restored:
    """A frame's scene.

    Attributes:
        objects: in the order of the frame's description.
        model, data: ``mujoco.MjModel`` and ``MjData``; the table top is the plane z = 0.
        view: the camera.
        gripper: for which the frame was labelled.
    """

    objects: tuple[ObjectModel, ...]
    model: Any
    data: Any
    view: CameraView
    gripper: Gripper

    @property
    def bodies(self) -> list[int]:
        """Body id of each object in the model."""
        return list(range(1, len(self.objects) + 1))

    @cached_property
    def shapes(self) -> Shapes:
        """Convex parts in the frame's camera frame."""
        pose = self.view.world_from_camera
        return Shapes.from_model(self.model, self.data, pose, self.bodies)

    @cached_property
    def heights(self) -> HeightMap:
        """First surfaces along the frame's camera axis."""
        return HeightMap.of(self.shapes)


class Restorer:
    """Restores frames of a generated data set; the views of a scene share its model.

    Raises:
        InputError: the folder of meshes that the objects came from is not there any more, or
            holds others.
        MissingExtraError: MuJoCo is not installed.
    """

    def __init__(self, dataset: Generated) -> None:
        self.dataset = dataset
        manifest = dataset.manifest
        # not from its file, which may have changed: procedural objects are sized for its opening
        try:
            self.gripper = Gripper.from_dict(manifest.described.get("gripper", {}))
        except InputError as error:
            raise InputError(f"{dataset.root / FILE}: gripper: {error}") from None
        self.source: ObjectSource = ProceduralObjects(self.gripper)
        if manifest.settings.objects != "procedural":
            self.source = MeshFolder.open(manifest.settings.objects)
            _check_meshes(dataset, self.source)
        self._last: tuple[str, tuple[ObjectModel, ...], Any, Any] | None = None

    def __call__(self, sample_id: str) -> Restored:
        """The scene of one frame.

        Raises:
            InputError: no such frame, or it does not say what lies where.
        """
        document = self.dataset.description(sample_id)
        if "object_poses" not in document:
            raise InputError(f"{self.dataset.name} sample {sample_id!r}: no poses of its objects")
        if self._last is None or self._last[0] != scene_of(sample_id):
            self._last = (scene_of(sample_id), *self._build(document))
        _, objects, model, data = self._last
        view = CameraView(
            Intrinsics(**document["intrinsics"]), np.array(document["world_from_camera"])
        )
        return Restored(objects, model, data, view, self.gripper)

    def _build(self, document: dict[str, Any]) -> tuple[tuple[ObjectModel, ...], Any, Any]:
        objects = tuple(self.source.get(name) for name in document["objects"])
        mujoco = world.import_mujoco()
        model = world.build(objects)
        data = mujoco.MjData(model)
        for number, pose in enumerate(document["object_poses"]):
            matrix: NDArray[np.float64] = np.array(pose)
            data.qpos[7 * number : 7 * number + 3] = matrix[:3, 3]
            data.qpos[7 * number + 3 : 7 * number + 7] = quaternion(matrix[:3, :3])
        mujoco.mj_forward(model, data)
        return objects, model, data


def _check_meshes(dataset: Generated, folder: MeshFolder) -> None:
    """Refuse meshes that have changed since (data of older releases do not say what they were)."""
    noted = dataset.manifest.described.get("meshes", {})
    now = folder.digests()
    for name in sorted({name for objects in dataset.contents.values() for name in objects}):
        if name in noted and now.get(name) != noted[name]:
            raise InputError(
                f"mesh {name} is not the one that {dataset.name} at {dataset.root} was made of "
                f"(its file, scale, mass or texture); put that one back into {folder.path}, or "
                "generate the data again"
            )
