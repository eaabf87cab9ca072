"""Ferrari-Canny epsilon of a grasp, and its robust version, as in Dex-Net 2.0. Slow: on request.

Epsilon is the radius of the largest ball about the origin inside the convex hull of the wrenches
that unit contact forces can exert (Ferrari and Canny 1992, the L1 measure): the weakest wrench
that the grasp can resist. Contacts are soft fingers: a friction cone with 8 edges and a torsion
about the normal. Robust epsilon is its mean over perturbed grasps and frictions (Mahler et al.
2017, where above 0.002 counts as a good grasp).

The papers leave open, and this module decides: forces in units of the normal force; torques in
the same unit times metres, about the middle between the contacts; torsion up to friction x 2/3 of
the radius of the contact.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.gripper import Gripper
from graspling.simulation.contacts import Contacts, close, jaw_axes
from graspling.simulation.labels import FrameLabels, LabelSettings
from graspling.simulation.shapes import Shapes

Floats = NDArray[np.float64]

EDGES = 8  # of a friction cone
CONTACT_RADIUS = 0.005  # metres
_DIRECTIONS = 1500
_CHUNK = 64  # grasps whose wrenches meet all directions at once


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
    first /= np.linalg.norm(first, axis=-1, keepdims=True)
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
    """(G,) epsilon of wrenches (G, W, 6); 0 without force closure.

    The least support of the hull over 1,500 fixed directions, then over better ones near the
    best, then over the facets they point at. Each is an upper bound; within 2 % of the hull's
    facets where they were compared (tests/simulation/test_epsilon.py), at a tenth of the time.
    """
    hulls = np.asarray(wrench, np.float64)
    # torques are centimetres, forces are units: search the directions in a scaled space
    scale = np.maximum(np.abs(hulls[..., 3:]).max(axis=(1, 2)), 1e-9)
    result = np.zeros(len(hulls))
    for start in range(0, len(hulls), _CHUNK):
        rows = slice(start, start + _CHUNK)
        result[rows] = _least_support(hulls[rows], scale[rows])
    return np.maximum(result, 0)


def _least_support(hulls: Floats, scale: Floats) -> Floats:
    count = len(hulls)
    stretch = np.ones((count, 1, 6))
    stretch[:, 0, 3:] = 1 / scale[:, None]
    directions = _unit(_sphere(_DIRECTIONS)[None] * stretch)
    support = np.matmul(directions, hulls.transpose(0, 2, 1)).max(axis=2)
    best = np.argsort(support, axis=1)[:, :8]
    chosen = np.take_along_axis(directions, best[..., None], axis=1)
    least = np.take_along_axis(support, best, axis=1)
    rng = np.random.default_rng(0)
    for spread in (0.2, 0.1, 0.05):
        noise = rng.normal(size=(1, chosen.shape[1], 12, 6)) * spread * stretch[:, :, None]
        # steps in the scaled space, as large as the direction is there
        size = np.linalg.norm(chosen / stretch, axis=2)[:, :, None, None]
        tried = np.concatenate([chosen[:, :, None], _unit(chosen[:, :, None] + noise * size)], 2)
        tried = np.concatenate([tried, _facets(hulls, tried[:, :, :4])], axis=2)
        flat = tried.reshape(count, -1, 6)
        value = np.matmul(flat, hulls.transpose(0, 2, 1)).max(axis=2).reshape(tried.shape[:3])
        pick = value.argmin(axis=2)
        least = np.take_along_axis(value, pick[..., None], axis=2)[..., 0]
        chosen = np.take_along_axis(tried, pick[..., None, None], axis=2)[:, :, 0]
    return least.min(axis=1)


def _facets(hulls: Floats, directions: Floats) -> Floats:
    """(G, B, D, 6) directions of the planes through the six foremost wrenches of each of the
    directions (G, B, D, 6): where these are the corners of a facet, its normal."""
    flat = directions.reshape(len(hulls), -1, 6)
    value = np.matmul(flat, hulls.transpose(0, 2, 1))
    order = np.argpartition(-value, 6, axis=2)[:, :, :6, None]
    front = np.take_along_axis(hulls[:, None], order, axis=2)
    # a little regular, for wrenches on one plane
    square = np.matmul(front.transpose(0, 1, 3, 2), front)
    trace = np.trace(square, axis1=2, axis2=3)[..., None, None]
    right = front.sum(axis=2)[..., None]
    normal = np.linalg.solve(square + 1e-12 * trace * np.eye(6), right)[..., 0]
    return _unit(normal).reshape(directions.shape)


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))


@functools.cache
def _sphere(count: int) -> Floats:
    return _unit(np.random.default_rng(0).normal(size=(count, 6)))


def robust_epsilon(
    shapes: Shapes,
    labels: FrameLabels,
    gripper: Gripper,
    rng: np.random.Generator,
    settings: LabelSettings | None = None,
    copies: int = 16,
) -> Floats:
    """(N,) mean epsilon over ``copies`` perturbed by the sigmas of the settings; a copy that does
    not touch the grasp's own object on both sides counts 0."""
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
    good = np.flatnonzero(contacts.touch & own)
    values = np.zeros(count * copies)
    if len(good):
        points, normals = contact_points(contacts, jaw_axes(angle))
        hulls = wrenches(points[good], normals[good], friction[good])
        values[good] = epsilon(hulls)
    return np.asarray(values.reshape(count, copies).mean(axis=1))


def contact_points(contacts: Contacts, axes: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """(G, 2, 3) contacts about the middle between them and normals into the object, in the axes'
    frame, metres."""
    along = np.stack([contacts.left, contacts.right], axis=1)[..., None]
    local = np.concatenate([along, contacts.patch], axis=2).astype(np.float64)
    points = np.einsum("gka,gab->gkb", local, axes)
    points -= points.mean(axis=1, keepdims=True)
    normals = -np.einsum("gka,gab->gkb", contacts.normals.astype(np.float64), axes)
    return points, _unit(normals)
