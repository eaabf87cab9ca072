"""Dense antipodal grasp labels of a camera frame: positive, ambiguous, negative.

A label is a grasp along the camera's optical axis, as deep as the fingers and the palm fit. It
says whether the opened gripper gets there (height map), what its pads meet and how much friction
that takes (lines from pad to pad), and how many of 16 perturbed copies hold.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.camera import Intrinsics
from graspling.grasps import Grasps, wrap_angle
from graspling.gripper import Gripper
from graspling.simulation.candidates import sample
from graspling.simulation.collision import HeightMap
from graspling.simulation.contacts import jaw_axes, thinnest
from graspling.simulation.lines import Floats
from graspling.simulation.reach import LabelSettings, robustness, settle, visible
from graspling.simulation.shapes import Ints, Shapes

__all__ = [
    "AMBIGUOUS",
    "NEGATIVE",
    "POSITIVE",
    "FrameLabels",
    "LabelSettings",
    "label",
    "label_shapes",
]

POSITIVE, AMBIGUOUS, NEGATIVE = 1, 0, -1


@dataclass(frozen=True, eq=False)
class FrameLabels:
    """N grasp candidates of one frame, in the camera frame (x right, y down, z forward).

    Attributes:
        position: (N, 3) float32 TCP, metres; half way between the contacts.
        angle: (N,) of the opening about the optical axis, radians in [-pi/2, pi/2).
        width: (N,) opening, metres: contact distance + 2 x clearance, within the opening.
        distance: (N,) between the contacts, metres.
        surface: (N,) depth of the nearest surface between the pads, metres: where the rectangle
            is seen; the TCP lies ``position[:, 2] - surface`` below it.
        jaw: (N,) length of the pads, metres.
        q: (N,) share of perturbed copies that hold; 0 where the grasp itself does not.
        friction: (N,) coefficient that the contacts need; infinite where nothing is touched.
        collision: (N,) the opened gripper touches something on its way, this way round or half a
            turn further.
        antipodal: (N,) it collides, or its pads close on one object, on faces that ``friction`` of
            the settings can hold. The others are candidates that turned out to be none at the depth
            that the gripper reaches; they are ambiguous too.
        object: (N,) number of the object, from 0.
        state: (N,) int8 1 positive, 0 ambiguous (ignore it), -1 negative.
    """

    position: Floats
    angle: Floats
    width: Floats
    distance: Floats
    surface: Floats
    jaw: Floats
    q: Floats
    friction: Floats
    collision: NDArray[np.bool_]
    antipodal: NDArray[np.bool_]
    object: Ints
    state: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.state)

    def __getitem__(self, rows: NDArray[Any] | slice) -> FrameLabels:
        """Rows by mask, slice or index array."""
        return FrameLabels(*(getattr(self, entry.name)[rows] for entry in fields(self)))

    def to_grasps(self, intrinsics: Intrinsics, state: int = POSITIVE) -> Grasps:
        """The grasps of one state as rectangles on the image, quality q, best first; drawn where
        the object's surface is seen."""
        rows = self[self.state == state]
        seen = np.column_stack([rows.position[:, :2], rows.surface])
        pixels = intrinsics.project(seen)
        # a metre along the opening in pixels, when fx and fy differ
        along = np.column_stack(
            [intrinsics.fx * np.cos(rows.angle), intrinsics.fy * np.sin(rows.angle)]
        )
        aside = np.column_stack(
            [-intrinsics.fx * np.sin(rows.angle), intrinsics.fy * np.cos(rows.angle)]
        )
        return Grasps(
            pixels[:, 0],
            pixels[:, 1],
            np.arctan2(along[:, 1], along[:, 0]),
            rows.width * np.linalg.norm(along, axis=1) / rows.surface,
            rows.jaw * np.linalg.norm(aside, axis=1) / rows.surface,
            rows.q.astype(np.float64),
        ).sorted()

    def poses(self, world_from_camera: ArrayLike) -> NDArray[np.float64]:
        """(N, 4, 4) of the gripper's house frame in the world."""
        poses = np.tile(np.eye(4), (len(self), 1, 1))
        poses[:, :3, :3] = jaw_axes(self.angle).transpose(0, 2, 1)
        poses[:, :3, 3] = self.position
        return np.asarray(world_from_camera, np.float64) @ poses


def label(
    scene: Any,
    view: Any,
    gripper: Gripper,
    rng: np.random.Generator,
    settings: LabelSettings | None = None,
) -> FrameLabels:
    """Label one frame.

    Args:
        scene: settled, with ``model``, ``data`` (MuJoCo) and ``bodies``, the objects' body ids.
        view: the camera, with ``intrinsics`` and ``world_from_camera`` (4, 4).
    """
    shapes = Shapes.from_model(scene.model, scene.data, view.world_from_camera, scene.bodies)
    return label_shapes(shapes, gripper, rng, settings, view.intrinsics)


def label_shapes(
    shapes: Shapes,
    gripper: Gripper,
    rng: np.random.Generator,
    settings: LabelSettings | None = None,
    intrinsics: Intrinsics | None = None,
) -> FrameLabels:
    """Label convex parts as a camera along +z sees them; with ``intrinsics`` only those grasps
    whose surface lies in the image and is not hidden by another object."""
    settings = settings or LabelSettings()
    gripper = gripper.either_way()  # an angle is stored up to half a turn, and so is it checked
    heights = HeightMap.of(shapes)
    found = sample(
        shapes,
        rng,
        settings.candidates,
        friction=settings.friction,
        aligned=settings.aligned,
        farthest=gripper.opening - gripper.clearance,
    )
    reach = settle(shapes, heights, gripper, found, settings)
    touches = reach.contacts.touch & (reach.contacts.owner == found.owner[:, None]).all(axis=1)
    thick = reach.contacts.distance >= thinnest(gripper)
    holds = touches & thick & ~reach.collides & (reach.contacts.friction <= settings.friction)
    keep = np.ones(len(found), bool)
    if intrinsics is not None and len(found):
        keep = visible(shapes, reach.place[:, :2], reach.top, found.owner, intrinsics)
    chosen = np.flatnonzero(holds & keep)
    if len(chosen) > settings.robust:
        left_out = rng.permutation(chosen)[settings.robust :]
        keep[left_out] = False
        chosen = np.flatnonzero(holds & keep)
    q = np.zeros(len(found), np.float32)
    q[chosen] = robustness(
        shapes, heights, gripper, reach.place[chosen], found.angle[chosen], reach.width[chosen],
        found.owner[chosen], rng, settings,
    )  # fmt: skip
    state = np.zeros(len(found), np.int8)
    firm = reach.contacts.share.min(axis=1) >= settings.patch_positive
    state[holds & firm & (q >= settings.q_positive)] = POSITIVE
    state[reach.surely] = NEGATIVE
    table = FrameLabels(
        reach.place,
        wrap_angle(found.angle).astype(np.float32),
        reach.width,
        reach.distance,
        reach.top,
        np.full(len(found), gripper.pad_length, np.float32),
        q,
        reach.contacts.friction,
        reach.collides,
        reach.collides | holds,
        found.owner,
        state,
    )
    return table[keep]
