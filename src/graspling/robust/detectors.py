"""One grasp in one pass, sampling and ranking; every detector, alone or with a critic behind it.

All need the depth image and the camera's focal length: a critic is told sizes in metres.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from graspling.backends import BACKENDS, check_precision
from graspling.backends.base import check_threads
from graspling.crops import Cropper, Crops
from graspling.detector import Detector, load
from graspling.errors import InputError
from graspling.grasps import Grasps
from graspling.gripper import Gripper
from graspling.image import Preparation
from graspling.resample import Roi, crop_affine, warp_depth
from graspling.robust.base import Floats, RobustDetector, rated
from graspling.robust.behind import Fallback, ReRanked
from graspling.robust.critic import DEFAULT, OnnxCritic
from graspling.robust.proposals import ProposalSettings, propose, refine
from graspling.robust.session import Session, kind_of

SAMPLING = "prop_gqcnn"
_ROUNDS = 3  # of the cross-entropy method


class OneGraspDetector(RobustDetector):
    """A network that says one grasp with its quality: GQ-STN, DirectGrasp, MultiGrasp.

    Args:
        name: shipped name or ``.onnx`` file.
    """

    def __init__(self, name: str | Path, *, threads: int = 1) -> None:
        self._session = Session(name, "grasp", threads=threads)
        super().__init__(self._session.card)

    def _find(
        self, depth: NDArray[np.float32], roi: Roi | None, focal: float
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
        self, depth: NDArray[np.float32], roi: Roi | None, focal: float
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
        return rated(grasps, quality).transform(inverse), z, prepared, answered

    def _judge(self, cropper: Cropper, grasps: Grasps, z: Floats, focal: float) -> Floats:
        crops: Crops = cropper(grasps, z, focal)
        return self.critic(crops)


def check_asked(
    critic: str | Path, *, model: str | Path | None, rerank: bool, fallback: str | Path
) -> None:
    """Refuse a critic that no detector would ask; arguments as for :func:`open_detector`.

    Raises:
        InputError: there is one.
    """
    if critic and not (rerank or fallback or str(model) == SAMPLING):
        raise InputError(
            f"--critic {critic}: nothing asks it; --rerank, --fallback or --model {SAMPLING} do"
        )


def open_detector(
    model: str | Path | None = None,
    *,
    critic: str | Path = "",
    rerank: bool = False,
    fallback: str | Path = "",
    refined: bool = False,
    gripper: Gripper | str | Path = "panda",
    clamp: bool = True,
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
        gripper: that grasps are for; or its name or YAML file.
        clamp: a critic judges a grasp that is wider than the gripper as the gripper fully opened;
            false: it comes last.
        loading: other arguments of :func:`graspling.load`.

    Raises:
        InputError: no such model; a critic where a detector is wanted.
    """
    threads, backend = check_threads(threads), loading.get("backend", "auto")
    if backend not in BACKENDS:
        raise InputError(f"no backend {backend!r}; choose one of {', '.join(BACKENDS)}")
    if refined and SAMPLING not in (str(model), str(fallback)):
        raise InputError(f"--refine goes on with sampling: it needs the model {SAMPLING}")
    precision = loading.get("precision")
    check_precision(precision)
    hand = gripper if isinstance(gripper, Gripper) else Gripper.load(gripper)
    judge_of: list[OnnxCritic] = []

    def the_critic() -> OnnxCritic:
        if not judge_of:
            judge_of.append(OnnxCritic(critic or DEFAULT, threads=threads))
        return judge_of[0]

    def check_alone(name: str | Path) -> None:
        if backend not in ("auto", "onnxruntime"):
            raise InputError(f"{name} runs on onnxruntime alone, not on {backend}")
        if precision not in (None, "fp32"):
            raise InputError(f"{name} runs in fp32 alone, not in {precision}")

    def one(name: str | Path | None) -> Detector:
        if str(name) == SAMPLING:
            check_alone(SAMPLING)
            return SamplingDetector(the_critic(), hand, rounds=_ROUNDS if refined else 0)
        kind = "maps" if name is None else kind_of(name)
        if kind == "critic":
            raise InputError(f"{name} is a critic: it judges grasps and finds none; use --rerank")
        if kind == "grasp":
            assert name is not None  # kind_of says "maps" of nothing
            check_alone(name)
            return OneGraspDetector(name, threads=threads)
        return load(name, threads=threads, **loading)

    detector = one(model)
    if fallback:
        slow = one(fallback)
        if not isinstance(slow, RobustDetector):
            slow = ReRanked(slow, the_critic(), hand, clamp=clamp)
        return Fallback(detector, slow, the_critic(), hand, clamp=clamp)
    return ReRanked(detector, the_critic(), hand, clamp=clamp) if rerank else detector
