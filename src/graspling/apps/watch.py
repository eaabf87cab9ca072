"""The loop of `graspling watch`: frames in, grasps to every view, with rate and latency."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from graspling.errors import InputError
from graspling.grasps import Grasps
from graspling.pictures import Picture, draw_grasps
from graspling.poses import GraspPoses
from graspling.sources.base import Frame
from graspling.sources.stream import Stream
from graspling.tracking import Heading, Tracked

# Lines about different faults; the names of files in them make them all different.
_MOST_TOLD = 5

Look = Callable[[Frame], Tracked]
Locate = Callable[[Frame, Grasps], GraspPoses | None]
Tell = Callable[[GraspPoses], dict[str, Any]]


@dataclass(frozen=True, eq=False)
class Answer:
    """One frame and what was found in it.

    Attributes:
        number: of the frame among those looked at, from 0.
        frame: as it came.
        tracked: the grasps; None when the frame could not be used, which ``fault`` explains.
        latency: seconds from the arrival of the frame to its grasps; of a recording that is given
            whole, from when the frame was taken.
        fault: "" or one line.
        poses: a row a grasp, where poses are asked for; that of the followed grasp keeps the side
            of its +x from frame to frame (:class:`graspling.tracking.Heading`).
    """

    number: int
    frame: Frame
    tracked: Tracked | None
    latency: float
    fault: str = ""
    poses: GraspPoses | None = None

    @cached_property
    def picture(self) -> Picture | None:
        """The frame with its grasps, drawn once for all views; None without a frame."""
        image = self.frame.depth if self.frame.rgb is None else self.frame.rgb
        if image is None or self.tracked is None:
            return None
        return draw_grasps(image, self.tracked.grasps)

    def to_dict(self, tell: Tell | None = None) -> dict[str, Any]:
        """For one line of JSON; ``tell`` says what it has of the poses, by default nothing."""
        row: dict[str, Any] = {"frame": self.frame.name, "time": self.frame.time}
        if self.tracked is None:
            return row | {"error": self.fault}
        row |= self.tracked.detection.to_dict()
        row |= {"track": self.tracked.number, "age": self.tracked.age}
        row["latency_ms"] = round(self.latency * 1e3, 3)
        if self.poses is not None and tell is not None:
            row |= tell(self.poses)
        return row


class View(Protocol):
    """Something that shows or writes answers."""

    def show(self, answer: Answer) -> bool:
        """False when the user closed it and nothing more is wanted."""

    def close(self) -> None:
        """Nothing more will come."""


class Meter:
    """Counts, rate and latency of a run, in memory that does not grow.

    Attributes:
        frames: looked at; ``faults`` of them could not be used.
        tracks: how many different grasps were followed.
    """

    def __init__(self, window: int = 1000) -> None:
        self.frames = self.faults = self.tracks = 0
        self._ends: deque[float] = deque(maxlen=60)
        self._latencies: deque[float] = deque(maxlen=window)
        self._begun = perf_counter()

    def add(self, answer: Answer) -> None:
        """One more answer, just now."""
        self.frames += 1
        self._ends.append(perf_counter())
        if answer.tracked is None:
            self.faults += 1
            return
        self._latencies.append(answer.latency)
        self.tracks = max(self.tracks, answer.tracked.number or 0)

    @property
    def rate(self) -> float:
        """Frames a second over the last ones; 0 before the second one."""
        if len(self._ends) < 2 or self._ends[-1] <= self._ends[0]:
            return 0.0
        return (len(self._ends) - 1) / (self._ends[-1] - self._ends[0])

    def latency(self, percent: float = 50) -> float:
        """A percentile of the last latencies, milliseconds; NaN without any."""
        return float(np.percentile(self._latencies, percent) * 1e3) if self._latencies else np.nan

    def summary(self, dropped: int) -> str:
        """One line about the whole run."""
        seconds = perf_counter() - self._begun
        line = f"{self.frames} frames in {seconds:.1f} s"
        if self._latencies:
            line += f", latency {self.latency():.1f} ms (p95 {self.latency(95):.1f})"
        line += f", {dropped} dropped, {self.faults} unusable"
        return line + (f", {self.tracks} tracks" if self.tracks else "")


def watch(
    stream: Stream,
    look: Look,
    views: Iterable[View],
    meter: Meter,
    *,
    limit: int | None = None,
    hopeless: int | None = 10,
    locate: Locate | None = None,
    check: Callable[[Frame], None] = lambda frame: None,
    report: Callable[[str], None] = lambda line: None,
    status: Callable[[Answer], None] = lambda answer: None,
) -> None:
    """Look at each frame of a stream until it ends, a view is closed or ``limit`` frames are done.

    A frame that cannot be used is told (each reason once, the first few) and passed over.

    Args:
        look: finds the grasps of a frame; an InputError concerns this frame.
        hopeless: when so many frames from the start cannot be used, it is no accident of one frame
            and an error; None never gives up.
        locate: finds poses for the grasps of a frame, such as a Locator.
        check: looks at each frame that could be used, after its grasps.
        meter: counts along.
        report: gets one line about what is out of the ordinary.
        status: is called after each frame.

    Raises:
        InputError: none of the first frames could be used.
    """
    told: set[str] = set()
    shown, heading = list(views), Heading()
    for arrival in stream:
        frame = arrival.frame
        # a recording waits for its user, and that is no delay of the answer
        begun = arrival.received if stream.drops else perf_counter()
        tracked, poses, fault = None, None, frame.fault
        if not fault:
            try:
                tracked = look(frame)
                poses = locate(frame, tracked.grasps) if locate is not None else None
                if poses is not None:
                    poses = heading(poses, tracked.number)
            except InputError as error:
                tracked, fault = None, str(error)
        answer = Answer(meter.frames, frame, tracked, perf_counter() - begun, fault, poses)
        meter.add(answer)
        if tracked is not None:
            check(frame)
        if fault and fault not in told and len(told) < _MOST_TOLD:
            told.add(fault)
            report(f"frame {frame.name}: {fault}")
        if meter.faults == meter.frames == hopeless:
            raise InputError(f"none of the first {hopeless} frames can be used: {fault}")
        wanted = [view.show(answer) for view in shown]
        status(answer)
        if not all(wanted):
            return
        if meter.frames == limit:
            break
    if hopeless is not None and meter.faults == meter.frames:
        raise InputError(
            f"none of {meter.frames} frames can be used: {fault}"
            if meter.frames
            else "no frame came"
        )
