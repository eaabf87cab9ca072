"""One grasp followed through a stream of frames.

:meth:`graspling.detector.Detector.track` prefers the continuation of a grasp that the caller hands
in and keeps nothing itself. :class:`Tracker` is the memory around it.

>>> tracker = Tracker(graspling.load())  # doctest: +SKIP
>>> tracked = tracker.update(rgb, depth)  # doctest: +SKIP
>>> tracked.number, tracked.age, tracked.grasps  # doctest: +SKIP

The angle of a grasp ends at 90 degrees, that of an arm's wrist does not: :class:`Heading` keeps the
poses of the grasp that is followed from turning round there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.continuation import Continuation
from graspling.detector import Detection, Detector
from graspling.errors import InputError
from graspling.grasps import Grasps, wrap_angle

if TYPE_CHECKING:
    from graspling.poses import GraspPoses

# A move by this share of the opening, a turn by this many radians and a change of the width by this
# share are believed at once; smaller ones are taken for noise and smoothed.
_REAL_MOVE, _REAL_TURN, _REAL_CHANGE = 0.25, np.deg2rad(15), 0.25


@dataclass(frozen=True, eq=False)
class Tracked:
    """One frame's answer of a tracker.

    Attributes:
        detection: what the detector answered; its first grasp is smoothed over time.
        number: of the track, from 1; None when there is no grasp.
        age: how many frames this track has been seen in; 1 on its first.
    """

    detection: Detection
    number: int | None
    age: int

    @property
    def grasps(self) -> Grasps:
        """In pixels of the frame; the first row is the grasp that is followed."""
        return self.detection.grasps


class Tracker:
    """Follows a grasp: the same one as long as it is there, another when it is clearly better.

    Not to be shared between threads or cameras.

    Args:
        detector: what finds grasps.
        steadiness: 0 takes each frame as it is; nearer to 1, small movements of the grasp are
            averaged over more frames. A large movement is followed at once.
        patience: after this many frames without a grasp the track is forgotten; before, a grasp
            that returns to its place goes on with the same number.
        continuation: how strongly the grasp under way is preferred.

    Raises:
        InputError: steadiness outside [0, 1), patience below 0.
    """

    def __init__(
        self,
        detector: Detector,
        *,
        steadiness: float = 0.7,
        patience: int = 5,
        continuation: Continuation | None = None,
    ) -> None:
        if not 0 <= steadiness < 1 or patience < 0:
            raise InputError(
                f"tracker: steadiness is {steadiness} and patience {patience}, "
                "expected a steadiness in [0, 1) and a patience from 0"
            )
        self._detector = detector
        self._steadiness, self._patience = steadiness, patience
        self._continuation = continuation
        self._number = 0
        self.reset()

    def reset(self) -> None:
        """Forget the grasp under way; the next one gets a new number."""
        self._previous: Grasps | None = None
        self._shape: tuple[int, ...] = ()
        self._age = self._missed = 0

    def update(
        self, rgb: ArrayLike | None = None, depth: ArrayLike | None = None, **how: Any
    ) -> Tracked:
        """The next frame; arguments and errors as for :meth:`Detector.run`.

        A frame of another size than the one before starts anew; one that is refused for want of
        images changes nothing.
        """
        image = depth if rgb is None else rgb
        shape = self._shape if image is None else np.asarray(image).shape[:2]
        if shape != self._shape:
            self.reset()
            self._shape = shape
        previous = self._previous
        detection = self._detector.run(
            rgb, depth, previous=previous, continuation=self._continuation, **how
        )
        found = detection.grasps
        if not len(found):
            self._missed += 1
            if self._missed > self._patience:
                self._previous = None
            return Tracked(detection, None, 0)
        self._missed = 0
        if previous is not None and detection.continued:
            self._age += 1
            found = Grasps.concatenate([smooth(previous, found[0], self._steadiness), found[1:]])
            detection = replace(detection, grasps=found)
        else:
            self._number += 1
            self._age = 1
        self._previous = found[0]
        return Tracked(detection, self._number, self._age)


class Heading:
    """Keeps the way in which the gripper of a followed grasp is turned, from frame to frame.

    A parallel jaw is the same after half a turn about its approach. Of the two, a pose of one frame
    has the +x that the angle in [-pi/2, pi/2) gives, and this one turns round where the grasp
    passes 90 degrees. The pose of a track keeps to the side of the one before. Frames without a
    pose change nothing.

    Not to be shared between threads or cameras.
    """

    def __init__(self) -> None:
        self._track: int | None = None
        self._x: NDArray[np.float64] | None = None

    def __call__(self, poses: GraspPoses, track: int | None) -> GraspPoses:
        """The poses of a frame, of which the first row is the grasp that is followed; it alone may
        be turned.

        Args:
            poses: in the camera frame.
            track: its number, :attr:`Tracked.number`; another one than before starts anew. None,
                a frame without a grasp, changes nothing: the track may come back.
        """
        if track is None:
            return poses
        if track != self._track:
            self._track, self._x = track, None
        if not len(poses) or not poses.valid[0]:
            return poses
        if self._x is not None and self._x @ poses.pose[0, :3, 0] < 0:
            poses = poses.turned(np.arange(len(poses)) == 0)
        self._x = poses.pose[0, :3, 0]
        return poses


def smooth(previous: Grasps, found: Grasps, steadiness: float) -> Grasps:
    """The first grasp of ``found`` averaged with that of ``previous``, one row.

    The share of what was found is at least 1 - steadiness and grows with the movement, up to all
    of it, so that noise is averaged away while a moving object is followed with a small lag: at a
    constant speed never more than a sixteenth of the opening.
    """
    turn = float(wrap_angle(found.angle[0] - previous.angle[0]))
    change = found.width[0] / previous.width[0] - 1
    move = np.hypot(found.u[0] - previous.u[0], found.v[0] - previous.v[0]) / previous.width[0]
    movement = max(move / _REAL_MOVE, abs(turn) / _REAL_TURN, abs(change) / _REAL_CHANGE)
    share = min(1.0, max(1 - steadiness, float(movement)))

    def between(old: float, new: float) -> float:
        return old + share * (new - old)

    return Grasps.from_arrays(
        between(previous.u[0], found.u[0]),
        between(previous.v[0], found.v[0]),
        previous.angle[0] + share * turn,
        between(previous.width[0], found.width[0]),
        between(previous.jaw[0], found.jaw[0]),
        found.quality[0],
    )
