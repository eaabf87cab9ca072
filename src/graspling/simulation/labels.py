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
from graspling.simulation.candidates import Candidates, sample
from graspling.simulation.collision import HeightMap
from graspling.simulation.contacts import Contacts, close, jaw_axes
from graspling.simulation.shapes import Floats, Ints, Shapes

POSITIVE, AMBIGUOUS, NEGATIVE = 1, 0, -1


@dataclass(frozen=True)
class LabelSettings:
    """What makes a label. Metres, radians.

    Attributes:
        candidates: antipodal pairs drawn a frame, as many from each object.
        robust: of those that would hold, at most so many are perturbed and kept.
        copies: perturbed copies of a grasp.
        sigma_place, sigma_angle, sigma_friction: standard deviations of the perturbation, the
            place along each axis, the angle about the approach.
        friction: coefficient between pads and objects.
        q_positive: least robustness of a positive.
        tip_clearance: between fingertips and what is under them.
        palm_clearance: between the palm and what is under it.
        engage: the pads reach at least so far below the top of the object.
        sure_aside, sure_deep: a negative's fingers collide by more than this, sideways and along
            the approach; a grasp that collides by less is ambiguous.
    """

    candidates: int = 320
    robust: int = 96
    copies: int = 16
    sigma_place: float = 0.002
    sigma_angle: float = 0.05
    sigma_friction: float = 0.1
    friction: float = 0.6
    q_positive: float = 0.5
    tip_clearance: float = 0.003
    palm_clearance: float = 0.003
    engage: float = 0.004
    sure_aside: float = 0.003
    sure_deep: float = 0.004


@dataclass(frozen=True, eq=False)
class FrameLabels:
    """N grasp candidates of one frame, in the camera frame (x right, y down, z forward).

    Attributes:
        position: (N, 3) float32 TCP, metres; centred between the contacts.
        angle: (N,) of the opening about the optical axis, radians in [-pi/2, pi/2).
        width: (N,) opening, metres: contact distance + 2 x clearance, within the opening.
        distance: (N,) between the contacts, metres.
        surface: (N,) depth of the nearest surface between the pads, metres: where the rectangle
            is seen; the TCP lies ``position[:, 2] - surface`` below it.
        jaw: (N,) length of the pads, metres.
        q: (N,) share of perturbed copies that hold; 0 where the grasp itself does not.
        friction: (N,) coefficient that the contacts need; infinite where nothing is touched.
        collision: (N,) the opened gripper touches something on its way.
        antipodal: (N,) it collides, or its pads meet one object on faces that ``friction`` of the
            settings can hold. The others are candidates that turned out to be none at the depth
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
            rows.q,
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
        scene: settled, with ``model`` and ``data`` (MuJoCo).
        view: the camera, with ``intrinsics`` and ``world_from_camera`` (4, 4).
    """
    shapes = Shapes.from_model(scene.model, scene.data, view.world_from_camera)
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
    heights = HeightMap.of(shapes)
    found = sample(
        shapes,
        rng,
        settings.candidates,
        friction=settings.friction,
        farthest=gripper.opening - gripper.clearance,
    )
    reach = _settle(shapes, heights, gripper, found, settings)
    touches = reach.contacts.touch & (reach.contacts.owner == found.owner[:, None]).all(axis=1)
    holds = touches & ~reach.collides & (reach.contacts.friction <= settings.friction)
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
    state[holds & (q >= settings.q_positive)] = POSITIVE
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


@dataclass(frozen=True, eq=False)
class Reach:
    """How far the gripper gets at each candidate; see :class:`FrameLabels`. ``surely``: it
    collides by more than the margins of a negative."""

    place: Floats
    width: Floats
    distance: Floats
    top: Floats
    contacts: Contacts
    collides: NDArray[np.bool_]
    surely: NDArray[np.bool_]


def _settle(
    shapes: Shapes,
    heights: HeightMap,
    gripper: Gripper,
    found: Candidates,
    settings: LabelSettings,
    rounds: int = 2,
) -> Reach:
    """Depth and width depend on each other: go down as far as the opened gripper fits, close,
    centre between the contacts, and again."""
    pad = (gripper.pad_length, gripper.pad_width)
    place, angle, distance = found.point.copy(), found.angle, found.distance
    for _ in range(rounds):
        width = _opening(distance, gripper)
        top = heights.top(place[:, :2], angle, distance, gripper.pad_length)
        tips = heights.finger_limit(gripper, place[:, :2], angle, width)
        palm = heights.palm_limit(gripper, place[:, :2], angle)
        deepest = np.minimum(tips - settings.tip_clearance, palm - settings.palm_clearance)
        least = top + settings.engage - gripper.pad_width / 2
        place[:, 2] = np.maximum(deepest, least)
        # a little wider than the opening: another depth may be a little wider
        contacts = close(shapes, place, angle, np.minimum(width + 0.004, gripper.opening), pad)
        shift = (contacts.left + contacts.right) / 2
        place[:, 0] += np.cos(angle) * shift
        place[:, 1] += np.sin(angle) * shift
        distance = np.where(contacts.touch, contacts.distance, distance)
    width = _opening(distance, gripper)
    top = heights.top(place[:, :2], angle, distance, gripper.pad_length)
    palm = heights.palm_limit(gripper, place[:, :2], angle)
    tips = heights.finger_limit(gripper, place[:, :2], angle, width)
    inner = heights.finger_limit(gripper, place[:, :2], angle, width, -settings.sure_aside)
    z = place[:, 2]
    surely = z > np.minimum(inner, palm) + settings.sure_deep
    return Reach(place, width, distance, top, contacts, z > np.minimum(tips, palm), surely)


def _opening(distance: Floats, gripper: Gripper) -> Floats:
    return np.minimum(distance + 2 * gripper.clearance, gripper.opening).astype(np.float32)


def robustness(
    shapes: Shapes,
    heights: HeightMap,
    gripper: Gripper,
    place: Floats,
    angle: Floats,
    width: Floats,
    owner: Ints,
    rng: np.random.Generator,
    settings: LabelSettings,
) -> Floats:
    """(G,) share of perturbed copies whose fingers do not collide and whose pads meet the object
    on faces that a drawn friction holds. (The palm keeps its own clearance.)"""
    count, copies = len(place), settings.copies
    if not count:
        return np.zeros(0, np.float32)
    noise = rng.normal(size=(count * copies, 5)).astype(np.float32)
    moved = np.repeat(place, copies, axis=0) + noise[:, :3] * np.float32(settings.sigma_place)
    turned = np.repeat(angle, copies) + noise[:, 3] * np.float32(settings.sigma_angle)
    opened = np.repeat(width, copies)
    friction = settings.friction + settings.sigma_friction * noise[:, 4]
    pad = (gripper.pad_length, gripper.pad_width)
    contacts = close(shapes, moved, turned, opened, pad, lines=(5, 3))
    limit = heights.finger_limit(gripper, moved[:, :2], turned, opened)
    own = (contacts.owner == np.repeat(owner, copies)[:, None]).all(axis=1)
    good = contacts.touch & own & (contacts.friction <= friction) & (moved[:, 2] <= limit)
    return np.asarray(good.reshape(count, copies).mean(axis=1), np.float32)


def visible(
    shapes: Shapes, place: Floats, depth: Floats, owner: Ints, intrinsics: Intrinsics
) -> NDArray[np.bool_]:
    """(N,) whether surface points (x, y, depth) are in the image and before other objects."""
    points = np.column_stack([place, depth]).astype(np.float32)
    u, v = intrinsics.project(points).T
    inside = (u >= 0) & (u <= intrinsics.width - 1) & (v >= 0) & (v <= intrinsics.height - 1)
    far = np.linalg.norm(points, axis=1)
    direction = points / far[:, None]
    aside = np.linalg.norm(np.cross(direction[:, None], shapes.centre[None]), axis=2)
    row, part = np.nonzero((aside < shapes.radius) & (owner[:, None] != shapes.owner))
    enter, _ = shapes.cut(part, np.zeros((len(row), 3), np.float32), direction[row])
    hidden = np.zeros(len(points), bool)
    hidden[row[enter[:, 0] < far[row] - 0.003]] = True
    return np.asarray(inside & ~hidden)
