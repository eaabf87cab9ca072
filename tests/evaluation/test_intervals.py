from __future__ import annotations

import numpy as np
import pytest

from graspling.errors import InputError
from graspling.evaluation.intervals import mean_interval, paired_bootstrap, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # statsmodels.stats.proportion.proportion_confint(..., method="wilson")
    [(50, 59, 0.7348, 0.9176), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (1, 2, 0.0945, 0.9055)],
)
def test_wilson_gives_the_published_numbers(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-4)


def test_wilson_holds_the_score_and_stays_within_0_and_1():
    for n in range(1, 40):
        for successes in range(n + 1):
            low, high = wilson(successes, n)
            assert 0 <= low <= successes / n <= high <= 1


def test_wilson_of_nothing_says_nothing_and_nonsense_is_refused():
    assert wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(InputError):
        wilson(3, 2)


def test_equal_models_differ_by_nothing():
    verdicts = np.random.default_rng(0).random(60) < 0.8
    found = paired_bootstrap(verdicts, verdicts, list(range(60)), repeats=500)
    assert found.difference == 0 and found.interval == (0, 0) and found.p == 1
    assert (found.n, found.n_objects) == (60, 60)


def test_a_clear_gain_is_found_and_turns_its_sign_with_the_order():
    rng = np.random.default_rng(1)
    a, b = rng.random(200) < 0.6, rng.random(200) < 0.9
    objects = [f"o{i // 3}" for i in range(200)]
    found = paired_bootstrap(a, b, objects, repeats=2000)
    back = paired_bootstrap(b, a, objects, repeats=2000)
    assert found.difference == pytest.approx(b.mean() - a.mean())
    assert found.interval[0] > 0 and found.p < 0.01
    assert back.difference == -found.difference and back.interval[1] < 0


def test_images_of_one_object_count_as_one():
    # 100 images, all of two objects: nearly nothing is known, however many images there are.
    a = np.zeros(100, bool)
    b = np.arange(100) < 50
    few = paired_bootstrap(a, b, [i < 50 for i in range(100)], repeats=2000)
    many = paired_bootstrap(a, b, list(range(100)), repeats=2000)
    assert few.p > 0.2 and many.p < 0.01
    assert few.interval[1] - few.interval[0] > 3 * (many.interval[1] - many.interval[0])


def test_few_objects_prove_little():
    one = paired_bootstrap([0, 1, 0, 1, 1], [1, 1, 0, 1, 1], ["a"] * 5, repeats=500)
    assert one.p == 1 and one.interval == (-1, 1)
    # of four objects all are better: a sign test says 0.125 at the best
    four = paired_bootstrap([0.0] * 8, [1.0] * 8, [i // 2 for i in range(8)], repeats=500)
    assert four.p == 0.125
    # those that are alike in both models say nothing of which is better
    alike = paired_bootstrap([0.0] * 8, [1.0] * 2 + [0.0] * 6, [i // 2 for i in range(8)])
    assert alike.p == 1


def test_an_interval_of_few_objects_agrees_with_their_p():
    for objects in range(2, 6):  # all better: no test is below 0.05 yet
        found = paired_bootstrap([0.0] * objects, [1.0] * objects, list(range(objects)), repeats=99)
        assert found.p > 0.05 and found.interval == (0, 1)
    six = paired_bootstrap([0.0] * 6, [1.0] * 6, list(range(6)), repeats=999)
    assert six.p < 0.05 and six.interval == (1, 1)


@pytest.mark.parametrize("objects", [3, 5, 8, 15, 40])
def test_intervals_of_equal_models_hold_0_nearly_always(objects):
    rng = np.random.default_rng(objects)
    outside = below = 0
    for _ in range(200):
        a, b = rng.normal(0.5, 0.1, (2, objects, 4)) + rng.normal(0, 0.1, (2, objects, 1))
        names = np.repeat(np.arange(objects), 4).tolist()
        found = paired_bootstrap(a.ravel(), b.ravel(), names, repeats=300)
        outside += not found.interval[0] <= 0 <= found.interval[1]
        below += found.p < 0.05
    assert outside <= 20 and below <= 20  # 10 expected


def test_the_seed_decides_the_numbers():
    a, b = np.arange(30) % 3 > 0, np.arange(30) % 4 > 0
    runs = [paired_bootstrap(a, b, list(range(30)), repeats=300, seed=s) for s in (5, 5, 6)]
    assert runs[0] == runs[1] != runs[2]


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(InputError):
        paired_bootstrap([1, 0], [1, 0], ["a"])
    with pytest.raises(InputError):
        paired_bootstrap([], [], [])


def test_the_interval_of_a_share_resamples_objects():
    # ten objects of which five always succeed: twenty attempts each say no more than one
    won = [True] * 100 + [False] * 100
    low, high = mean_interval(won, [n // 20 for n in range(200)])
    assert low < 0.25 and high > 0.75
    # objects that are all different say what Wilson says of as many
    won = np.arange(300) % 10 > 0
    assert mean_interval(won, range(300)) == pytest.approx(wilson(270, 300), abs=0.01)
    # nothing to resample
    assert mean_interval([True] * 40, ["a"] * 40) == wilson(40, 40)
    assert mean_interval([True] * 40, range(40)) == wilson(40, 40)


@pytest.mark.parametrize("objects", [2, 3, 5])
def test_the_interval_of_a_share_of_few_objects_knows_no_differences(objects):
    """A test of differences has to hold 0 for so few objects; a share does not."""
    rng = np.random.default_rng(objects)
    won = rng.random(objects * 20) < 0.92
    low, high = mean_interval(won, np.repeat(range(objects), 20).tolist())
    assert 0 <= low <= won.mean() <= high <= 1
    assert low > (0.7 if objects == 5 else 0)


@pytest.mark.parametrize("objects", [8, 40])
def test_the_interval_of_a_share_holds_the_truth_nearly_always(objects):
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(300):
        each = rng.beta(6, 2, size=objects)  # mean 3/4, objects of different difficulty
        won = rng.random((objects, 5)) < each[:, None]
        low, high = mean_interval(won.ravel(), np.repeat(range(objects), 5).tolist(), repeats=500)
        held += low <= 0.75 <= high
    assert 0.91 <= held / 300 <= 0.99


def test_scores_beyond_0_and_1_are_no_shares():
    with pytest.raises(InputError, match="scores from 0 to 92; expected 0 to 1"):
        mean_interval([0, 92], [0, 1])
