"""What a generated data set was asked to be, and what it became: settings and ``manifest.json``."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, get_args

from graspling.errors import InputError
from graspling.files import write_text
from graspling.simulation.shards import ShardIndex

SCHEMA = "graspling/generated"
VERSION = 1
FILE = "manifest.json"
SceneChoice = Literal["single", "cluttered", "stacked", "mixed"]
Part = Literal["mixed", "train", "test", "all"]
_PACKAGES = ("graspling", "numpy", "opencv-python-headless", "mujoco")
MESH_PACKAGES = ("coacd", "trimesh")  # they cut meshes into convex pieces


@dataclass(frozen=True)
class Settings:
    """All that decides what is generated.

    Attributes:
        frames: how many.
        seed: of everything random; scene i draws from [seed, i].
        scene: single, cluttered (side by side), stacked (dropped on each other) or mixed (all
            three in equal parts).
        objects: "procedural" or a folder of meshes.
        gripper: name or YAML file.
        camera: names or YAML files with commas between them, one is drawn for each view; "mixed"
            stands for all that come with graspling.
        part: which objects. "train" and "test" share none; "all" takes any; "mixed" makes seven
            of ten scenes of objects for training, one of objects for validation and two of
            objects for testing, so that the data set has an object-wise split of its own.
        views: cameras a settled scene.
        empty: share of the scenes whose table is empty.
        labels: at most so many of each kind (positive, ambiguous, negative) are kept a frame,
            spread evenly.
        shard_scenes: scenes a shard; an interrupted run loses at most one shard.
        jpeg_quality: of the colour images.

    Raises:
        InputError: a value out of its range.
    """

    frames: int
    seed: int = 0
    scene: SceneChoice = "mixed"
    objects: str = "procedural"
    gripper: str = "panda"
    camera: str = "mixed"
    part: Part = "mixed"
    views: int = 4
    empty: float = 0.04
    labels: int = 256
    shard_scenes: int = 100
    jpeg_quality: int = 92

    def __post_init__(self) -> None:
        for name in ("frames", "views", "labels", "shard_scenes"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, expected 1 or more")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}, expected 0 or more")
        if not 0 <= self.empty <= 1:
            raise InputError(f"empty is {self.empty}, expected a share from 0 to 1")
        if not 1 <= self.jpeg_quality <= 100:
            raise InputError(f"jpeg_quality is {self.jpeg_quality}, expected 1 to 100")
        for name, choices in (("scene", get_args(SceneChoice)), ("part", get_args(Part))):
            if getattr(self, name) not in choices:
                raise InputError(
                    f"{name} is {getattr(self, name)!r}, expected {', '.join(choices)}"
                )

    @property
    def scenes(self) -> int:
        """How many scenes that takes; the last one may give fewer frames than the others."""
        return -(-self.frames // self.views)

    @property
    def shards(self) -> int:
        """How many shards."""
        return -(-self.scenes // self.shard_scenes)

    def shard(self, number: int) -> range:
        """Scenes of a shard."""
        first = number * self.shard_scenes
        return range(first, min(first + self.shard_scenes, self.scenes))

    def frames_of(self, scenes: range) -> int:
        """Frames that consecutive scenes give."""
        return min(scenes.stop * self.views, self.frames) - scenes.start * self.views


@dataclass(frozen=True)
class Manifest:
    """The file ``manifest.json``.

    Attributes:
        settings: what was asked for.
        described: gripper and cameras in full, so that files of the user may change; of a folder
            of meshes ``meshes``, a digest of each by its name.
        versions: of what decides about the bytes.
        shards: of each finished shard name, frames, bytes and SHA-256; empty until the end.
        objects: sorted ids of all objects; empty until the end.
        complete: whether all frames are there.
    """

    settings: Settings
    described: Mapping[str, Any]
    versions: Mapping[str, str]
    shards: Sequence[Mapping[str, Any]] = ()
    objects: Sequence[str] = ()
    complete: bool = False

    def __post_init__(self) -> None:
        # as it comes back from the file: a tuple is a list there
        object.__setattr__(self, "described", json.loads(json.dumps(dict(self.described))))

    @property
    def identity(self) -> str:
        """12 hex digits that tell which frames an id stands for: of settings, gripper, cameras and
        meshes, but for the number of frames."""
        asked = asdict(replace(self.settings, frames=1))
        text = json.dumps([asked, self.described], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def height_range(self) -> tuple[float, float]:
        """Least and largest height of a camera above the table, metres."""
        heights = [camera["height"] for camera in self.described["cameras"]]
        return float(min(low for low, _ in heights)), float(max(high for _, high in heights))

    def finish(self, indices: Sequence[ShardIndex]) -> Manifest:
        """With what the shards hold."""
        shards = [
            {"file": i.file, "frames": len(i.ids), "bytes": i.bytes, "sha256": i.sha256}
            for i in indices
        ]
        found = {o for i in indices for _, _, objects in i.scenes.values() for o in objects}
        return replace(self, shards=shards, objects=sorted(found), complete=True)

    def save(self, folder: Path) -> None:
        """Write the file, whole or not at all."""
        document = {"schema": SCHEMA, "version": VERSION} | vars(self)
        document["settings"] = asdict(self.settings)
        write_text(folder / FILE, json.dumps(document, indent=1, sort_keys=True) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read the file of a folder. Raises InputError when it is missing or another thing."""
        path = folder / FILE
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            schema = (document.pop("schema"), document.pop("version"))
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        except (ValueError, KeyError, AttributeError):
            raise InputError(f"{path}: is no manifest of generated data") from None
        if schema != (SCHEMA, VERSION):
            raise InputError(
                f"{path}: {schema[0]!r} version {schema[1]!r}; "
                f"this release reads {SCHEMA} version {VERSION}"
            )
        known = {entry.name for entry in fields(Settings)}
        settings = {k: v for k, v in document.pop("settings").items() if k in known}
        return cls(settings=Settings(**settings), **document)

    def differences(self, other: Manifest) -> list[str]:
        """What makes the frames of two manifests differ, each as ``name: this, other``. More
        frames of the same kind are no difference."""
        pairs = [
            (asdict(replace(self.settings, frames=1)), asdict(replace(other.settings, frames=1))),
            (self.versions, other.versions),
            (self.described, other.described),
        ]
        found = []
        for mine, theirs in pairs:
            for name in sorted({*mine, *theirs}):
                a, b = mine.get(name), theirs.get(name)
                if name == "meshes":
                    if self.settings.objects == other.settings.objects:
                        found += _meshes_differ(a, b or {})
                elif a != b:
                    small = not isinstance(a, dict | list) and not isinstance(b, dict | list)
                    found.append(f"{name}: {a}, {b}" if small else name)
        return found


def _meshes_differ(there: Mapping[str, str] | None, now: Mapping[str, str]) -> list[str]:
    if there is None:
        return ["meshes: not noted there, the data are of an older release"]
    said = []
    for name in sorted({*there, *now}):
        if there.get(name) != now.get(name):
            how = "new" if name not in there else "missing now" if name not in now else ""
            said.append(f"mesh {name} is {how or 'another one now'}")
    return said


def versions(objects: str = "procedural") -> dict[str, str]:
    """Versions of the packages that decide about the bytes of these objects, and the kind of
    machine."""
    meshes = () if objects == "procedural" else MESH_PACKAGES
    found = {"machine": platform.machine()} | releases((*_PACKAGES, *meshes))
    import graspling

    found["graspling"] = graspling.__version__
    return found


def releases(packages: Sequence[str]) -> dict[str, str]:
    """Version of each package, "" of one that is not installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ""
    return found
