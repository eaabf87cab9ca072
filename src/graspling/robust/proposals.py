"""Antipodal proposals on a depth image, and the cross-entropy method around the best of them.

As in Dex-Net 2.0 (Mahler et al. 2017, section VI-B): pixels at depth edges, whose normals point
towards nearer depth; a pair of them that face each other within the cone of friction, no farther
apart than the gripper opens and no nearer than it closes, is a grasp. All pairs are found at once:
from each of many edge pixels a ray goes inwards, and every edge pixel on it that faces back is a
partner.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.grasps import Grasps
from graspling.gripper import Gripper
from graspling.maps import magnitude

Floats = NDArray[np.float64]
Depth = NDArray[np.float32]


@dataclass(frozen=True)
class ProposalSettings:
    """How grasps are drawn. Metres.

    Attributes:
        count: proposals.
        rays: edge pixels that a ray starts from, at most.
        step: difference of depth across two pixels that makes an edge.
        friction: coefficient; its arc tangent is the half angle of the cone.
        above, below: the gripper's depth is drawn between so far above and below the surface
            between the two pixels, as far as the fingertips stay above what lies around.
        tip_clearance: between fingertips and what lies around.
        palm_clearance: between the palm and what lies under its middle.
    """

    count: int = 1000
    rays: int = 3000
    step: float = 0.004
    friction: float = 0.6
    above: float = -0.002
    below: float = 0.03
    tip_clearance: float = 0.004
    palm_clearance: float = 0.004


def propose(
    depth: Depth,
    focal: float,
    gripper: Gripper,
    rng: np.random.Generator,
    settings: ProposalSettings | None = None,
) -> tuple[Grasps, Floats]:
    """Grasps (N rows, at most ``count``) in pixels of the image and the gripper's depth (N,),
    metres. Fewer, or none, where there are no edges that face each other.

    Args:
        depth: (H, W) metres without holes.
        focal: pixels.
    """
    how = settings or ProposalSettings()
    smooth = cv2.GaussianBlur(depth, (3, 3), 0)
    du = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, scale=0.25)  # difference across two pixels
    dv = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3, scale=0.25)
    size = magnitude(du, dv)
    edge = size >= how.step
    edge[:2] = edge[-2:] = False
    edge[:, :2] = edge[:, -2:] = False
    v, u = np.nonzero(edge)
    none = Grasps.empty(), np.zeros(0)
    if not len(u):
        return none
    # inwards: towards nearer depth
    with np.errstate(divide="ignore", invalid="ignore"):
        inward = np.stack([-du / size, -dv / size])
    start = rng.permutation(len(u))[: how.rays]
    u, v = u[start], v[start]
    normal = inward[:, v, u]
    cone = np.arctan(how.friction)
    turn = rng.uniform(-cone, cone, len(u))
    cos, sin = np.cos(turn), np.sin(turn)
    ray = np.stack([cos * normal[0] - sin * normal[1], sin * normal[0] + cos * normal[1]])
    near = depth[v, u].astype(np.float64)
    farthest = (gripper.opening - 2 * gripper.clearance) * focal / near  # pixels
    farthest = np.minimum(farthest, np.hypot(*depth.shape))  # however near the surface
    reach = np.arange(2, int(np.ceil(farthest.max())) + 1)
    x = np.rint(u[:, None] + ray[0][:, None] * reach).astype(int)
    y = np.rint(v[:, None] + ray[1][:, None] * reach).astype(int)
    inside = (x >= 0) & (x < depth.shape[1]) & (y >= 0) & (y < depth.shape[0])
    inside &= reach <= farthest[:, None]
    inside &= reach * near[:, None] >= gripper.min_opening * focal  # the surface may be nearer yet
    x, y = np.where(inside, x, 0), np.where(inside, y, 0)
    facing = -(inward[0, y, x] * ray[0][:, None] + inward[1, y, x] * ray[1][:, None])
    pair = inside & edge[y, x] & (facing >= np.cos(cone))
    row, far = np.nonzero(pair)
    if not len(row):
        return none
    chosen = rng.permutation(len(row))[: how.count]
    row, far = row[chosen], far[chosen]
    distance = reach[far].astype(np.float64)
    half = ray[:, row] * distance / 2
    middle = np.stack([u[row], v[row]]) + half
    surface = _nearest(depth, middle, half)
    width = np.minimum(distance + 2 * gripper.clearance * focal / surface,
                       gripper.opening * focal / surface)  # fmt: skip
    angle = np.arctan2(ray[1, row], ray[0, row])
    grasps = Grasps.from_arrays(middle[0], middle[1], angle, width)
    z = surface + rng.uniform(how.above, how.below, len(surface))
    limit = np.minimum(
        _around(depth, grasps) - gripper.reach - how.tip_clearance,
        _under_palm(depth, grasps, focal, gripper) - gripper.palm.high[2] - how.palm_clearance,
    )
    thick = distance * surface >= gripper.min_opening * focal
    return grasps[thick], np.minimum(z, np.maximum(limit, surface + how.above))[thick]


def refine(
    depth: Depth,
    grasps: Grasps,
    z: Floats,
    quality: Floats,
    rng: np.random.Generator,
    *,
    elite: int = 60,
    count: int = 240,
    shrink: float = 1.0,
) -> tuple[Grasps, Floats]:
    """One round of the cross-entropy method: new grasps around the best ones.

    The elite's spread is kept in mixture: each draw is one of them, moved by a share of its own
    opening, so that several good places stay several.

    Args:
        shrink: scale of the moves; smaller from round to round.
    """
    best = np.argsort(-quality, kind="stable")[:elite]
    rows = rng.choice(best, count)
    noise = rng.normal(size=(5, count)) * shrink
    base = grasps[rows]
    moved = Grasps.from_arrays(
        np.clip(base.u + noise[0] * 0.1 * base.width, 0, depth.shape[1] - 1),
        np.clip(base.v + noise[1] * 0.1 * base.width, 0, depth.shape[0] - 1),
        base.angle + noise[2] * 0.15,
        base.width * np.exp(np.minimum(noise[3] * 0.1, 0.0)),
    )
    return moved, z[rows] + noise[4] * 0.004


def _nearest(depth: Depth, middle: Floats, half: Floats) -> Floats:
    """(N,) nearest depth between two edge pixels."""
    along = np.linspace(-0.9, 0.9, 9)
    x = np.rint(middle[0][:, None] + half[0][:, None] * along).astype(int)
    y = np.rint(middle[1][:, None] + half[1][:, None] * along).astype(int)
    return np.asarray(depth[y, x].min(axis=1), np.float64)


def _under_palm(depth: Depth, grasps: Grasps, focal: float, gripper: Gripper) -> Floats:
    """(N,) nearest depth within half the palm's shorter side of each centre: under the palm,
    whichever way it is turned."""
    radius = min(gripper.palm.size[:2]) / 2 * focal / float(np.median(depth))
    if radius > np.hypot(*depth.shape):  # all of the image, without a kernel of gigabytes
        return np.full(len(grasps), depth.min(), np.float64)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * int(radius) + 1,) * 2)
    nearest = cv2.erode(depth, kernel)
    u = np.clip(np.rint(grasps.u).astype(int), 0, depth.shape[1] - 1)
    v = np.clip(np.rint(grasps.v).astype(int), 0, depth.shape[0] - 1)
    return np.asarray(nearest[v, u], np.float64)


def _around(depth: Depth, grasps: Grasps) -> Floats:
    """(N,) nearest depth just outside the opening on both sides: what fingertips would meet."""
    cos, sin = np.cos(grasps.angle), np.sin(grasps.angle)
    found = []
    for side in (-0.55, -0.65, 0.55, 0.65):
        x = np.rint(grasps.u + side * grasps.width * cos).astype(int)
        y = np.rint(grasps.v + side * grasps.width * sin).astype(int)
        x, y = np.clip(x, 0, depth.shape[1] - 1), np.clip(y, 0, depth.shape[0] - 1)
        found.append(depth[y, x])
    return np.asarray(np.min(found, axis=0), np.float64)
