"""Generated frames to classification tensors (see ``datasets.tensors``).

Over a third of a frame's rows are its own labels: where an expert would grip, half of them robust.
The rest are what a network might propose: labels that were shifted, turned, lifted or opened
otherwise, and a few grasps anywhere. Each is judged as it is by :func:`assess.assess`, which takes
collisions of fingers and palm, contacts and 16 perturbed copies into account. A row is robust when
q >= 0.6, the least q of a positive label; q is 0 where the grasp itself does not hold.

Half of the frames are cut at the resolution of the camera, half as a detector sees them (centred
square, 224 pixels): a critic meets both.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.camera import Intrinsics
from graspling.crops import Cropper
from graspling.datasets.generated import Generated
from graspling.datasets.options import check_seed
from graspling.datasets.tensors import IMAGES, METRICS, POSES, TensorWriter
from graspling.errors import InputError
from graspling.grasps import Grasps, wrap_angle
from graspling.gripper import Gripper
from graspling.resample import crop_affine, warp_depth
from graspling.simulation.assess import Assessment, assess
from graspling.simulation.epsilon import ROBUST, robust_epsilon
from graspling.simulation.labels import POSITIVE, FrameLabels
from graspling.simulation.restore import Restored, Restorer

Floats = NDArray[np.float32]
_INPUT = 224  # pixels: of a detector's input
_LEAST_OPENING = 0.008  # metres
_METRICS = {**METRICS, "robust_ferrari_canny": ROBUST}  # the published threshold is of other units


@dataclass(frozen=True)
class TensorSettings:
    """What is written.

    Attributes:
        rows: in all, at most.
        each: rows a frame, at most.
        seed: of everything random; what a frame gives depends on it and the frame's id alone.
        epsilon: also ``robust_ferrari_canny`` (some 10 ms a row).
        own, anywhere: shares of the rows that are labels as stored, and drawn anywhere.
    """

    rows: int = 100_000
    each: int = 40
    seed: int = 0
    epsilon: bool = False
    own: float = 0.35
    anywhere: float = 0.1

    def __post_init__(self) -> None:
        if self.rows < 1 or self.each < 4:
            raise InputError(f"rows is {self.rows}, each {self.each}: expected 1 and 4 or more")
        check_seed(self.seed)


@dataclass(frozen=True, eq=False)
class Drawn:
    """N grasps to be judged: TCP (N, 3), angle (N,), width (N,), in metres and radians of the
    camera frame, and the object (N,) that they were drawn for."""

    place: Floats
    angle: Floats
    width: Floats
    object: NDArray[np.intp]


def write(
    dataset: Generated,
    out: str | Path,
    settings: TensorSettings,
    ids: Sequence[str] | None = None,
    progress: Callable[[Sequence[str]], Iterable[str]] = iter,
) -> dict[str, Any]:
    """Write tensors of frames in a random order, until there are enough rows.

    Args:
        ids: the frames; by default all that have labels.
        progress: wraps the ids, to show how far it is.

    Returns:
        The description that was written as ``tensors.json``.

    Raises:
        InputError: the folder holds tensors already; no frame has a label.
        MissingExtraError: MuJoCo is not installed.
    """
    writer, restorer = TensorWriter(out), Restorer(dataset)
    pool = sorted(dataset.ids if ids is None else ids)
    pool = [name for name in pool if sum(dataset.counts[name])]
    order = np.random.default_rng(settings.seed).permutation(len(pool))
    wanted = -(-settings.rows // settings.each)
    images: list[str] = []
    objects: dict[str, int] = {}
    robust = 0
    for name in progress([pool[i] for i in order[:wanted]]):
        scene = restorer(name)
        rng = np.random.default_rng([settings.seed, zlib.crc32(name.encode())])
        columns, owner = _frame(dataset, name, scene, rng, settings)
        numbers = [objects.setdefault(thing.id, len(objects)) for thing in scene.objects]
        count = min(len(owner), settings.rows - writer.rows)
        columns["object_labels"] = np.asarray(numbers, np.int32)[owner]
        columns["image_labels"] = np.full(len(owner), len(images), np.int32)
        writer.add({key: values[:count] for key, values in columns.items()})
        robust += int((columns["robust_q"][:count] >= _METRICS["robust_q"]).sum())
        images.append(name)
    if not images:
        raise InputError(f"{dataset.name} at {dataset.root}: no frame has a label")
    places = {group: n for n, group in enumerate(sorted({dataset.objects[i] for i in images}))}
    description = {
        "schema": "graspling/tensors",
        "version": 1,
        "data": dataset.kind,
        "identity": dataset.identity,
        "gripper": dataset.manifest.settings.gripper,
        "settings": vars(settings),
        "metrics": _METRICS,
        "robust": robust,
        "objects": list(objects),
        "images": images,
        # images that share objects, directly or through others, have one number
        "groups": [places[dataset.objects[i]] for i in images],
    }
    writer.close(description)
    return {"rows": writer.rows, **description}


def _frame(
    dataset: Generated,
    name: str,
    scene: Restored,
    rng: np.random.Generator,
    settings: TensorSettings,
) -> tuple[dict[str, NDArray[Any]], NDArray[np.intp]]:
    """The fields of one frame's rows, and the object that each was drawn for."""
    depth, camera = dataset.read_depth(name)
    drawn = draw(dataset.table(name), depth, camera, scene.gripper, rng, settings)
    found = assess(
        scene.shapes, scene.heights, scene.gripper, drawn.place, drawn.angle, drawn.width, rng
    )
    grasps = seen(drawn.place, drawn.angle, drawn.width, found.surface, camera)
    focal = camera.focal
    if rng.random() < 0.5:
        affine = crop_affine(depth.shape[0], depth.shape[1], _INPUT)
        depth, grasps = warp_depth(depth, affine, _INPUT), grasps.transform(affine)
        focal *= float(affine[0, 0])
    crops = Cropper(depth)(grasps, drawn.place[:, 2], focal)
    zero = np.zeros(len(grasps))
    z = drawn.place[:, 2].astype(np.float64)
    poses = [grasps.v, grasps.u, z, grasps.angle, zero, zero, grasps.width]
    columns: dict[str, NDArray[Any]] = {
        IMAGES: crops.image[..., None],
        POSES: np.stack(poses, axis=1).astype(np.float32),
        "openings": crops.pose[:, 1],
        "robust_q": found.q,
        "states": found.state,
        "collision_free": (~found.collision).astype(np.float32),
    }
    if settings.epsilon:
        columns["robust_ferrari_canny"] = _epsilon(scene, drawn, found, rng)
    return columns, drawn.object


def draw(
    table: FrameLabels,
    depth: Floats,
    camera: Intrinsics,
    gripper: Gripper,
    rng: np.random.Generator,
    settings: TensorSettings,
) -> Drawn:
    """The grasps of a frame that are judged: own labels, variations, anywhere."""
    anywhere = round(settings.each * settings.anywhere)
    own = min(round(settings.each * settings.own), len(table))
    rows = np.concatenate(
        [
            _half(rng, table.state == POSITIVE, own),
            rng.integers(len(table), size=settings.each - own - anywhere),
        ]
    )
    base = table[rows]
    place, angle, width = base.position.copy(), base.angle.copy(), base.width.copy()
    varied = np.arange(len(rows)) >= own
    count = int(varied.sum())
    # from what a good network gets wrong to what a bad one says
    reach = rng.choice([0.002, 0.006, 0.015], size=(count, 1))
    shift = rng.normal(size=(count, 3)) * np.concatenate([reach, reach, reach / 2], axis=1)
    turn = np.where(
        rng.random(count) < 0.25, rng.uniform(0, np.pi, count), rng.normal(0, 0.25, count)
    )
    stretch = np.where(rng.random(count) < 0.5, rng.uniform(0.6, 1.8, count), 1.0)
    place[varied] += shift.astype(np.float32)
    angle[varied] += turn.astype(np.float32)
    width[varied] *= stretch.astype(np.float32)
    parts = [Drawn(place, angle, width, base.object.astype(np.intp))]
    if anywhere:
        height, wide = depth.shape
        u, v = rng.uniform(0, wide - 1, anywhere), rng.uniform(0, height - 1, anywhere)
        z = depth[np.rint(v).astype(int), np.rint(u).astype(int)].astype(np.float64)
        z = np.where(z > 0, z, np.median(depth))
        spots = camera.deproject(u, v, z + rng.uniform(-0.01, 0.02, anywhere))
        turns = rng.uniform(-np.pi / 2, np.pi / 2, anywhere)
        opened = rng.uniform(_LEAST_OPENING, gripper.opening, anywhere)
        owners = rng.choice(np.unique(table.object), anywhere).astype(np.intp)
        single = [a.astype(np.float32) for a in (spots, turns, opened)]
        parts.append(Drawn(single[0], single[1], single[2], owners))
    columns = ([getattr(part, name) for part in parts] for name in ("place", "angle", "width"))
    place, angle, width = (np.concatenate(column) for column in columns)
    low = max(_LEAST_OPENING, gripper.min_opening)
    return Drawn(
        place,
        wrap_angle(angle).astype(np.float32),
        np.clip(width, low, gripper.opening),
        np.concatenate([part.object for part in parts]),
    )


def _half(rng: np.random.Generator, wanted: NDArray[np.bool_], count: int) -> NDArray[np.intp]:
    """``count`` different rows, half of them wanted as far as there are so many."""
    yes, no = (rng.permutation(np.flatnonzero(mask)) for mask in (wanted, ~wanted))
    first = min(len(yes), max(count // 2, count - len(no)))
    return np.concatenate([yes[:first], no[: count - first]])


def seen(
    place: Floats, angle: Floats, width: Floats, surface: Floats, camera: Intrinsics
) -> Grasps:
    """Grasps (metres) as rectangles on the image, drawn where the surface between the pads is
    seen; as ``FrameLabels.to_grasps``, but in the given order."""
    pixels = camera.project(np.column_stack([place[:, :2], surface]))
    along = np.stack([camera.fx * np.cos(angle), camera.fy * np.sin(angle)], axis=1)
    length = np.hypot(along[:, 0], along[:, 1]) / surface
    return Grasps.from_arrays(
        pixels[:, 0], pixels[:, 1], np.arctan2(along[:, 1], along[:, 0]), width * length
    )


def _epsilon(scene: Restored, drawn: Drawn, found: Assessment, rng: np.random.Generator) -> Floats:
    """(N,) robust epsilon."""
    zero = np.zeros(len(drawn.angle), np.float32)
    labels = FrameLabels(
        drawn.place, drawn.angle, drawn.width, zero, zero, zero, zero, zero, found.collision,
        ~found.collision, found.object, found.state,
    )  # fmt: skip
    return robust_epsilon(scene.shapes, labels, scene.gripper, rng).astype(np.float32)
