"""Depth frames with sparse labels: the detection version of the data, that GQ-STN learns from.

Of each frame a square of 240 x 240 pixels and a few of its positive labels are kept in memory. A
training image is a window of that square around one of the labels, turned and mirrored at random:
where one object lies alone, any window that holds the grasp; among others, where a network learns
one label of several, a narrow one, so that what lies in the middle is meant. Validation looks at
the whole square.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graspling.crops import SPAN
from graspling.datasets.augment import generator
from graspling.datasets.generated import Generated
from graspling.errors import InputError
from graspling.grasps import Grasps
from graspling.networks.gqstn import Pose, sample
from graspling.networks.localisers import SIDE
from graspling.resample import crop_affine, warp_depth
from graspling.simulation.labels import POSITIVE
from graspling.simulation.tensors import seen

Floats = NDArray[np.float32]
Rows = Sequence[int] | NDArray[np.intp]
SQUARE = 240  # pixels of a kept frame
_COUNT = 1e-4  # metres of a count, as frames are stored
_WIDE = (0.45, 1.0)  # side of a window, as share of the square
_NARROW = (0.2, 0.35)  # side of a window, metres


@dataclass(frozen=True, eq=False)
class Frames:
    """F frames.

    Attributes:
        ids: their ids.
        depth: (F, 240, 240) uint16, 0.1 mm, without holes.
        focal: (F,) pixels of the square.
        alone: (F,) one object only.
        sparse: for each frame (K, 5) labels to learn from: u, v, angle, width, z; pixels of the
            square, radians, metres.
        labels: for each frame all its positives.
    """

    ids: tuple[str, ...]
    depth: NDArray[np.uint16]
    focal: Floats
    alone: NDArray[np.bool_]
    sparse: tuple[Floats, ...]
    labels: tuple[Grasps, ...]

    def __len__(self) -> int:
        return len(self.ids)


def read_frames(
    dataset: Generated,
    ids: Sequence[str],
    *,
    sparse: int,
    seed: int,
    progress: Callable[[Sequence[str]], Iterable[str]] = iter,
) -> Frames:
    """Read frames; those without a positive label in the square are left out.

    Args:
        sparse: labels kept a frame; which ones depends on the seed and the id.

    Raises:
        InputError: none has a label.
    """
    kept: list[str] = []
    depths, focals, alone = [], [], []
    chosen: list[Floats] = []
    labels: list[Grasps] = []
    for name in progress(ids):
        table = dataset.table(name)
        table = table[table.state == POSITIVE]
        if not len(table):
            continue
        depth, camera = dataset.read_depth(name)
        affine = crop_affine(depth.shape[0], depth.shape[1], SQUARE)
        found = seen(table.position, table.angle, table.width, table.surface, camera)
        found = found.transform(affine)
        reach = found.width / 2
        inside = (found.u > reach) & (found.u < SQUARE - reach)
        inside &= (found.v > reach) & (found.v < SQUARE - reach)
        rows = np.flatnonzero(inside)
        if not len(rows):
            continue
        few = generator(seed, 0, name).permutation(rows)[:sparse]
        columns = (found.u, found.v, found.angle, found.width, table.position[:, 2])
        chosen.append(np.stack([c[few] for c in columns], axis=1).astype(np.float32))
        depths.append(np.rint(warp_depth(depth, affine, SQUARE) / _COUNT).astype(np.uint16))
        focals.append(camera.fx * float(affine[0, 0]))
        alone.append(len(dataset.contents[name]) == 1)
        labels.append(found[rows])
        kept.append(name)
    if not kept:
        raise InputError(f"{dataset.name}: none of {len(ids)} frames has a positive label")
    return Frames(
        tuple(kept),
        np.stack(depths),
        np.array(focals, np.float32),
        np.array(alone),
        tuple(chosen),
        tuple(labels),
    )


@dataclass(frozen=True)
class GraspBatch:
    """N training images.

    Attributes:
        image: (N, 1, 224, 224) metres.
        focal: (N,) pixels of the image.
        target: the label that was drawn.
        others: (N, K, 6) all sparse labels in the window, the drawn one too: x, y, sin, cos, scale,
            z; NaN beyond.
        chance: (N,) uniform random numbers in [0, 1).
    """

    image: Tensor
    focal: Tensor
    target: Pose
    others: Tensor
    chance: Tensor

    def to(self, device: torch.device) -> GraspBatch:
        """On a device."""
        columns = (
            getattr(self.target, n).to(device) for n in ("x", "y", "sin", "cos", "scale", "z")
        )
        return GraspBatch(
            self.image.to(device),
            self.focal.to(device),
            Pose(*columns),
            self.others.to(device),
            self.chance.to(device),
        )


def draw_batch(
    frames: Frames, rows: Rows, seed: int, turns: Rows, sparse: int, *, wide: bool = False
) -> GraspBatch:
    """Windows of frames; what is drawn depends on (seed, turn, id) and ``wide`` alone.

    Args:
        turns: of each row: the number of this look at its frame, which has a window of its own.
        wide: wide windows also where several objects lie.
    """
    count = len(rows)
    matrix = np.empty((count, 2, 3), np.float32)
    targets = np.empty((count, 6), np.float32)
    others = np.full((count, sparse, 6), np.nan, np.float32)
    sides, chance = np.empty(count, np.float32), np.empty(count, np.float32)
    for place, (row, turn) in enumerate(zip(rows, turns, strict=True)):
        rng = generator(seed, int(turn), frames.ids[row])
        label = frames.sparse[row]
        aim = label[rng.integers(len(label))]
        window = _window(rng, aim, wide or bool(frames.alone[row]), float(frames.focal[row]))
        moved = window.labels(label)
        # x and y within the window; the drawn label always is
        inside = np.abs(moved[:, :2]).max(axis=1) < 0.49
        others[place, : inside.sum()] = moved[inside][:sparse]
        targets[place] = window.labels(aim[None])[0]
        matrix[place], sides[place] = window.matrix(), window.side
        chance[place] = rng.random()
    image = torch.from_numpy(frames.depth[list(rows)].astype(np.float32) * np.float32(_COUNT))
    focal = torch.from_numpy(frames.focal[list(rows)] * (SIDE / sides))
    return GraspBatch(
        sample(image[:, None], torch.from_numpy(matrix), SIDE),
        focal,
        Pose(*torch.from_numpy(targets).unbind(dim=1)),
        torch.from_numpy(others),
        torch.from_numpy(chance),
    )


def whole(frames: Frames, rows: Rows) -> tuple[Tensor, Tensor]:
    """Whole squares as input: images (N, 1, 224, 224) in metres, focal lengths (N,)."""
    depth = frames.depth[list(rows)].astype(np.float32) * np.float32(_COUNT)
    same = torch.tensor([[1.0, 0, 0], [0, 1, 0]]).expand(len(depth), 2, 3)
    image = sample(torch.from_numpy(depth)[:, None], same, SIDE)
    return image, torch.from_numpy(frames.focal[list(rows)]) * (SIDE / SQUARE)


@dataclass(frozen=True)
class Window:
    """A turned, perhaps mirrored square: centre and side in pixels of the frame's square, angle in
    radians."""

    u: float
    v: float
    side: float
    angle: float
    mirrored: bool

    def matrix(self) -> Floats:
        """(2, 3) in sampling coordinates: where a pixel of the window is taken from."""
        scale = self.side / SQUARE
        cos, sin = np.cos(self.angle) * scale, np.sin(self.angle) * scale
        flip = -1 if self.mirrored else 1
        middle = [(2 * c + 1) / SQUARE - 1 for c in (self.u, self.v)]
        return np.array([[flip * cos, -sin, middle[0]], [flip * sin, cos, middle[1]]], np.float32)

    def labels(self, rows: Floats) -> Floats:
        """(K, 5) labels of the frame to (K, 6): x, y, sin, cos of twice the angle, scale, z."""
        du, dv = rows[:, 0] - self.u, rows[:, 1] - self.v
        flip = -1 if self.mirrored else 1
        x = flip * (np.cos(self.angle) * du + np.sin(self.angle) * dv) / self.side
        y = (-np.sin(self.angle) * du + np.cos(self.angle) * dv) / self.side
        angle = flip * (rows[:, 2] - self.angle)
        scale = SPAN * rows[:, 3] / self.side
        columns = [x, y, np.sin(2 * angle), np.cos(2 * angle), scale, rows[:, 4]]
        return np.stack(columns, axis=1).astype(np.float32)


def _window(rng: np.random.Generator, aim: Floats, wide: bool, focal: float) -> Window:
    """A window that holds the grasp ``aim``, shifted into the square where it fits."""
    angle, mirrored = rng.uniform(-np.pi, np.pi), bool(rng.random() < 0.5)
    if wide:
        side, reach = SQUARE * rng.uniform(*_WIDE), 0.33
    else:
        side, reach = min(rng.uniform(*_NARROW) * focal / float(aim[4]), float(SQUARE)), 0.15
    side = max(side, 2.5 * float(aim[3]))
    along, aside = rng.uniform(-reach, reach, 2) * side
    u = float(aim[0]) - np.cos(angle) * along + np.sin(angle) * aside
    v = float(aim[1]) - np.sin(angle) * along - np.cos(angle) * aside
    if side < SQUARE:
        low, high = side / 2 - 0.5, SQUARE - side / 2 - 0.5
        shifted = np.clip([u, v], low, high)
        # a turned window that was shifted must still hold the grasp
        if np.abs(np.subtract(shifted, aim[:2])).max() < 0.33 * side:
            u, v = shifted
    return Window(float(u), float(v), float(side), float(angle), mirrored)
