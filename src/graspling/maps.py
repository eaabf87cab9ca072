"""Grasps to target maps, and maps to grasps.

Four maps the size of the network's input carry a grasp at each pixel: quality, cos 2a, sin 2a
(a jaw is the same after half a turn, so its angle is doubled) and width divided by the input's
side (GG-CNN, section IV). This module owns that encoding and its scale; nothing else knows it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.errors import InputError
from graspling.grasps import Floats, Grasps

Maps = NDArray[np.float32]
Mask = NDArray[np.bool_]

# A target is never thinner than this half extent, so that even a tiny grasp marks a pixel.
_LEAST_HALF_EXTENT = 0.75
# Pixels this close to the peak (relative) count as the peak when its centre is taken.
_PEAK_TOLERANCE = 0.1
# What a flood fill leaves behind until it is told apart from those before.
_FRESH = 2
# More candidates than this are never needed to fill a list of distinct grasps.
_MOST_CANDIDATES = 256


@dataclass(frozen=True)
class Targets:
    """What a network should answer for one image.

    Attributes:
        maps: (4, H, W) float32: quality in [0, 1], cos 2a, sin 2a in [-1, 1], width / side.
        inside: (H, W) bool: a grasp is defined here; elsewhere cos, sin and width are 0, and so is
            quality, unless it is that of an ambiguous label (see :class:`Encoding`).
        ignored: (H, W) bool: ambiguous; left out of every loss.
    """

    maps: Maps
    inside: Mask
    ignored: Mask


@dataclass(frozen=True)
class Decoding:
    """How maps become grasps; part of a model's card.

    Attributes:
        sigma: Gaussian smoothing of the maps, pixels at the input size.
        distance: grasps nearer than this share of the input's side ...
        angle_deg: ... and turned by less than this are one grasp; only the better one is kept.
        certain: weigh quality by how sure the angle is, see :func:`weigh_certainty`.
    """

    sigma: float = 2.0
    distance: float = 0.05
    angle_deg: float = 30.0
    certain: bool = False

    def __post_init__(self) -> None:
        for name, value, good, wanted in (
            ("sigma", self.sigma, 0 < self.sigma <= 100, "above 0 up to 100 pixels"),
            ("distance", self.distance, 0 <= self.distance <= 1, "0 to 1"),
            ("angle_deg", self.angle_deg, 0 <= self.angle_deg <= 90, "0 to 90"),
        ):
            if not good:
                raise InputError(f"decoding: {name} is {value}, expected {wanted}")


# Labels whose regions are looked at together: bounds the memory of thousands of labels.
_TOGETHER = 64


def _regions(
    grasps: Grasps, height: int, width: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]]:
    """The pixels that grasps fill: the middle third along the opening and the whole jaw.

    Yields, for some grasps at a time, (row of the grasp, index of the pixel, distance), each (M,),
    in the order of the rows. The distance is that of a box: 0 at the centre, 1 on its edge.
    """
    along = np.maximum(grasps.width / 6, _LEAST_HALF_EXTENT)
    across = np.maximum(grasps.jaw / 2, _LEAST_HALF_EXTENT)
    cos, sin = np.cos(grasps.angle), np.sin(grasps.angle)
    reach_u = abs(along * cos) + abs(across * sin)
    reach_v = abs(along * sin) + abs(across * cos)
    left, upper = np.ceil(grasps.u - reach_u), np.ceil(grasps.v - reach_v)
    wide = np.minimum(np.floor(grasps.u + reach_u), width - 1) - np.maximum(left, 0) + 1
    high = np.minimum(np.floor(grasps.v + reach_v), height - 1) - np.maximum(upper, 0) + 1
    left, upper = np.maximum(left, 0), np.maximum(upper, 0)
    seen = np.flatnonzero((wide > 0) & (high > 0))
    for first in range(0, len(seen), _TOGETHER):
        rows = seen[first : first + _TOGETHER, None, None]
        across_u, down_v = (int(side[rows].max()) for side in (wide, high))
        column = left[rows] + np.arange(across_u)
        line = upper[rows] + np.arange(down_v)[:, None]
        du, dv = column - grasps.u[rows], line - grasps.v[rows]
        # Rounded, so that a pixel exactly on an edge falls on the same side whatever the platform.
        opening = np.abs(du * cos[rows] + dv * sin[rows]) / along[rows]
        plate = np.abs(dv * cos[rows] - du * sin[rows]) / across[rows]
        distance = np.maximum(opening, plate).round(6).astype(np.float32)
        filled = (distance <= 1.0) & (column < width) & (line < height)
        which, v, u = np.nonzero(filled)
        pixel = line[which, v, 0].astype(np.intp) * width + column[which, 0, u].astype(np.intp)
        yield rows[which, 0, 0], pixel, distance[filled]


@dataclass(frozen=True)
class Encoding:
    """How labels become targets; part of a recipe.

    Attributes:
        taper: how far the quality has fallen at the rim of the filled region, 0 (flat, as
            published) to 1. A tapered target has a single peak, at the grasp's centre.
        graded: ask for this share of the quality of ambiguous labels, which is the share of copies
            that hold, so that a network learns to prefer what is sure, 0 to 1; None: their regions
            are ignored.
    """

    taper: float = 0.0
    graded: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.taper <= 1.0:
            raise InputError(f"taper is {self.taper}, expected 0 (flat target) to 1")
        if self.graded is not None and not 0.0 <= self.graded <= 1.0:
            raise InputError(f"graded is {self.graded}, expected 0 to 1, or nothing to ignore them")


def encode(
    grasps: Grasps,
    height: int,
    width: int,
    *,
    side: int | None = None,
    encoding: Encoding | None = None,
    ambiguous: Grasps | None = None,
) -> Targets:
    """Target maps for labels in input pixels.

    Each grasp fills the middle third of its rectangle along the opening. Where rectangles
    overlap, a pixel belongs to the one whose centre is nearest in units of the rectangle itself
    (equal distances: the first in a fixed sorting of the labels), so the result does not depend
    on the order of the labels.

    Args:
        grasps: labels, pixels of a (height, width) input.
        side: the length that widths are divided by; the longer side of the input by default.
        ambiguous: grasps of which it is unknown whether they hold. Where no label covers their
            regions, these are ignored or, with ``encoding.graded``, ask for quality alone.
    """
    encoding = encoding or Encoding()
    length = float(max(height, width) if side is None else side)
    ordered = grasps[np.lexsort(grasps.columns)]
    owner, nearest = _owners(ordered, height, width)
    inside = owner >= 0
    maps = np.zeros((4, height, width), dtype=np.float32)
    values = np.stack(
        [
            ordered.quality,
            np.cos(2 * ordered.angle),
            np.sin(2 * ordered.angle),
            ordered.width / length,
        ]
    )
    maps[:, inside] = values[:, owner[inside]]
    maps[0, inside] *= 1.0 - encoding.taper * nearest[inside]

    ignored = np.zeros((height, width), dtype=bool)
    if ambiguous is not None and encoding.graded is not None:
        unsure = ambiguous[np.lexsort(ambiguous.columns)]
        owner, nearest = _owners(unsure, height, width)
        graded = (owner >= 0) & ~inside
        falling = encoding.graded * (1.0 - encoding.taper * nearest[graded])
        maps[0, graded] = unsure.quality[owner[graded]] * falling
    elif ambiguous is not None:
        for _, pixel, _ in _regions(ambiguous, height, width):
            ignored.reshape(-1)[pixel] = True
    return Targets(maps, inside, ignored & ~inside)


def _owners(
    ordered: Grasps, height: int, width: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """(H, W) row of the grasp that each pixel belongs to, -1 where there is none, and its distance
    (see _regions); of equal distances the first row wins."""
    nearest = np.full((height, width), np.inf, dtype=np.float32)
    owner = np.full((height, width), -1, dtype=np.intp)
    nearest_flat, owner_flat = nearest.reshape(-1), owner.reshape(-1)  # the same memory
    for rows, pixel, distance in _regions(ordered, height, width):
        before = nearest_flat[pixel]
        np.minimum.at(nearest_flat, pixel, distance)
        wins = (distance == nearest_flat[pixel]) & (distance < before)
        # of equal distances the first row wins: it is written last
        owner_flat[pixel[wins][::-1]] = rows[wins][::-1]
    return owner, nearest


def decode(
    maps: Maps,
    *,
    top: int,
    threshold: float = 0.0,
    mask: Mask | None = None,
    side: int | None = None,
    decoding: Decoding | None = None,
) -> Grasps:
    """The best distinct grasps in predicted maps, best first; possibly none.

    The quality map is weighed by certainty where that is asked for; it is smoothed and its local
    maxima are taken, at the image border too. Angle and width at a peak are Gaussian means of cos,
    sin and width, weighted by quality so that empty pixels do not pull them; the angle itself is
    never averaged. The centre is the centroid of the connected pixels within 10 % of the peak:
    sub-pixel on a blob, the middle on a plateau.

    Args:
        maps: (4, H, W): quality, cos 2a, sin 2a, width / side. Non-finite pixels count as empty.
        top: at most this many grasps.
        threshold: peaks whose smoothed quality does not exceed this are no grasps.
        mask: (H, W) bool: where a centre may lie.
        side: the length that widths were divided by; the longer side by default.

    Returns:
        Grasps in map pixels, jaw = width / 2.
    """
    if maps.ndim != 3 or maps.shape[0] != 4:
        raise InputError(f"maps: got shape {maps.shape}, expected (4, H, W)")
    how = decoding or Decoding()
    maps = finite_maps(np.ascontiguousarray(maps, dtype=np.float32))
    plain = weigh_certainty(maps, how)
    length = float(max(maps.shape[1:]) if side is None else side)

    smooth = np.asarray(
        cv2.GaussianBlur(plain, (0, 0), how.sigma, borderType=cv2.BORDER_REFLECT), np.float32
    )
    if mask is not None:
        smooth = np.where(mask, smooth, np.float32(0))
    highest = cv2.dilate(smooth, np.ones((3, 3), np.uint8))
    peak = (smooth >= highest) & (smooth > max(threshold, 0.0))
    peak_v, peak_u = np.divmod(np.flatnonzero(peak), peak.shape[1])  # row by row
    if not len(peak_u):
        return Grasps.empty()
    order = np.argsort(-smooth[peak_v, peak_u], kind="stable")
    if len(order) > _MOST_CANDIDATES:
        order = _one_a_plateau(peak, peak_u, peak_v, order)[:_MOST_CANDIDATES]
    peaks = [(int(u), int(v)) for u, v in zip(peak_u[order], peak_v[order], strict=True)]

    covered = np.zeros((smooth.shape[0] + 2, smooth.shape[1] + 2), np.uint8)
    limit, turn = how.distance * length, math.radians(how.angle_deg)
    kept: list[tuple[float, ...]] = []  # u, v, angle, width in pixels, quality
    # As many at a time as are still missing: what they are needs their neighbourhood, which is
    # cheap to look up for several at once and costly for all candidates.
    while peaks and len(kept) < top:
        batch: list[tuple[float, float, float]] = []
        while peaks and len(batch) < top - len(kept):
            u, v = peaks.pop(0)
            if not covered[v + 1, u + 1]:
                batch.append((*_peak_centre(smooth, covered, u, v), float(smooth[v, u])))
        centres = np.array(batch).reshape(-1, 3)
        at_u, at_v = np.rint(centres[:, :2]).astype(np.intp).T
        angle, width = _local_means(plain, maps[1:], at_u, at_v, how.sigma)
        width = np.maximum(width * length, 1.0)
        for row in zip(*centres.T[:2], angle, width, centres[:, 2], strict=True):
            if not any(_same(row, other, limit, turn) for other in kept):
                kept.append(tuple(map(float, row)))
    if not kept:
        return Grasps.empty()
    found_u, found_v, found_angle, found_width, quality = np.array(kept).T
    return Grasps.from_arrays(found_u, found_v, found_angle, found_width, quality=quality)


def magnitude(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float32]:
    """Lengths of vectors, float32; the same wherever the arrays lie in memory, which those of
    cv2.magnitude are not to the last digit."""
    squares: NDArray[np.float32] = np.square(x, dtype=np.float32)
    squares += np.square(y)
    return np.sqrt(squares, out=squares)


def finite_maps(maps: Maps) -> Maps:
    """The maps (4, H, W) with pixels that are not finite in all of them emptied."""
    if np.isfinite(maps).all():
        return maps
    return np.where(np.isfinite(maps).all(axis=0), maps, np.float32(0))


def weigh_certainty(maps: Maps, decoding: Decoding) -> NDArray[np.float32]:
    """The quality map (H, W), with ``decoding.certain`` times the fourth root of the length of
    (cos 2a, sin 2a).

    A network that learned means of cos and sin says a short vector where it has seen several angles
    for what looks alike: a mug gripped across or at its rim. Of two places of like quality the
    one whose angle is sure is right more often. The root was chosen on validation images.
    """
    quality: NDArray[np.float32] = maps[0]
    if not decoding.certain:
        return quality
    length = magnitude(maps[1], maps[2])
    np.minimum(length, np.float32(1), out=length)
    np.sqrt(np.sqrt(length, out=length), out=length)
    length *= quality
    return length


def _same(one: Sequence[float], other: Sequence[float], limit: float, turn: float) -> bool:
    """Whether two rows (u, v, angle, ...) are the same grasp, found twice."""
    difference = abs(one[2] - other[2]) % math.pi
    close = math.hypot(one[0] - other[0], one[1] - other[1]) < limit
    return close and min(difference, math.pi - difference) < turn


def _local_means(
    quality: NDArray[np.float32],
    others: Maps,
    u: NDArray[np.intp],
    v: NDArray[np.intp],
    sigma: float,
) -> tuple[Floats, Floats]:
    """Angle and width / side around N pixels: Gaussian means of cos, sin and width (the others),
    weighted by quality.

    Taken at the peaks alone, which costs a fraction of smoothing three whole maps.
    """
    if not len(u):
        return np.zeros(0), np.zeros(0)
    height, width = quality.shape
    reach = int(np.ceil(3 * sigma))
    offset = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (offset / sigma) ** 2)
    columns, rows = u[:, None] + offset, v[:, None] + offset
    weight_u = kernel * ((columns >= 0) & (columns < width))
    weight_v = kernel * ((rows >= 0) & (rows < height))
    at = (
        np.clip(rows, 0, height - 1)[:, :, None],
        np.clip(columns, 0, width - 1)[:, None, :],
    )
    # A little weight everywhere keeps an all-zero neighbourhood defined.
    weight = np.maximum(quality[at], 1e-6) * weight_v[:, :, None] * weight_u[:, None, :]
    total = weight.sum(axis=(1, 2))
    cos, sin, size = (others[:, *at] * weight).sum(axis=(2, 3))
    return np.arctan2(sin, cos) / 2, size / total


def _one_a_plateau(
    peak: Mask, peak_u: NDArray[np.intp], peak_v: NDArray[np.intp], order: NDArray[np.intp]
) -> NDArray[np.intp]:
    """The order without pixels that adjoin an earlier one: all of a plateau are peaks alike, and a
    large one would leave no candidate to others."""
    _, plateaus = cv2.connectedComponents(peak.view(np.uint8), connectivity=8)
    _, first = np.unique(plateaus[peak_v[order], peak_u[order]], return_index=True)
    return order[np.sort(first)]


def _peak_centre(
    smooth: NDArray[np.float32], covered: NDArray[np.uint8], u: int, v: int
) -> tuple[float, float]:
    """Centroid of the connected pixels within 10 % of the peak at (u, v).

    Marks them in ``covered`` (one pixel larger on each side, as OpenCV's flood fill wants it), so
    that a plateau is one peak. A crescent or ring whose centroid falls outside itself keeps its
    peak.
    """
    flags = 4 | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY | (_FRESH << 8)
    drop = float(smooth[v, u]) * _PEAK_TOLERANCE
    *_, (left, upper, wide, high) = cv2.floodFill(
        smooth, covered, (u, v), 0.0, loDiff=drop, upDiff=drop, flags=flags
    )
    window = (slice(upper + 1, upper + high + 1), slice(left + 1, left + wide + 1))
    part = covered[window] == _FRESH
    covered[window][part] = 1
    sums = cv2.moments(part.view(np.uint8), binaryImage=True)
    centre_u, centre_v = left + sums["m10"] / sums["m00"], upper + sums["m01"] / sums["m00"]
    if not part[round(centre_v) - upper, round(centre_u) - left]:
        return float(u), float(v)
    return float(centre_u), float(centre_v)
