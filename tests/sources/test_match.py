from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graspling.errors import InputError
from graspling.sources.match import Matcher

Times = list[float]


def run(events: list[tuple[str, float]], slop: float) -> tuple[list[tuple[float, float]], int]:
    matcher: Matcher[float, float] = Matcher(slop)
    found = []
    for which, time in events:
        add = matcher.add_first if which == "a" else matcher.add_second
        found += add(time, time)
    found += matcher.finish()
    return [(match.first, match.second) for match in found], matcher.unmatched


def merged(a: Times, b: Times, delay: float) -> list[tuple[str, float]]:
    """Both streams in the order in which they arrive, the second one later by ``delay``."""
    events = [(time, "a") for time in a] + [(time + delay, "b") for time in b]
    shift = {"a": 0.0, "b": delay}
    return [(which, round(time - shift[which], 6)) for time, which in sorted(events)]


times = st.lists(st.integers(0, 400), min_size=0, max_size=40, unique=True).map(
    lambda counts: [count / 100 for count in sorted(counts)]
)


@given(times, times, st.sampled_from([0.0, 0.05, 0.5, -0.5]), st.sampled_from([0.0, 0.02, 0.1]))
def test_pairs_are_near_ordered_and_used_once(a, b, delay, slop):
    pairs, unmatched = run(merged(a, b, delay), slop)
    assert all(abs(x - y) <= slop + 1e-9 for x, y in pairs)
    for column in zip(*pairs, strict=True):
        assert list(column) == sorted(set(column))
    assert len(pairs) + unmatched == len(a)


@given(times, times)
def test_the_interleaving_does_not_matter(a, b):
    answers = [run(merged(a, b, delay), 0.05) for delay in (0.0, 0.3, -0.3, 10.0, -10.0)]
    assert all(answer == answers[0] for answer in answers)


def test_the_nearest_is_taken_although_one_is_near_enough_before():
    pairs, _ = run([("a", 1.0), ("b", 0.985), ("b", 1.001), ("b", 1.03)], 0.02)
    assert pairs == [(1.0, 1.001)]


def test_the_rate_of_the_slower_stream_counts():
    colour = [round(i / 30, 6) for i in range(30)]
    depth = [round(i / 15 + 0.004, 6) for i in range(15)]
    pairs, unmatched = run(merged(colour, depth, 0.01), 0.01)
    assert len(pairs) == 15 and unmatched == 15


def test_without_a_partner_memory_is_bounded():
    matcher: Matcher[int, int] = Matcher(0.1, most=10)
    for number in range(100):
        assert matcher.add_first(number, number) == []
    assert matcher.unmatched == 90
    assert [m.first for m in matcher.add_second(95.05, 0)] == [95]


def test_a_clock_that_is_set_back_starts_again():
    pairs, _ = run([("a", 5.0), ("b", 5.0), ("a", 6.0), ("a", 1.0), ("b", 1.0), ("b", 2.0)], 0.1)
    assert pairs == [(5.0, 5.0), (1.0, 1.0)]


def test_a_negative_slop_is_refused():
    with pytest.raises(InputError, match="slop"):
        Matcher(-1)
