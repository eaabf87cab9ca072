"""Ferrari-Canny epsilon of a grasp, and its robust version, as in Dex-Net 2.0. Slow: on request.

Epsilon is the radius of the largest ball about the origin inside the convex hull of the wrenches
that unit contact forces can exert (Ferrari and Canny 1992, the L1 measure): the weakest wrench
that the grasp can resist. Contacts are soft fingers: a friction cone with 8 edges and a torsion
about the normal. Robust epsilon is its mean over perturbed grasps and frictions (Mahler et al.
2017), and 0 for a grasp that collides.

The papers leave open, and this module decides: forces in units of the normal force; torques in
the same unit times metres, about the middle between the contacts; torsion up to friction x 2/3 of
the radius of the contact. That torsion is the most that epsilon can be, 0.002 at friction 0.6, so
the published threshold (above 0.002 is good, of other units) has no meaning here: see ``ROBUST``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.errors import MissingExtraError
from graspling.gripper import Gripper
from graspling.simulation.contacts import Contacts, close, jaw_axes, thinnest
from graspling.simulation.labels import FrameLabels, LabelSettings
from graspling.simulation.shapes import Shapes

Floats = NDArray[np.float64]

EDGES = 8  # of a friction cone
CONTACT_RADIUS = 0.005  # metres
# Above it a grasp counts as robust: a quarter of what a perfect pinch reaches at friction 0.6. Of
# 1,200 rows of 60 generated frames 15 % are above, of which 88 % have q >= 0.6 (20 % of all rows
# do); both say the same of 91 %. No threshold agrees better than 92 %: where small patches do not
# face each other, epsilon is 0 and q is not.
ROBUST = 0.0005


def wrenches(
    points: ArrayLike,
    normals: ArrayLike,
    friction: ArrayLike,
    radius: float = CONTACT_RADIUS,
    edges: int = EDGES,
) -> Floats:
    """(G, C * (edges + 2), 6) wrenches (force, torque about the origin) of soft contacts.

    Args:
        points: (G, C, 3) metres; normals: (G, C, 3) unit, into the object.
        friction: (G,) or one coefficient.
        radius: of a contact, metres; 0 for a hard point.
    """
    points, normals = np.asarray(points, np.float64), np.asarray(normals, np.float64)
    friction = np.broadcast_to(np.asarray(friction, np.float64), points.shape[:1])[:, None, None]
    helper = np.eye(3)[np.abs(normals).argmin(axis=-1)]
    first = np.cross(normals, helper)
    # a normal of zero, of faces that look every way, gives no wrench
    first /= np.maximum(np.linalg.norm(first, axis=-1, keepdims=True), 1e-9)
    second = np.cross(normals, first)
    turn = 2 * np.pi * np.arange(edges) / edges
    forces = [
        normals + friction * (np.cos(angle) * first + np.sin(angle) * second) for angle in turn
    ]
    columns = [np.concatenate([force, np.cross(points, force)], axis=-1) for force in forces]
    twist = friction * normals * (radius * 2 / 3)
    for sign in (1, -1):  # the normal force comes along with its torsion
        torque = np.cross(points, normals) + sign * twist
        columns.append(np.concatenate([normals, torque], axis=-1))
    return np.concatenate(columns, axis=1)


def epsilon(wrench: ArrayLike) -> Floats:
    """(G,) epsilon of wrenches (G, W, 6), from the facets of their hull; 0 without force closure.

    About 0.6 ms a grasp with two contacts. Sampling directions instead is no faster to within
    some percent: the least support over 4,000 directions reads 20 % high.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    try:
        from scipy.spatial import ConvexHull, QhullError
    except ImportError:
        raise MissingExtraError("scipy", "sim") from None
    result = np.zeros(len(np.asarray(wrench)))
    for row, hull in enumerate(np.asarray(wrench, np.float64)):
        try:
            # a facet's equation is n.x + offset <= 0 inside: the origin lies -offset within
            result[row] = max(0.0, float((-ConvexHull(hull).equations[:, -1]).min()))
        except QhullError:  # flat: there is a direction in which nothing can be resisted
            result[row] = 0.0
    return result


def robust_epsilon(
    shapes: Shapes,
    labels: FrameLabels,
    gripper: Gripper,
    rng: np.random.Generator,
    settings: LabelSettings | None = None,
    copies: int = 16,
) -> Floats:
    """(N,) mean epsilon over ``copies`` perturbed by the sigmas of the settings, 0 for a grasp that
    collides; a copy whose pads do not close on the grasp's own object counts 0."""
    settings = settings or LabelSettings()
    count = len(labels)
    noise = rng.normal(size=(count * copies, 5)).astype(np.float32)
    place = np.repeat(labels.position, copies, axis=0)
    place = place + noise[:, :3] * np.float32(settings.sigma_place)
    angle = np.repeat(labels.angle, copies) + noise[:, 3] * np.float32(settings.sigma_angle)
    friction = np.maximum(settings.friction + settings.sigma_friction * noise[:, 4], 0.0)
    pad = (gripper.pad_length, gripper.pad_width)
    contacts = close(shapes, place, angle, np.repeat(labels.width, copies), pad)
    own = (contacts.owner == np.repeat(labels.object, copies)[:, None]).all(axis=1)
    good = np.flatnonzero(contacts.touch & own & (contacts.distance >= thinnest(gripper)))
    values = np.zeros(count * copies)
    if len(good):
        points, normals = contact_points(contacts, jaw_axes(angle))
        hulls = wrenches(points[good], normals[good], friction[good])
        values[good] = epsilon(hulls)
    return np.where(labels.collision, 0.0, values.reshape(count, copies).mean(axis=1))


def contact_points(contacts: Contacts, axes: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """(G, 2, 3) contacts about the middle between them and normals into the object, in the axes'
    frame, metres."""
    along = np.stack([contacts.left, contacts.right], axis=1)[..., None]
    local = np.concatenate([along, contacts.patch], axis=2).astype(np.float64)
    points = np.einsum("gka,gab->gkb", local, axes)
    points -= points.mean(axis=1, keepdims=True)
    normals = -np.einsum("gka,gab->gkb", contacts.normals.astype(np.float64), axes)
    length = np.linalg.norm(normals, axis=2, keepdims=True)  # 0 where nothing is touched
    return points, normals / np.maximum(length, 1e-9)
