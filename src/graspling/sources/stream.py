"""Frames read in a thread of their own, so that whoever uses them is never behind the camera.

The newest frame waits in a buffer of one: a slow user finds the present there and what it had no
time for was dropped and counted. A source that stalls or goes away is waited for and opened again,
with pauses that grow; each change of its state is told in one line.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from types import TracebackType

from graspling.errors import GrasplingError, InputError
from graspling.sources.base import Frame, Source, SourceLost

# A read that never comes back cannot be ended from outside: so many threads at most wait in one.
_MOST_ABANDONED = 3
# How long the end of a thread is waited for, seconds.
_FAREWELL = 2.0
# The longest pause that is played as recorded, seconds: stamps also jump when a clock is set.
_LONGEST_GAP = 5.0


@dataclass(frozen=True)
class Patience:
    """How a stream deals with a source that stalls or goes away; seconds.

    Attributes:
        stall: a live source without a frame for so long stalls; a line says so.
        reopen: after so long it is opened again; the second time after twice as long, and so on.
        pause, longest_pause: before a lost source is opened again; the pause doubles each time.
        give_up: without a frame for so long the stream ends with an error; None = never.
    """

    stall: float = 2.0
    reopen: float = 10.0
    pause: float = 0.5
    longest_pause: float = 10.0
    give_up: float | None = None

    def __post_init__(self) -> None:
        for name, limit in vars(self).items():
            if limit is not None and not limit > 0:
                raise InputError(f"{name.replace('_', ' ')} is {limit:g}, expected seconds above 0")


@dataclass(frozen=True, eq=False)
class Arrival:
    """A frame and when it came, by ``time.perf_counter``."""

    frame: Frame
    received: float


@dataclass(eq=False)
class _Worker:
    """One opening of the source; abandoned when its read does not come back."""

    thread: threading.Thread | None = None
    abandoned: bool = False
    stop: threading.Event = field(default_factory=threading.Event)


class Stream:
    """Iterate over the frames of a source; a context manager that ends its thread.

    >>> with Stream(source) as stream:  # doctest: +SKIP
    ...     for arrival in stream:
    ...         detector.detect(arrival.frame.rgb, arrival.frame.depth)

    Args:
        source: where the frames come from.
        rate: play a recording at this many frames a second, or, with "recorded", as its time
            stamps say (a pause of more than 5 s is cut to that), and drop what there is no time
            for, like a camera; None: every frame of a recording, as fast as they are used. A live
            source has its own rate.
        patience: with a live source.
        report: gets one line whenever the source stalls, is lost or is back; it is called from
            this thread and from that of the reader.

    Attributes:
        drops: only the newest frame waits and older ones are dropped, or each waits for its use.
        dropped: frames that came and were never used.
    """

    def __init__(
        self,
        source: Source,
        *,
        rate: float | str | None = None,
        patience: Patience | None = None,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        if isinstance(rate, str) and rate != "recorded":
            raise InputError(f"rate {rate!r}: expected frames a second or 'recorded'")
        if isinstance(rate, int | float) and not 0 < rate < float("inf"):
            raise InputError(f"rate is {rate}, expected frames a second above 0")
        if rate is not None and source.live:
            raise InputError(f"{source.name} is live and has its own rate; leave out the rate")
        self._source, self._rate, self._report = source, rate, report
        self._patience = patience or Patience()
        self.drops = source.live or rate is not None
        self._changed = threading.Condition()
        self._waiting: Arrival | None = None
        self._ended = False
        self._error: Exception | None = None
        self._worker = _Worker()
        self._abandoned: list[_Worker] = []
        self._tries = 0  # how often it was opened again in vain
        self._ever = self._quiet = False  # has a frame come; was the user told of a stall
        self._jumped = False  # was the user told that the recording's clock was set
        self._last = self._opened = perf_counter()
        self.dropped = 0

    # ---- the user's side ----------------------------------------------------------------------

    def __enter__(self) -> Stream:
        self._last = perf_counter()
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the reading thread and close the source."""
        with self._changed:
            self._ended = True
            for worker in (self._worker, *self._abandoned):
                worker.stop.set()
            self._changed.notify_all()
        if self._worker.thread is not None:
            self._worker.thread.join(_FAREWELL)

    def __iter__(self) -> Iterator[Arrival]:
        while (arrival := self.take()) is not None:
            yield arrival

    def take(self, timeout: float | None = None) -> Arrival | None:
        """The newest frame not yet taken; waits for one. None: the stream ended, or, with a
        ``timeout`` in seconds, none came (:attr:`ended` tells which).

        Raises:
            InputError: the source cannot be read, or was gone for longer than ``give_up``.
        """
        until = None if timeout is None else perf_counter() + timeout
        while True:
            with self._changed:
                if self._waiting is not None:
                    arrival, self._waiting = self._waiting, None
                    self._changed.notify_all()
                    return arrival
                if self._error is not None:
                    raise self._error
                now = perf_counter()
                if self._ended or (until is not None and now >= until):
                    return None
                # Short enough to notice a stall; a frame wakes it at once.
                pause = min(0.25, self._patience.stall / 4)
                self._changed.wait(pause if until is None else min(pause, until - now))
            self._watch_over()

    @property
    def ended(self) -> bool:
        """No frame will come any more."""
        with self._changed:
            return self._ended and self._waiting is None

    def _watch_over(self) -> None:
        """Tell of a stall, open a stalled source again, give up in the end."""
        with self._changed:
            now = perf_counter()
            silent = now - self._last
            if self._ended or self._waiting is not None or self._rate is not None:
                return
            if self._patience.give_up is not None and silent > self._patience.give_up:
                self._ended = True
                self._worker.stop.set()
                self._error = InputError(
                    f"{self._source.name}: no frame for {silent:.0f} s; gave up waiting"
                )
                return
            tell = not self._quiet and silent > self._patience.stall
            self._quiet = self._quiet or tell
            # A camera that takes long to start is given longer each time.
            longest = self._patience.reopen * 2 ** min(self._tries, 4)
            again = (
                self._source.live
                and now - self._opened > longest
                and silent > longest
                and sum(map(_alive, self._abandoned)) < _MOST_ABANDONED
            )
            if again:
                self._tries += 1
                self._worker.abandoned = True
                self._worker.stop.set()
                self._abandoned = [old for old in self._abandoned if _alive(old)] + [self._worker]
        if tell:
            self._report(f"{self._source.name}: no frame for {silent:.1f} s; waiting")
        if again:
            self._report(
                f"{self._source.name}: still no frame after {silent:.0f} s; opening it again"
            )
            self._start()

    def _start(self) -> None:
        worker = _Worker()
        worker.thread = threading.Thread(
            target=self._work, args=(worker,), name=f"graspling {self._source.name}", daemon=True
        )
        self._worker, self._opened = worker, perf_counter()
        worker.thread.start()

    # ---- the reader's side --------------------------------------------------------------------

    def _work(self, worker: _Worker) -> None:
        pause = self._patience.pause
        while not worker.stop.is_set():
            before = self._last
            with self._changed:
                # a camera that a reader left alone still holds is there, if busy
                held = any(map(_alive, self._abandoned))
            try:
                self._read(worker)
                if not self._source.live:
                    self._finish(worker, None)
                    return
                reason = "it ended"
            except SourceLost as error:
                if not self._ever and not held:
                    self._finish(worker, InputError(f"{self._source.name}: {error}"))
                    return
                reason = str(error)
            except GrasplingError as error:
                self._finish(worker, error)
                return
            except Exception as error:  # whatever it is, the user of the stream must hear of it
                fault = InputError(f"{self._source.name}: {type(error).__name__}: {error}")
                self._finish(worker, fault)
                return
            if worker.stop.is_set():
                return
            pause = self._patience.pause if self._last > before else pause
            self._quiet, self._opened = True, perf_counter() + pause
            self._report(f"{self._source.name}: {reason}; opening it again in {pause:g} s")
            worker.stop.wait(pause)
            pause = min(2 * pause, self._patience.longest_pause)

    def _read(self, worker: _Worker) -> None:
        """Hand over frames until the source ends or nobody wants them any more."""
        frames = self._source.frames()
        begun = due = 0.0
        before: Frame | None = None
        try:
            for number, frame in enumerate(frames):
                if number == 0:  # it came when the source was open, which may take long
                    begun = due = perf_counter()
                if self._rate == "recorded":
                    due += self._gap(before, frame)
                    before = frame
                elif self._rate is not None:
                    due = begun + number / float(self._rate)
                if self._rate is not None:
                    worker.stop.wait(max(0.0, due - perf_counter()))
                if not self._hand_over(worker, frame):
                    return
        finally:
            close = getattr(frames, "close", None)
            if close is not None:
                close()

    def _gap(self, before: Frame | None, frame: Frame) -> float:
        """Seconds to play between two frames by their time stamps."""
        if frame.time is None:
            raise InputError(
                f"{self._source.name}: has no time stamps; give the rate in frames a second"
            )
        if before is None or before.time is None:
            return 0.0
        gap = frame.time - before.time
        if -_LONGEST_GAP <= gap <= _LONGEST_GAP:
            return gap
        if not self._jumped:
            self._jumped = True
            self._report(
                f"{self._source.name}: the time stamps jump by {gap:.3g} s at frame {frame.name}; "
                f"pauses longer than {_LONGEST_GAP:g} s are cut to that, and no other jump is told"
            )
        return _LONGEST_GAP if gap > 0 else 0.0

    def _hand_over(self, worker: _Worker, frame: Frame) -> bool:
        """Put a frame into the buffer; false when this reader is to end."""
        with self._changed:
            while self._waiting is not None and not self.drops and not worker.stop.is_set():
                self._changed.wait(0.5)
            if worker.stop.is_set() or worker.abandoned:
                return False
            now = perf_counter()
            silent = now - self._last
            back, self._quiet = self._quiet, False
            self.dropped += self._waiting is not None
            self._waiting = Arrival(frame, now)
            self._last, self._ever, self._tries = now, True, 0
            self._changed.notify_all()
        if back:
            self._report(f"{self._source.name}: frames again after {silent:.1f} s")
        return True

    def _finish(self, worker: _Worker, error: Exception | None) -> None:
        with self._changed:
            if not worker.abandoned and not worker.stop.is_set():
                self._ended, self._error = True, error
                self._changed.notify_all()


def _alive(worker: _Worker) -> bool:
    return worker.thread is not None and worker.thread.is_alive()
