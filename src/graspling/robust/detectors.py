"""One grasp in one pass, sampling and ranking, re-ranking another detector, falling back.

All need the depth image and the camera's focal length: a critic is told sizes in metres.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.backends import BACKENDS
from graspling.backends.base import check_threads
from graspling.card import Card
from graspling.crops import Cropper, Crops
from graspling.detector import Detection, Detector, check_threshold, check_top, load
from graspling.errors import InputError
from graspling.frames import ALL_MISSING, check_depth, valid_depth
from graspling.grasps import Grasps
from graspling.gripper import Gripper
from graspling.image import Preparation
from graspling.opencv import one_thread
from graspling.resample import Roi, crop_affine, warp_depth
from graspling.robust.critic import DEFAULT, ROBUST, OnnxCritic, judge
from graspling.robust.proposals import ProposalSettings, propose, refine
from graspling.robust.session import Session, kind_of

Floats = NDArray[np.float64]
SAMPLING = "prop_gqcnn"
_NO_MAPS = np.zeros((4, 0, 0), np.float32)
_APART = 0.25  # openings: closer grasps with nearly the same angle are one
_CANDIDATES = 20  # of another detector, that are ranked
_ROUNDS = 3  # of the cross-entropy method


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

    needs_focal = True

    def __init__(self, card: Card) -> None:
        self._card = card

    @property
    def card(self) -> Card:
        return self._card

    def detect(self, rgb: Any = None, depth: Any = None, **how: Any) -> Grasps:
        """See :meth:`Detector.detect`; ``focal`` is needed."""
        return self.run(rgb, depth, **how).grasps

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
        if focal is None or not focal > 0:
            raise InputError(
                f"{self._card.name} needs the camera's focal length in pixels: "
                "give --camera FILE with fx, or focal="
            )
        metres = check_depth(depth)
        if not valid_depth(metres).any():
            raise InputError(ALL_MISSING)
        with one_thread():
            start = perf_counter()
            grasps, z, prepared, answered = self._find(rgb, metres, top, roi, mask, float(focal))
            grasps, z = _within(grasps, z, mask, metres.shape)
            grasps, z = _apart(grasps, z, top, limit)
            done = perf_counter()
        milliseconds = {
            "prepare": (prepared - start) * 1e3,
            "network": (answered - prepared) * 1e3,
            "decode": (done - answered) * 1e3,
        }
        return RobustDetection(grasps, _NO_MAPS, milliseconds, self._card.name, z=z)

    def _find(
        self,
        rgb: ArrayLike | None,
        depth: NDArray[np.float32],
        top: int,
        roi: Roi | None,
        mask: ArrayLike | None,
        focal: float,
    ) -> tuple[Grasps, Floats, float, float]:
        """Judged grasps in frame pixels, their z, and when preparing and the networks ended."""
        raise NotImplementedError


class OneGraspDetector(RobustDetector):
    """A network that says one grasp with its quality: GQ-STN, DirectGrasp, MultiGrasp.

    Args:
        name: shipped name or ``.onnx`` file.
    """

    def __init__(self, name: str | Path, *, threads: int = 1) -> None:
        self._session = Session(name, "grasp", threads=threads)
        super().__init__(self._session.card)

    def _find(
        self,
        rgb: ArrayLike | None,
        depth: NDArray[np.float32],
        top: int,
        roi: Roi | None,
        mask: ArrayLike | None,
        focal: float,
    ) -> tuple[Grasps, Floats, float, float]:
        side = self._card.preparation.size
        affine = crop_affine(depth.shape[0], depth.shape[1], side, roi=roi)
        image = warp_depth(depth, affine, side)
        prepared = perf_counter()
        scale = float(affine[0, 0])
        rows = self._session(
            image=image[None, None], focal=np.array([focal * scale], np.float32)
        ).astype(np.float64)
        answered = perf_counter()
        u, v, angle, width, z, quality = rows.T
        inverse = cv2.invertAffineTransform(affine)
        grasps = Grasps.from_arrays(u, v, angle, width, quality=quality).transform(inverse)
        return grasps, z, prepared, answered


class SamplingDetector(RobustDetector):
    """Antipodal proposals, ranked once by a critic (Prop + GQ-CNN of GQ-STN, section V).

    Args:
        critic: what ranks.
        gripper: how far it opens.
        rounds: of the cross-entropy method after the ranking; 0: none.
        seed: the same frame gives the same grasps.
    """

    def __init__(
        self,
        critic: OnnxCritic,
        gripper: Gripper,
        *,
        rounds: int = 0,
        settings: ProposalSettings | None = None,
        seed: int = 0,
    ) -> None:
        side = 320
        card = replace(
            critic.card,
            name=f"{SAMPLING}({critic.card.name})",
            preparation=Preparation(modality="depth", size=side),
            threshold=0.0,
        )
        super().__init__(card)
        self.critic, self.gripper, self.rounds = critic, gripper, rounds
        self.settings, self.seed = settings or ProposalSettings(), seed

    def _find(
        self,
        rgb: ArrayLike | None,
        depth: NDArray[np.float32],
        top: int,
        roi: Roi | None,
        mask: ArrayLike | None,
        focal: float,
    ) -> tuple[Grasps, Floats, float, float]:
        side = min(self._card.preparation.size, *depth.shape)
        affine = crop_affine(depth.shape[0], depth.shape[1], side, roi=roi)
        image = warp_depth(depth, affine, side)
        scale = float(affine[0, 0])
        rng = np.random.default_rng(self.seed)
        grasps, z = propose(image, focal * scale, self.gripper, rng, self.settings)
        cropper = Cropper(image)
        prepared = perf_counter()
        quality = self._judge(cropper, grasps, z, focal * scale)
        for number in range(self.rounds if len(grasps) else 0):
            more, deeper = refine(image, grasps, z, quality, rng, shrink=0.6**number)
            found = self._judge(cropper, more, deeper, focal * scale)
            grasps = Grasps.concatenate([grasps, more])
            z, quality = np.append(z, deeper), np.append(quality, found)
        answered = perf_counter()
        inverse = cv2.invertAffineTransform(affine)
        return _rated(grasps, quality).transform(inverse), z, prepared, answered

    def _judge(self, cropper: Cropper, grasps: Grasps, z: Floats, focal: float) -> Floats:
        crops: Crops = cropper(grasps, z, focal)
        return self.critic(crops)


class ReRanked(RobustDetector):
    """The grasps of another detector in the order of a critic.

    What the other detector would not say (its threshold) is not ranked. Grasps for which there is
    no pose (see :func:`graspling.poses.to_poses`) come last, with quality 0.
    """

    def __init__(self, inner: Detector, critic: OnnxCritic, gripper: Gripper) -> None:
        self.inner, self.critic, self.gripper = inner, critic, gripper

    @property
    def card(self) -> Card:
        """The other detector's, renamed."""
        card = self.inner.card
        return replace(card, name=f"{card.name}+{self.critic.card.network}", threshold=0.0)

    def run(self, rgb: Any = None, depth: Any = None, **how: Any) -> RobustDetection:
        """See :meth:`RobustDetector.run`."""
        if depth is None or not how.get("focal"):
            raise InputError(
                "re-ranking needs a depth image and the camera's focal length in pixels: give "
                "--depth and --camera FILE with fx, or focal="
            )
        top, threshold = check_top(how.pop("top", 1)), how.pop("threshold", None)
        focal = float(how.pop("focal"))
        many = max(top, _CANDIDATES)
        found = self.inner.run(rgb, depth, top=many, threshold=threshold, focal=focal, **how)
        start = perf_counter()
        own = found.z if isinstance(found, RobustDetection) else None
        with one_thread():
            p, z = judge(self.critic, found.grasps, check_depth(depth), focal, self.gripper, own)
        order = np.argsort(-p, kind="stable")[:top]
        order = order[p[order] >= (threshold or 0.0)]
        grasps = _rated(found.grasps, p)[order]
        milliseconds = {**found.milliseconds, "critic": (perf_counter() - start) * 1e3}
        return RobustDetection(grasps, found.maps, milliseconds, self.card.name, z=z[order])

    def detect(self, rgb: Any = None, depth: Any = None, **how: Any) -> Grasps:
        """See :meth:`RobustDetector.detect`."""
        return self.run(rgb, depth, **how).grasps


class Fallback(ReRanked):
    """A fast detector first; another one only if the critic does not call its grasp robust (the
    conclusion of GQ-STN, section V-D)."""

    def __init__(
        self, inner: Detector, slow: RobustDetector, critic: OnnxCritic, gripper: Gripper
    ) -> None:
        super().__init__(inner, critic, gripper)
        self.slow = slow

    def run(self, rgb: Any = None, depth: Any = None, **how: Any) -> RobustDetection:
        """See :meth:`RobustDetector.run`."""
        first = super().run(rgb, depth, **how)
        if len(first.grasps) and first.grasps.quality[0] >= ROBUST:
            return first
        second = self.slow.run(rgb, depth, **how)
        spent = {f"fast {key}": value for key, value in first.milliseconds.items()}
        best = second
        if len(first.grasps) and not (
            len(second.grasps) and second.grasps.quality[0] > first.grasps.quality[0]
        ):
            best = first
        return replace(best, milliseconds={**spent, **second.milliseconds})


def open_detector(
    model: str | Path | None = None,
    *,
    critic: str | Path = "",
    rerank: bool = False,
    fallback: str | Path = "",
    refined: bool = False,
    gripper: str | Path = "panda",
    threads: int = 1,
    **loading: Any,
) -> Detector:
    """Any detector: maps, one grasp or sampling, alone or with a critic behind it.

    Args:
        model: as for :func:`graspling.load`, a model of one grasp, or "prop_gqcnn".
        critic: shipped name or file; by default the shipped one.
        rerank: put the grasps in the critic's order.
        fallback: detector for frames whose grasp is not robust: "prop_gqcnn" or a model.
        refined: sampling goes on with the cross-entropy method.
        loading: other arguments of :func:`graspling.load`.

    Raises:
        InputError: no such model; a critic where a detector is wanted.
    """
    threads, backend = check_threads(threads), loading.get("backend", "auto")
    if backend not in BACKENDS:
        raise InputError(f"no backend {backend!r}; choose one of {', '.join(BACKENDS)}")
    if refined and SAMPLING not in (str(model), str(fallback)):
        raise InputError(f"--refine goes on with sampling: it needs the model {SAMPLING}")
    hand = Gripper.load(gripper)
    judge_of: list[OnnxCritic] = []

    def the_critic() -> OnnxCritic:
        if not judge_of:
            judge_of.append(OnnxCritic(critic or DEFAULT, threads=threads))
        return judge_of[0]

    def one(name: str | Path | None) -> Detector:
        if str(name) == SAMPLING:
            return SamplingDetector(the_critic(), hand, rounds=_ROUNDS if refined else 0)
        kind = "maps" if name is None else kind_of(name)
        if kind == "critic":
            raise InputError(f"{name} is a critic: it judges grasps and finds none; use --rerank")
        if kind == "grasp":
            assert name is not None  # kind_of says "maps" of nothing
            return OneGraspDetector(name, threads=threads)
        return load(name, threads=threads, **loading)

    detector = one(model)
    if fallback:
        slow = one(fallback)
        if not isinstance(slow, RobustDetector):
            slow = ReRanked(slow, the_critic(), hand)
        return Fallback(detector, slow, the_critic(), hand)
    return ReRanked(detector, the_critic(), hand) if rerank else detector


def _rated(grasps: Grasps, quality: Floats) -> Grasps:
    return Grasps(grasps.u, grasps.v, grasps.angle, grasps.width, grasps.jaw, quality)


def _within(
    grasps: Grasps, z: Floats, mask: ArrayLike | None, shape: tuple[int, ...]
) -> tuple[Grasps, Floats]:
    """Those whose centre lies in the frame, and in the mask."""
    u, v = np.rint(grasps.u).astype(int), np.rint(grasps.v).astype(int)
    good = (u >= 0) & (u < shape[1]) & (v >= 0) & (v < shape[0])
    if mask is not None:
        allowed = np.squeeze(np.asarray(mask))
        if allowed.shape != shape:
            raise InputError(f"mask has shape {allowed.shape}, the frame is {shape}")
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
