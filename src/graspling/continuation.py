"""Preferring the grasp under way when the grasps of the next frame are read from its maps.

Two grasps of nearly equal quality make a detector jump between them with the noise of the sensor.
Here the quality map is weighted before it is decoded: what lies close to the grasp under way, in
place and in angle, counts more. Another grasp takes over only when it is clearly better, and a
grasp under way is kept a little below the threshold that a new one must pass (hysteresis).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.errors import InputError
from graspling.grasps import Floats, Grasps
from graspling.maps import Decoding, Maps, Mask, decode, finite_maps, weigh_certainty
from graspling.opencv import one_thread


@dataclass(frozen=True)
class Continuation:
    """How strongly the grasp under way is preferred.

    Attributes:
        loyalty: its quality counts up to 1 + loyalty times; 0 turns the preference off.
        reach: a grasp further away than this share of the input's side continues nothing.
    """

    loyalty: float = 0.5
    reach: float = 0.1

    def __post_init__(self) -> None:
        if not (0 <= self.loyalty < np.inf and 0 < self.reach < np.inf):
            raise InputError(
                f"continuation: loyalty is {self.loyalty} and reach {self.reach}, "
                "expected a loyalty from 0 and a reach above 0"
            )

    def closeness(
        self, u: ArrayLike, v: ArrayLike, cos: ArrayLike, sin: ArrayLike, to: Grasps, side: float
    ) -> Floats:
        """How close grasps are to the first row of ``to``: 1 the same, 0 another; they broadcast.

        Gaussian in the distance of the centres (standard deviation half the reach, 0 beyond the
        reach) times the cosine of twice the angle between the openings (0 from 45 degrees on).

        Args:
            u, v: centres, pixels.
            cos, sin: of twice the angle; their length does not matter.
            to: the grasp under way, same pixels.
            side: of the input, same pixels.
        """
        limit = self.reach * side
        squared = (np.asarray(u) - to.u[0]) ** 2 + (np.asarray(v) - to.v[0]) ** 2
        near = np.where(squared <= limit**2, np.exp(-2 * squared / limit**2), 0.0)
        ahead = np.cos(2 * to.angle[0]) * np.asarray(cos) + np.sin(2 * to.angle[0]) * np.asarray(
            sin
        )
        return np.asarray(near * np.clip(ahead / np.maximum(np.hypot(cos, sin), 1e-9), 0, 1))


@one_thread()
def decode_onward(
    maps: Maps,
    previous: Grasps,
    *,
    top: int,
    threshold: float = 0.0,
    mask: Mask | None = None,
    decoding: Decoding | None = None,
    how: Continuation | None = None,
) -> tuple[Grasps, bool]:
    """Like :func:`graspling.maps.decode`, preferring the continuation of ``previous``.

    A candidate of quality q and closeness c to the grasp under way is ranked by q (1 + loyalty c),
    and that is what must exceed the threshold.

    Args:
        maps: (4, H, W), as for :func:`graspling.maps.decode`.
        previous: its first row is the grasp under way, pixels of the maps.

    Returns:
        Grasps in map pixels, best rank first, each with its own quality; and whether the first of
        them continues the grasp under way.
    """
    how = how or Continuation()
    side = float(max(maps.shape[1:]))
    gain = 1 + how.loyalty
    decoding = decoding or Decoding()
    maps = finite_maps(maps)
    quality_map = weigh_certainty(maps, decoding)
    decoding = replace(decoding, certain=False)
    weighted = np.concatenate([quality_map[None], maps[1:]])
    weighted[0] /= gain  # keeps the ranks in [0, 1], where qualities are
    window, u, v = _around(previous, how.reach * side, *maps.shape[1:])
    near = how.closeness(u, v, maps[1][window], maps[2][window], previous, side)
    weighted[0][window] *= 1 + how.loyalty * near
    ranked = decode(weighted, top=top, threshold=threshold / gain, mask=mask, decoding=decoding)
    twice = 2 * ranked.angle
    close = how.closeness(ranked.u, ranked.v, np.cos(twice), np.sin(twice), previous, side)
    # Of its own: looked up as far as smoothing carries what is preferred (OpenCV's kernel ends at
    # 4 sigma, rounded up); further away the weight is known.
    smooth = cv2.GaussianBlur(quality_map, (0, 0), decoding.sigma, borderType=cv2.BORDER_REFLECT)
    at = np.rint(ranked.v).astype(int), np.rint(ranked.u).astype(int)
    apart = np.hypot(ranked.u - previous.u[0], ranked.v - previous.v[0])
    mixed = apart < how.reach * side + 4 * decoding.sigma + 1
    quality = np.where(mixed, smooth[at], ranked.quality * gain)
    found = Grasps(ranked.u, ranked.v, ranked.angle, ranked.width, ranked.jaw, quality)
    return found, bool(len(found) and close[0] > 0)


def _around(
    previous: Grasps, reach: float, height: int, width: int
) -> tuple[tuple[slice, slice], NDArray[np.int_], NDArray[np.int_]]:
    """The part of a map within reach of the grasp under way, and its pixels u (1, W), v (H, 1)."""
    spans = []
    for centre, limit in ((previous.v[0], height), (previous.u[0], width)):
        first, last = np.clip([np.floor(centre - reach), np.ceil(centre + reach) + 1], 0, limit)
        spans.append(slice(int(first), int(last)))
    rows, columns = spans
    v, u = np.arange(rows.start, rows.stop)[:, None], np.arange(columns.start, columns.stop)[None]
    return (rows, columns), u, v
