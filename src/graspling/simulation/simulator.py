"""One scene from its number: objects, rest, views, pictures, labels, bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.resources import files
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from graspling.errors import GrasplingError, InputError
from graspling.gripper import Gripper
from graspling.simulation import codec
from graspling.simulation.labels import AMBIGUOUS, NEGATIVE, POSITIVE, LabelSettings, label
from graspling.simulation.manifest import Settings
from graspling.simulation.meshes import MeshFolder
from graspling.simulation.objects import ObjectSource, ProceduralObjects
from graspling.simulation.pools import POOLS, Pool, pool_of_procedural, pool_of_scene, pools_of
from graspling.simulation.render import Renderer
from graspling.simulation.scene import Scene, SceneKind, SceneSettings, make_scene
from graspling.simulation.shards import FrameRecord, SceneRecord
from graspling.simulation.spread import thin
from graspling.simulation.views import CameraModel, CameraView, sample_view
from graspling.simulation.world import import_mujoco

_KINDS: tuple[SceneKind, ...] = ("single", "cluttered", "stacked")
# A scene that the engine cannot do is drawn again so many times.
_TRIES = 3


class Simulator:
    """Makes the scenes of a data set, each by its number alone.

    Raises:
        InputError: no such gripper, camera or folder of objects.
        MissingExtraError: MuJoCo is not installed.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.gripper = Gripper.load(settings.gripper)
        self.cameras = [CameraModel.load(name) for name in camera_names(settings.camera)]
        self.sources = object_sources(settings, self.gripper)
        self.renderer = Renderer()

    def __call__(self, number: int) -> SceneRecord:
        """Scene ``number``. One that the engine fails at is drawn again from another seed, which
        depends on the number too, and noted."""
        notes: list[str] = []
        for attempt in range(_TRIES):
            try:
                return self._make(number, attempt, "; ".join(notes))
            # what the machine lacks at the moment must not decide which scene it is
            except (GrasplingError, MemoryError, OSError):
                raise
            except Exception as error:
                notes.append(f"drawn again after {type(error).__name__}: {error}")
                if attempt == _TRIES - 1:
                    raise
        raise AssertionError

    @staticmethod
    def describe(settings: Settings) -> dict[str, Any]:
        """Gripper and cameras in full, meshes by their digests, and a check that all that was
        named is there."""
        gripper = Gripper.load(settings.gripper)
        cameras = [CameraModel.load(name) for name in camera_names(settings.camera)]
        import_mujoco()
        source, _ = _source(settings, gripper)
        meshes = {}
        if isinstance(source, MeshFolder):
            source.prepare()  # once and for all, instead of in each worker
            # which pool a mesh belongs to depends on the others, so all of them are noted
            meshes = {"meshes": source.digests()}
        return {
            "gripper": asdict(gripper),
            "cameras": [asdict(camera) for camera in cameras],
            "scene_settings": asdict(SceneSettings()),
            "label_settings": asdict(density(0)),
            **meshes,
        }

    def stage(self, kind: str, rng: np.random.Generator) -> tuple[Scene, CameraView]:
        """Any scene of a kind and a view of it, for ``verify.verify``."""
        source = self.sources[str(rng.choice(list(self.sources)))]
        scene = make_scene(cast(SceneKind, kind), source, rng)
        return scene, sample_view(self._camera(rng), rng, scene)

    def _camera(self, rng: np.random.Generator) -> CameraModel:
        return self.cameras[rng.integers(len(self.cameras))]

    def _make(self, number: int, attempt: int, note: str) -> SceneRecord:
        settings, seconds = self.settings, _Stopwatch()
        seed = [settings.seed, number]
        rng = np.random.default_rng([*seed, attempt] if attempt else seed)
        pool = pool_of_scene(number, settings.part)
        drawn = _KINDS[rng.integers(len(_KINDS))]
        kind = drawn if settings.scene == "mixed" else settings.scene
        with seconds("settle"):
            empty = rng.random() < settings.empty
            scene = make_scene("empty" if empty else kind, self.sources[pool], rng)
        frames = []
        # of their own, so that what one draws does not change the others
        for view, own in enumerate(rng.spawn(settings.views)):
            frames.append(self._frame(scene, f"{number:07d}-{view}", number, pool, own, seconds))
        ids = tuple(thing.id for thing in scene.objects)
        return SceneRecord(number, scene.kind, pool, ids, tuple(frames), seconds.stages, note)

    def _frame(
        self,
        scene: Scene,
        name: str,
        number: int,
        pool: str,
        rng: np.random.Generator,
        seconds: _Stopwatch,
    ) -> FrameRecord:
        settings = self.settings
        camera = self._camera(rng)
        with seconds("render"):
            view = sample_view(camera, rng, scene)
            frame = self.renderer.render(scene, view)
        with seconds("label"):
            wanted = density(len(scene.objects))
            labels = thin(label(scene, view, self.gripper, rng, wanted), settings.labels)
        with seconds("encode"):
            description = {
                "schema": "graspling/generated-frame",
                "version": 1,
                "id": name,
                "scene": number,
                "kind": scene.kind,
                "pool": pool,
                "objects": [thing.id for thing in scene.objects],
                "object_poses": _plain(scene.poses),
                "camera": camera.name,
                "intrinsics": view.intrinsics.to_dict(),
                "world_from_camera": _plain(view.world_from_camera),
                "gripper": self.gripper.name,
            }
            members = {
                codec.DEPTH: codec.encode_depth(frame.depth),
                codec.COLOUR: codec.encode_colour(frame.rgb, settings.jpeg_quality),
                codec.SEGMENTATION: codec.encode_segmentation(frame.segmentation),
                codec.LABELS: codec.encode_labels(labels),
                codec.DESCRIPTION: codec.encode_description(description),
            }
        states = (POSITIVE, AMBIGUOUS, NEGATIVE)
        positive, ambiguous, negative = (int((labels.state == s).sum()) for s in states)
        return FrameRecord(name, members, (positive, ambiguous, negative))


class _Stopwatch:
    """Wall seconds by stage."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.stages[stage] = self.stages.get(stage, 0.0) + time.perf_counter() - began


def _plain(pose: NDArray[np.floating[Any]]) -> list[Any]:
    """Poses for JSON: a tenth of a micrometre, which is less than depth is stored in."""
    values: list[Any] = (np.round(np.asarray(pose, np.float64), 7) + 0.0).tolist()
    return values


def density(objects: int) -> LabelSettings:
    """How many grasps to look for in a frame: more where there are more objects, because a place
    without a label teaches that it cannot be gripped. A crowded frame takes twice as long."""
    return LabelSettings(candidates=200 + 30 * objects, robust=60 + 12 * objects)


def camera_names(cameras: str) -> list[str]:
    """The names in ``Settings.camera``."""
    if cameras == "mixed":
        folder = files("graspling.simulation") / "cameras"
        return sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".yaml"))
    names = [name.strip() for name in cameras.split(",")]
    if not all(names):
        raise InputError(f"camera {cameras!r}: expected names or files with commas between them")
    return names


def object_sources(settings: Settings, gripper: Gripper) -> dict[str, ObjectSource]:
    """A source of objects for each pool that the data set has."""
    source, pool_of = _source(settings, gripper)
    if settings.part == "mixed":
        return {name: Pool(source, pool_of, {name}) for name in POOLS}
    if settings.part == "train":
        # what would validate is training data where nothing else asks for it
        return {"train": Pool(source, pool_of, {"train", "val"})}
    return {settings.part: source if settings.part == "all" else Pool(source, pool_of, {"test"})}


def _source(settings: Settings, gripper: Gripper) -> tuple[ObjectSource, Callable[[str], str]]:
    """All objects, and the pool of each id."""
    if settings.objects == "procedural":
        return ProceduralObjects(gripper), pool_of_procedural
    folder = MeshFolder.open(settings.objects)
    pools = {} if settings.part == "all" else pools_of(folder.ids)
    return folder, pools.__getitem__
