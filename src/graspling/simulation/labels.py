"""Dense antipodal grasp labels of a camera frame: positive, ambiguous, negative."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graspling.camera import Intrinsics
from graspling.grasps import Grasps
from graspling.gripper import Gripper
from graspling.simulation.candidates import Candidates, sample
from graspling.simulation.collision import HeightMap
from graspling.simulation.contacts import Contacts, close
from graspling.simulation.shapes import Floats, Ints, Shapes

POSITIVE, AMBIGUOUS, NEGATIVE = 1, 0, -1


@dataclass(frozen=True)
class LabelSettings:
    candidates: int = 400
    robust: int = 128
    copies: int = 16
    sigma_place: float = 0.002
    sigma_angle: float = 0.05
    friction: float = 0.6
    sigma_friction: float = 0.1
    tip_clearance: float = 0.003
    palm_clearance: float = 0.003
    engage: float = 0.004
    q_positive: float = 0.5
    shrink: float = 0.003
    depth_sure: float = 0.004


@dataclass(frozen=True, eq=False)
class FrameLabels:
    position: Floats
    angle: Floats
    width: Floats
    distance: Floats
    surface: Floats
    jaw: Floats
    q: Floats
    friction: Floats
    collision: NDArray[np.bool_]
    object: Ints
    state: NDArray[np.int8]
    extra: dict = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.angle)


def label_shapes(shapes: Shapes, gripper: Gripper, rng, settings: LabelSettings = LabelSettings(), heights=None) -> FrameLabels:
    heights = HeightMap.of(shapes) if heights is None else heights
    pad = (gripper.pad_length, gripper.pad_width)
    found = sample(shapes, rng, settings.candidates, friction=settings.friction, farthest=gripper.opening - 2 * 0.002)
    n = len(found)
    place, angle, distance = found.point.copy(), found.angle, found.distance
    clear = 2 * gripper.clearance
    for step in range(2):
        width = np.minimum(distance + clear, gripper.opening).astype(np.float32)
        tips = heights.finger_limit(gripper, place[:, :2], angle, width) - settings.tip_clearance
        palm = heights.palm_limit(gripper, place[:, :2], angle) - settings.palm_clearance
        top = heights.top(place[:, :2], angle, distance, gripper.pad_length)
        # what has to lie between the pads: engage or half ..
        least = top + settings.engage - gripper.pad_width / 2
        deep = np.minimum(tips, palm)
        blocked = deep < least
        z = np.where(blocked, least + 0.005, deep)
        place[:, 2] = z
        window = np.minimum(width + 0.004, gripper.opening).astype(np.float32)
        c = close(shapes, place, angle, window, pad)
        if step == 0:
            shift = np.where(c.touch, (c.left + c.right) / 2, 0)
            place[:, 0] += np.cos(angle) * shift
            place[:, 1] += np.sin(angle) * shift
            distance = np.where(c.touch, c.distance, distance)
    distance = np.where(c.touch, c.distance, distance)
    width = np.minimum(distance + clear, gripper.opening).astype(np.float32)
    tips = heights.finger_limit(gripper, place[:, :2], angle, width)
    palm = heights.palm_limit(gripper, place[:, :2], angle)
    limit = np.minimum(tips, palm)
    free = place[:, 2] <= limit
    sure_tips = heights.finger_limit(gripper, place[:, :2], angle, width, -settings.shrink)
    sure_block = place[:, 2] > np.minimum(sure_tips, palm) + settings.depth_sure
    own = (c.owner == found.owner[:, None]).all(axis=1)
    good = c.touch & own & free & (c.friction <= settings.friction)
    chosen = np.flatnonzero(good)
    if len(chosen) > settings.robust:
        chosen = np.sort(rng.permutation(chosen)[: settings.robust])
    q = np.zeros(n, np.float32)
    q[chosen] = robustness(shapes, heights, gripper, place[chosen], angle[chosen], width[chosen], found.owner[chosen], rng, settings)
    state = np.zeros(n, np.int8)
    evaluated = np.zeros(n, bool)
    evaluated[chosen] = True
    state[good & evaluated & (q >= settings.q_positive)] = POSITIVE
    state[sure_block & ~free] = NEGATIVE
    return FrameLabels(place, angle, width, distance, top, np.full(n, gripper.pad_length, np.float32), q, c.friction, ~free, found.owner, state,
        dict(contacts=c, free=free, good=good, evaluated=evaluated, own=own, tips=tips, palm=palm, sure_tips=sure_tips, blocked=blocked, top=top))


def robustness(shapes, heights, gripper, place, angle, width, owner, rng, settings) -> Floats:
    n, k = len(place), settings.copies
    if not n:
        return np.zeros(0, np.float32)
    noise = rng.normal(size=(n * k, 5)).astype(np.float32)
    p = np.repeat(place, k, axis=0) + noise[:, :3] * np.float32(settings.sigma_place)
    a = np.repeat(angle, k) + noise[:, 3] * np.float32(settings.sigma_angle)
    w = np.repeat(width, k)
    mu = settings.friction + settings.sigma_friction * noise[:, 4]
    c = close(shapes, p, a, w, (gripper.pad_length, gripper.pad_width), (5, 3))
    limit = heights.finger_limit(gripper, p[:, :2], a, w)
    hold = c.touch & (c.owner == np.repeat(owner, k)[:, None]).all(axis=1) & (c.friction <= mu) & (p[:, 2] <= limit)
    return hold.reshape(n, k).mean(axis=1).astype(np.float32)
