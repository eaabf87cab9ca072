"""Colour and depth of one moment, matched by their time stamps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from graspling.errors import InputError

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Match(Generic[A, B]):
    """Two things of one moment; ``time`` is that of the first, seconds."""

    time: float
    first: A
    second: B


class Matcher(Generic[A, B]):
    """Pairs the things of two streams, each in the order of its time stamps.

    Each of the first stream gets the one of the second that is nearest in time, if that is near
    enough and was not given to an earlier one. Matches come out in order of time, as soon as
    nothing nearer can come, and do not depend on how the two streams are interleaved (as long as
    none runs ahead by more than ``most``).

    Args:
        slop: largest difference of the time stamps, seconds.
        most: of each stream at most so many wait for their match; the oldest is let go.

    Attributes:
        unmatched: how many of the first stream found no match.
    """

    def __init__(self, slop: float, most: int = 60) -> None:
        if not slop >= 0:
            raise InputError(f"slop is {slop}, expected seconds from 0")
        self._slop, self._most = slop, most
        self._first: deque[tuple[float, A]] = deque()
        self._second: deque[tuple[float, B]] = deque()
        self.unmatched = 0

    def add_first(self, time: float, thing: A) -> list[Match[A, B]]:
        """One of the first stream; gives what is matched now."""
        if self._first and time < self._first[-1][0]:
            self._start_again()
        self._first.append((time, thing))
        if len(self._first) > self._most:
            self._first.popleft()
            self.unmatched += 1
        return list(self._matched(last=False))

    def add_second(self, time: float, thing: B) -> list[Match[A, B]]:
        """One of the second stream; gives what is matched now."""
        if self._second and time < self._second[-1][0]:
            self._start_again()
        self._second.append((time, thing))
        if len(self._second) > self._most:
            self._second.popleft()
        return list(self._matched(last=False))

    def finish(self) -> list[Match[A, B]]:
        """The streams ended: what can still be matched."""
        matched = list(self._matched(last=True))
        self.unmatched += len(self._first)
        self._first.clear()
        self._second.clear()
        return matched

    def _start_again(self) -> None:
        """The clock was set back (a recording that starts over): the past is of no use."""
        self.unmatched += len(self._first)
        self._first.clear()
        self._second.clear()

    def _matched(self, *, last: bool) -> Iterator[Match[A, B]]:
        while self._first and self._second:
            time, thing = self._first[0]
            if not last and self._second[-1][0] < time:
                return  # a nearer one may still come
            place, gap = min(
                ((i, abs(t - time)) for i, (t, _) in enumerate(self._second)), key=lambda x: x[1]
            )
            self._first.popleft()
            if gap > self._slop:
                self.unmatched += 1
                continue
            second = self._second[place][1]
            for _ in range(place + 1):
                self._second.popleft()
            yield Match(time, thing, second)
