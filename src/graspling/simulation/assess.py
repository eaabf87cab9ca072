"""The analytic label of any grasp in a scene: not where a labeller would put it, but as it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graspling.gripper import Gripper
from graspling.simulation.collision import HeightMap
from graspling.simulation.contacts import close, thinnest
from graspling.simulation.labels import NEGATIVE, POSITIVE
from graspling.simulation.lines import Floats
from graspling.simulation.reach import LabelSettings, robustness
from graspling.simulation.shapes import Ints, Shapes


@dataclass(frozen=True, eq=False)
class Assessment:
    """N grasps.

    Attributes:
        q: (N,) share of perturbed copies that hold; 0 where the grasp itself collides, closes on
            nothing or two objects, needs too much friction, or has an edge between its pads.
        state: (N,) int8 as in ``labels.FrameLabels``: 1 robust, -1 surely not (it collides by more
            than the margins, or there is nothing that its pads reach), 0 neither.
        collision: (N,) the opened gripper touches something on its way, this way round or half a
            turn further.
        object: (N,) the object between the pads, -1 none or two.
        surface: (N,) depth of the nearest surface between the pads, metres.
    """

    q: Floats
    state: NDArray[np.int8]
    collision: NDArray[np.bool_]
    object: Ints
    surface: Floats


def assess(
    shapes: Shapes,
    heights: HeightMap,
    gripper: Gripper,
    place: Floats,
    angle: Floats,
    width: Floats,
    rng: np.random.Generator,
    settings: LabelSettings | None = None,
) -> Assessment:
    """Judge grasps along the camera's axis, each exactly as given, up to half a turn.

    Args:
        place: (N, 3) TCP in the camera frame, metres; angle: (N,) of the opening about the axis,
            radians; width: (N,) opening, metres, within the gripper's.
    """
    settings = settings or LabelSettings()
    gripper = gripper.either_way()  # a rectangle does not say which way round
    place, angle, width = (np.asarray(a, np.float32) for a in (place, angle, width))
    spot, z = place[:, :2], place[:, 2]
    tips = heights.finger_limit(gripper, spot, angle, width)
    palm = heights.palm_limit(gripper, spot, angle)
    inner = heights.finger_limit(gripper, spot, angle, width, -settings.sure_aside)
    collision = z > np.minimum(tips, palm)
    surely = (z > inner + settings.sure_deep) | (z > palm + settings.sure_palm)
    contacts = close(shapes, place, angle, width, (gripper.pad_length, gripper.pad_width))
    same = contacts.touch & (contacts.owner[:, 0] == contacts.owner[:, 1])
    owner = np.where(same, contacts.owner[:, 0], -1)
    firm = contacts.share.min(axis=1) >= settings.patch_positive
    thick = contacts.distance >= thinnest(gripper)
    holds = same & thick & ~collision & firm & (contacts.friction <= settings.friction)
    q = np.zeros(len(place), np.float32)
    chosen = np.flatnonzero(holds)
    q[chosen] = robustness(
        shapes, heights, gripper, place[chosen], angle[chosen], width[chosen], owner[chosen],
        rng, settings,
    )  # fmt: skip
    state = np.zeros(len(place), np.int8)
    state[q >= settings.q_positive] = POSITIVE
    state[surely | ~contacts.touch | (contacts.distance < gripper.min_opening)] = NEGATIVE
    distance = np.where(contacts.touch, contacts.distance, width)
    surface = heights.top(spot, angle, distance, gripper.pad_length)
    return Assessment(q, state, collision, owner, surface)
