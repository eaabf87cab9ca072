"""What the detectors here share: checks, what they answer, the choice of grasps that are apart."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.backends.base import Backend
from graspling.card import Card
from graspling.detector import Detection, Detector, check_threshold, check_top
from graspling.errors import InputError
from graspling.frames import ALL_MISSING, check_frame, valid_depth
from graspling.grasps import Grasps
from graspling.image import allowed_pixels
from graspling.opencv import one_thread
from graspling.resample import Roi

Floats = NDArray[np.float64]
NO_MAPS = np.zeros((4, 0, 0), np.float32)
_APART = 0.25  # openings: closer grasps with nearly the same angle are one


@dataclass(frozen=True, eq=False)
class RobustDetection(Detection):
    """A detection whose grasps have the critic's probability as quality.

    Attributes:
        z: (N,) depth of the gripper, metres, for which they were judged.
    """

    z: Floats = None  # type: ignore[assignment]

    def to_dict(self) -> dict[str, Any]:
        """As :class:`Detection`, each grasp with its ``z_m``."""
        document = super().to_dict()
        for record, z in zip(document["grasps"], self.z.tolist(), strict=True):
            record["z_m"] = z if np.isfinite(z) else None
        return document


class RobustDetector(Detector):
    """What the detectors here share: the checks, and the choice of the best that are apart."""

    def __init__(self, card: Card) -> None:
        self._card = card

    @property
    def card(self) -> Card:
        return self._card

    def detect(self, rgb: Any = None, depth: Any = None, **how: Any) -> Grasps:
        """See :meth:`Detector.detect`; ``focal`` is needed."""
        return self.run(rgb, depth, **how).grasps

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._card.name}, {self._card.modality})"

    @property
    def backend(self) -> Backend:
        """None of its own.

        Raises:
            InputError: always.
        """
        raise InputError(f"{self._card.name} has no backend to choose: ONNX Runtime runs it")

    def track(self, rgb: Any = None, depth: Any = None, **how: Any) -> Grasps:
        """These detectors have no maps to prefer a grasp in.

        Raises:
            InputError: always.
        """
        raise InputError(f"{self._card.name} cannot track; use a detector of maps")

    def run(  # type: ignore[override]
        self,
        rgb: ArrayLike | None = None,
        depth: ArrayLike | None = None,
        *,
        top: int = 1,
        roi: Roi | None = None,
        mask: ArrayLike | None = None,
        threshold: float | None = None,
        focal: float | None = None,
    ) -> RobustDetection:
        """The best grasps, best first, see :meth:`Detector.run`.

        Args:
            focal: focal length, pixels of the frame.

        Raises:
            InputError: no depth, no focal length, or as :meth:`Detector.run`.
        """
        top = check_top(top)
        limit = check_threshold(self._card.threshold if threshold is None else threshold)
        if depth is None:
            raise InputError(f"{self._card.name} takes depth input: a depth image is missing")
        if focal is None or not 0 < focal < np.inf:
            raise InputError(
                f"{self._card.name} needs the camera's focal length in pixels: "
                "give --camera FILE with fx, or focal="
            )
        metres = check_frame(rgb, depth)[1]
        assert metres is not None  # said above
        if not valid_depth(metres).any():
            raise InputError(ALL_MISSING)
        allowed = allowed_pixels(mask, roi, *metres.shape)
        with one_thread():
            start = perf_counter()
            grasps, z, prepared, answered = self._find(metres, roi, float(focal))
            grasps, z = _within(grasps, z, allowed)
            grasps, z = _apart(grasps, z, top, limit)
            done = perf_counter()
        milliseconds = {
            "prepare": (prepared - start) * 1e3,
            "network": (answered - prepared) * 1e3,
            "decode": (done - answered) * 1e3,
        }
        unused = () if rgb is None else ("rgb",)
        return RobustDetection(grasps, NO_MAPS, milliseconds, self._card.name, unused=unused, z=z)

    def _find(
        self, depth: NDArray[np.float32], roi: Roi | None, focal: float
    ) -> tuple[Grasps, Floats, float, float]:
        """Judged grasps in frame pixels, their z, and when preparing and the networks ended."""
        raise NotImplementedError


def rated(grasps: Grasps, quality: Floats) -> Grasps:
    """The same grasps with other qualities."""
    return Grasps(grasps.u, grasps.v, grasps.angle, grasps.width, grasps.jaw, quality)


def _within(grasps: Grasps, z: Floats, allowed: NDArray[np.uint8]) -> tuple[Grasps, Floats]:
    """Those whose centre lies in the frame, where it is allowed (H, W)."""
    u, v = np.rint(grasps.u).astype(int), np.rint(grasps.v).astype(int)
    good = (u >= 0) & (u < allowed.shape[1]) & (v >= 0) & (v < allowed.shape[0])
    good[good] = allowed[v[good], u[good]] != 0
    return grasps[good], z[good]


def _apart(grasps: Grasps, z: Floats, top: int, limit: float) -> tuple[Grasps, Floats]:
    """The best ``top`` grasps above ``limit`` that differ in place or angle."""
    kept: list[int] = []
    for row in np.argsort(-grasps.quality, kind="stable"):
        if len(kept) == top or grasps.quality[row] <= limit:
            break
        near = grasps[kept]
        distance = np.hypot(near.u - grasps.u[row], near.v - grasps.v[row])
        turned = np.abs(np.sin(near.angle - grasps.angle[row]))
        if not ((distance < _APART * grasps.width[row]) & (turned < 0.5)).any():
            kept.append(int(row))
    return grasps[kept], z[kept]
