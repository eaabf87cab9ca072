"""How deep an opened gripper gets, what it holds there, and how surely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graspling.camera import Intrinsics
from graspling.gripper import Gripper
from graspling.simulation.candidates import Candidates
from graspling.simulation.collision import HeightMap
from graspling.simulation.contacts import Contacts, close, thinnest
from graspling.simulation.lines import Floats
from graspling.simulation.shapes import Ints, Shapes


@dataclass(frozen=True)
class LabelSettings:
    """What makes a label. Metres, radians.

    Attributes:
        candidates: antipodal pairs drawn a frame, as many from each object.
        aligned: share of the pairs drawn along the normal of the surface, as one would grip it;
            the directions of the others are uniform over the cone of friction.
        robust: of those that would hold, at most so many are perturbed and kept.
        copies: perturbed copies of a grasp.
        sigma_place, sigma_angle, sigma_friction: standard deviations of the perturbation, the
            place along each axis, the angle about the approach.
        friction: coefficient between pads and objects.
        q_positive: least robustness of a positive.
        patch_positive: least share of a pad's lines on each patch of a positive; less is an edge
            or a corner between the pads, from which objects are squeezed out.
        tip_clearance: between fingertips and what is under them.
        palm_clearance: between the palm and what is under it.
        engage: the pads reach at least so far below the top of the object.
        sure_aside, sure_deep: a negative's fingers collide by more than this, sideways and along
            the approach; a grasp that collides by less is ambiguous.
        sure_palm: so is one of which only the palm collides, by less than this: what stands beside
            the object often gives way to it.
    """

    candidates: int = 240
    aligned: float = 0.7
    robust: int = 72
    copies: int = 16
    sigma_place: float = 0.002
    sigma_angle: float = 0.05
    sigma_friction: float = 0.1
    friction: float = 0.6
    q_positive: float = 0.6
    patch_positive: float = 0.03
    tip_clearance: float = 0.003
    palm_clearance: float = 0.003
    engage: float = 0.003
    sure_aside: float = 0.003
    sure_deep: float = 0.004
    sure_palm: float = 0.04


@dataclass(frozen=True, eq=False)
class Reach:
    """How far the gripper gets at each candidate; see ``labels.FrameLabels``. ``surely``: it
    collides by more than the margins of a negative."""

    place: Floats
    width: Floats
    distance: Floats
    top: Floats
    contacts: Contacts
    collides: NDArray[np.bool_]
    surely: NDArray[np.bool_]


def settle(
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
        # where it does not fit, the grasp that is refused is one with all of its pads below the top
        blocked = deepest < top + settings.engage - gripper.pad_width / 2
        place[:, 2] = np.where(blocked, top + gripper.pad_width / 2, deepest)
        # a little wider than the opening: another depth may be a little wider
        contacts = close(shapes, place, angle, np.minimum(width + 0.004, gripper.opening), pad)
        along = (contacts.left + contacts.right) / 2
        # a round thing that the pads hold off their middle; not one that grows to one side
        aside = contacts.patch[:, :, 0].mean(axis=1)
        aside = np.where(np.abs(aside) < gripper.pad_length / 4, aside, 0)
        place[:, 0] += np.cos(angle) * along - np.sin(angle) * aside
        place[:, 1] += np.sin(angle) * along + np.cos(angle) * aside
        distance = np.where(contacts.touch, contacts.distance, distance)
    width = _opening(distance, gripper)
    top = heights.top(place[:, :2], angle, distance, gripper.pad_length)
    palm = heights.palm_limit(gripper, place[:, :2], angle)
    tips = heights.finger_limit(gripper, place[:, :2], angle, width)
    inner = heights.finger_limit(gripper, place[:, :2], angle, width, -settings.sure_aside)
    z = place[:, 2]
    surely = (z > inner + settings.sure_deep) | (z > palm + settings.sure_palm)
    return Reach(place, width, distance, top, contacts, z > np.minimum(tips, palm), surely)


def _opening(distance: Floats, gripper: Gripper) -> Floats:
    width = np.minimum(distance + 2 * gripper.clearance, gripper.opening)
    return np.asarray(np.maximum(width, gripper.min_opening), np.float32)


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
    """(G,) share of perturbed copies whose fingers do not collide and whose pads close on the
    object, on faces that a drawn friction holds. (The palm keeps its own clearance.)"""
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
    good = contacts.touch & own & (contacts.distance >= thinnest(gripper))
    good &= (contacts.friction <= friction) & (moved[:, 2] <= limit)
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
