"""Sources that stall, die and come back, and users that are slow."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from graspling.errors import InputError
from graspling.sources.base import Frame, Source, SourceLost
from graspling.sources.stream import Patience, Stream

QUICK = Patience(stall=0.05, reopen=0.2, pause=0.01, longest_pause=0.04)


class Scripted(Source):
    """Each opening runs the next script (the last one again and again)."""

    def __init__(self, *scripts: Callable[[], Iterator[Frame]], live: bool = True) -> None:
        self.name, self.live = "fake", live
        self.scripts, self.opened, self.closed = scripts, 0, 0

    def frames(self) -> Iterator[Frame]:
        script = self.scripts[min(self.opened, len(self.scripts) - 1)]
        self.opened += 1
        try:
            yield from script()
        finally:
            self.closed += 1


def numbered(count: int, pause: float = 0.0, start: int = 0, clock: float | None = None):
    def script() -> Iterator[Frame]:
        for number in range(start, start + count):
            if pause:
                time.sleep(pause)
            yield Frame(str(number), time=None if clock is None else number * clock)

    return script


def forever(pause: float = 0.002) -> Iterator[Frame]:
    number = 0
    while True:
        time.sleep(pause)
        yield Frame(str(number))
        number += 1


def lost(reason: str = "unplugged"):
    def script() -> Iterator[Frame]:
        raise SourceLost(reason)
        yield

    return script


def names(stream: Stream, count: int) -> list[str]:
    found = []
    for arrival in stream:
        found.append(arrival.frame.name)
        if len(found) == count:
            break
    return found


def no_thread_is_left() -> bool:
    for _ in range(200):
        if not any(t.name.startswith("graspling") for t in threading.enumerate()):
            return True
        time.sleep(0.01)
    return False


@pytest.fixture(autouse=True)
def threads_end() -> Iterator[None]:
    yield
    assert no_thread_is_left()


# ---- recordings -------------------------------------------------------------------------------


def test_a_recording_is_given_whole_and_in_order_to_a_slow_user():
    source = Scripted(numbered(12), live=False)
    found = []
    with Stream(source) as stream:
        for arrival in stream:
            time.sleep(0.005)
            found.append(int(arrival.frame.name))
        assert stream.ended
    assert found == list(range(12))
    assert stream.dropped == 0 and source.closed == 1


def test_a_recording_can_be_played_like_a_camera():
    source = Scripted(numbered(40), live=False)
    with Stream(source, rate=1000) as stream:
        found = []
        for arrival in stream:
            time.sleep(0.01)
            found.append(int(arrival.frame.name))
    assert found == sorted(found) and found[-1] == 39  # the newest is always there
    assert len(found) + stream.dropped == 40
    assert stream.dropped > 5


def test_the_recorded_rate_is_that_of_the_time_stamps():
    begun = time.perf_counter()
    with Stream(Scripted(numbered(6, clock=0.02), live=False), rate="recorded") as stream:
        assert [arrival.frame.name for arrival in stream][-1] == "5"
    assert time.perf_counter() - begun >= 0.1
    with (
        pytest.raises(InputError, match="no time stamps"),
        Stream(Scripted(numbered(3), live=False), rate="recorded") as stream,
    ):
        list(stream)


@pytest.mark.parametrize("rate", [10, "recorded"])
def test_a_recording_that_opens_slowly_is_played_from_its_first_frame_on(rate: float | str):
    ready = []

    def slow() -> Iterator[Frame]:
        time.sleep(0.4)
        ready.append(time.perf_counter())
        yield from numbered(4, clock=0.1)()

    with Stream(Scripted(slow, live=False), rate=rate) as stream:
        last = list(stream)[-1]
    assert last.frame.name == "3" and last.received - ready[0] >= 0.3


def test_a_clock_that_was_set_while_recording_stops_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("graspling.sources.stream._LONGEST_GAP", 0.05)

    def script() -> Iterator[Frame]:
        for number, stamp in enumerate((0.0, 1.7e9, 1.7e9 + 0.01, 3.0, 3.01, math.nan, 9.0)):
            yield Frame(str(number), time=stamp)

    told: list[str] = []
    begun = time.perf_counter()
    with Stream(Scripted(script, live=False), rate="recorded", report=told.append) as stream:
        found = [arrival.frame.name for arrival in stream]
    assert found[-1] == "6" and time.perf_counter() - begun >= 0.06
    assert len(told) == 1 and "the time stamps jump by 1.7e+09 s at frame 1" in told[0]


def test_what_cannot_be_read_is_told_to_the_user():
    def broken() -> Iterator[Frame]:
        yield Frame("0")
        raise InputError("the file is cut off")

    def faulty() -> Iterator[Frame]:
        yield Frame("0")
        raise ZeroDivisionError("oh")

    for script, message in ((broken, "cut off"), (faulty, "ZeroDivisionError: oh")):
        with (
            Stream(Scripted(script, live=False)) as stream,
            pytest.raises(InputError, match=message),
        ):
            list(stream)


# ---- live sources -----------------------------------------------------------------------------


def test_a_slow_user_gets_the_newest_frame_and_the_rest_is_dropped():
    ready = threading.Semaphore(0)

    def on_demand() -> Iterator[Frame]:
        number = 0
        while ready.acquire(timeout=20):
            yield Frame(str(number))
            number += 1

    with Stream(Scripted(on_demand)) as stream:
        newest = -1
        for burst in (1, 7, 2, 30):
            dropped = stream.dropped + burst - 1
            ready.release(burst)
            newest += burst
            while stream.dropped < dropped:
                time.sleep(0.001)
            while (arrival := stream.take(timeout=1)) is None:
                pass
            # of a burst of one it is not known yet whether it has come; of others it was the last
            assert arrival.frame.name == str(newest)
            assert stream.take(timeout=0) is None
        assert stream.dropped == 6 + 1 + 29
        ready.release()


def test_a_camera_that_dies_is_opened_again_with_growing_pauses():
    lines: list[str] = []
    source = Scripted(
        numbered(2), lost(), lost(), lost("still away"), numbered(2, start=10), forever
    )
    with Stream(source, patience=QUICK, report=lines.append) as stream:
        seen = names(stream, 4)
    assert seen[-1] in ("11", "0", "1", "2") and source.opened >= 5
    pauses = [line.split("opening it again in ")[1] for line in lines if "opening" in line]
    assert pauses[:4] == ["0.01 s", "0.02 s", "0.04 s", "0.04 s"]
    assert any("still away" in line for line in lines)
    assert any("frames again after" in line for line in lines)
    assert all("\n" not in line and line.startswith("fake: ") for line in lines)


def test_a_stall_is_told_once_and_so_is_its_end():
    lines: list[str] = []

    def stalls() -> Iterator[Frame]:
        yield Frame("0")
        time.sleep(0.7)
        yield Frame("1")
        time.sleep(0.01)  # until the line is told
        yield Frame("2")

    patience = Patience(stall=0.25, reopen=60, pause=60)
    with Stream(Scripted(stalls), patience=patience, report=lines.append) as stream:
        names(stream, 2)
        stream.take(timeout=0.1)
    lines = [line for line in lines if "opening" not in line]
    assert ["waiting" in line for line in lines] == [True, False]
    assert "frames again after" in lines[1]


def test_a_read_that_never_comes_back_is_abandoned():
    release = threading.Event()

    def hangs() -> Iterator[Frame]:
        yield Frame("first")
        release.wait(20)
        yield Frame("late")

    lines: list[str] = []
    source = Scripted(hangs, forever)
    with Stream(source, patience=QUICK, report=lines.append) as stream:
        assert names(stream, 2) == ["first", "0"]
        release.set()
        assert "late" not in names(stream, 5)
    assert any("opening it again" in line for line in lines)
    assert no_thread_is_left() and source.closed == 2


def test_waiting_readers_do_not_pile_up():
    release = threading.Event()

    def hangs() -> Iterator[Frame]:
        release.wait(20)
        yield Frame("late")

    patience = Patience(stall=0.01, reopen=0.02)
    source = Scripted(hangs)
    with Stream(source, patience=patience) as stream:
        assert stream.take(timeout=0.6) is None and not stream.ended
        assert source.opened <= 4
        release.set()


def test_a_camera_that_starts_slowly_is_not_taken_for_one_that_is_not_there():
    """The reader that was left alone still holds it, and a second opening finds it busy."""
    busy = threading.Lock()

    def slow() -> Iterator[Frame]:
        if not busy.acquire(blocking=False):
            raise SourceLost("device or resource busy")
        try:
            time.sleep(0.5)
            yield from forever()
        finally:
            busy.release()

    lines: list[str] = []
    patience = Patience(stall=0.05, reopen=0.2, pause=0.02, longest_pause=0.1)
    with Stream(Scripted(slow), patience=patience, report=lines.append) as stream:
        assert stream.take(timeout=10) is not None
    assert any("busy; opening it again" in line for line in lines)


def test_a_camera_that_is_not_there_at_first_is_an_error_at_once():
    with (
        Stream(Scripted(lost("No device connected"))) as stream,
        pytest.raises(InputError, match="fake: No device connected"),
    ):
        stream.take()


def test_in_the_end_it_gives_up_if_it_is_told_so():
    patience = Patience(stall=0.02, reopen=60, pause=0.01, give_up=0.1)
    source = Scripted(numbered(1), lost())
    with Stream(source, patience=patience) as stream:
        assert stream.take() is not None
        with pytest.raises(InputError, match="gave up"):
            stream.take()


def test_ctrl_c_ends_the_thread():
    source = Scripted(forever)
    with pytest.raises(KeyboardInterrupt), Stream(source, patience=QUICK) as stream:
        for _ in stream:
            raise KeyboardInterrupt
    assert no_thread_is_left() and source.closed == source.opened == 1


def test_wrong_settings_are_refused():
    with pytest.raises(InputError, match="live"):
        Stream(Scripted(forever), rate=10)
    for rate in (0, -1, float("nan"), "fast"):
        with pytest.raises(InputError, match="rate"):
            Stream(Scripted(numbered(1), live=False), rate=rate)
    with pytest.raises(InputError, match="above 0"):
        Patience(stall=0)
