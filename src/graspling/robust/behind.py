"""A critic behind another detector: re-ranking, and falling back to a slower one."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from graspling.card import Card
from graspling.detector import Detector, check_threshold, check_top
from graspling.errors import InputError
from graspling.frames import check_depth
from graspling.grasps import Grasps
from graspling.gripper import Gripper
from graspling.opencv import one_thread
from graspling.robust.base import RobustDetection, RobustDetector, rated
from graspling.robust.critic import ROBUST, OnnxCritic, judge

_CANDIDATES = 20  # of the other detector, that are ranked


class ReRanked(RobustDetector):
    """The grasps of another detector in the order of a critic.

    What the other detector would not say (the threshold in its card, or a lower one that is asked
    for) is not ranked. A threshold is one of the quality that is told, which is the critic's.
    Grasps for which there is no pose (see :func:`graspling.poses.to_poses`, for ``clamp`` too) come
    last, with 0.
    """

    def __init__(
        self, inner: Detector, critic: OnnxCritic, gripper: Gripper, *, clamp: bool = True
    ) -> None:
        self.inner, self.critic, self.gripper, self.clamp = inner, critic, gripper, clamp

    @property
    def card(self) -> Card:
        """The other detector's, renamed."""
        card = self.inner.card
        return replace(card, name=f"{card.name}+{self.critic.card.network}", threshold=0.0)

    def run(self, rgb: Any = None, depth: Any = None, **how: Any) -> RobustDetection:
        """See :meth:`RobustDetector.run`."""
        if depth is None or not how.get("focal"):
            raise InputError(
                "a critic needs a depth image and the camera's focal length in pixels: frames with "
                "depth, and --camera FILE with fx (in Python focal=)"
            )
        top, threshold = check_top(how.pop("top", 1)), how.pop("threshold", None)
        focal = float(how.pop("focal"))
        many = max(top, _CANDIDATES)
        own_limit = None
        if threshold is not None:
            inner = self.inner.for_frames(rgb=rgb is not None, depth=True)
            own_limit = min(check_threshold(threshold), inner.card.threshold)
        found = self.inner.run(rgb, depth, top=many, threshold=own_limit, focal=focal, **how)
        start = perf_counter()
        own = found.z if isinstance(found, RobustDetection) else None
        with one_thread():
            frame = check_depth(depth)
            p, z = judge(
                self.critic, found.grasps, frame, focal, self.gripper, own, clamp=self.clamp
            )
        order = np.argsort(-p, kind="stable")[:top]
        if threshold:  # 0 keeps those without a pose, too: evaluation counts every best grasp
            order = order[p[order] > threshold]
        grasps = rated(found.grasps, p)[order]
        milliseconds = {**found.milliseconds, "critic": (perf_counter() - start) * 1e3}
        unused = tuple(image for image in found.unused if image != "depth")  # the critic needs it
        name = self.card.name
        return RobustDetection(grasps, found.maps, milliseconds, name, unused=unused, z=z[order])

    def detect(self, rgb: Any = None, depth: Any = None, **how: Any) -> Grasps:
        """See :meth:`RobustDetector.detect`."""
        return self.run(rgb, depth, **how).grasps


class Fallback(ReRanked):
    """A fast detector first; another one only if the critic does not call its grasp robust (the
    conclusion of GQ-STN, section V-D)."""

    def __init__(
        self,
        inner: Detector,
        slow: RobustDetector,
        critic: OnnxCritic,
        gripper: Gripper,
        *,
        clamp: bool = True,
    ) -> None:
        super().__init__(inner, critic, gripper, clamp=clamp)
        self.slow = slow

    def run(self, rgb: Any = None, depth: Any = None, **how: Any) -> RobustDetection:
        """See :meth:`RobustDetector.run`."""
        # said of the first frame, not of the first one that is hard
        if rgb is None and "rgb" in self.slow.card.modality:
            raise InputError(
                f"the fallback {self.slow.card.name} looks at {self.slow.card.modality} and needs "
                "a colour image"
            )
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
        unused = tuple(image for image in first.unused if image in second.unused)
        return replace(best, milliseconds={**spent, **second.milliseconds}, unused=unused)
