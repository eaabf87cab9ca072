"""How sure a score is."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graspling.errors import InputError

Floats = NDArray[np.float64]

_Z95 = 1.959963984540054  # 97.5 % quantile of the normal distribution


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, (low, high) in [0, 1] (Wilson 1927).

    It stays inside [0, 1] and has width even at 0 or n successes; with n = 0 it is (0, 1).

    Raises:
        InputError: not 0 <= successes <= n.
    """
    if not 0 <= successes <= n:
        raise InputError(f"wilson: {successes} successes of {n}, expected 0 to {n}")
    if n == 0:
        return 0.0, 1.0
    share, spread = successes / n, _Z95**2 / n
    middle = (share + spread / 2) / (1 + spread)
    half = _Z95 / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    # Rounding must not push the score itself out of its interval.
    return max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share))


@dataclass(frozen=True)
class Difference:
    """B minus A on the same images.

    Attributes:
        difference: mean of b - a over images.
        interval: 95 % bootstrap interval of it, widened for few objects, as Student's t is; it
            holds 0 where so few objects differ that p cannot be below 0.05, and is (-1, 1), all
            that verdicts can be, with one object.
        p: two-sided bootstrap p-value of "no difference", in (0, 1], never below what exchanging
            the models object by object could reach: 2 / 2^(objects on which they differ).
        n: images.
        n_objects: objects, the unit that is resampled.
    """

    difference: float
    interval: tuple[float, float]
    p: float
    n: int
    n_objects: int


def _student95(freedom: int) -> float:
    """97.5 % quantile of Student's t, by its expansion about the normal one (Abramowitz and Stegun
    26.7.5): to a thousandth from 4 degrees of freedom, a hundredth from 2."""
    z, n = _Z95, max(freedom, 1)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(sum(term / n**i for i, term in enumerate(terms)))


def _within_0_and_1(scores: ArrayLike) -> bool:
    values = np.asarray(scores, dtype=np.float64)
    return bool(values.min() >= 0 and values.max() <= 1)


def check_bootstrap(repeats: int, seed: int) -> None:
    """Raises InputError when :func:`paired_bootstrap` cannot draw so."""
    if repeats < 1:
        raise InputError(f"repeats is {repeats}, expected how many bootstrap samples: 1 or more")
    if seed < 0:
        raise InputError(f"seed is {seed}, expected 0 or more")


def paired_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    objects: Sequence[Hashable],
    *,
    repeats: int = 10_000,
    seed: int = 0,
) -> Difference:
    """Paired bootstrap over objects (images of one object are not independent).

    Args:
        a, b: (N,) scores or verdicts of the two models on the same N images.
        objects: (N,) object of each image; whole objects are drawn with replacement.
        repeats: bootstrap samples.
        seed: of the generator; the same seed gives the same numbers.

    Raises:
        InputError: no images, columns of different lengths, no repeats or a seed below 0.
    """
    gain = np.asarray(b, dtype=np.float64) - np.asarray(a, dtype=np.float64)
    sums, means = _resampled(gain, objects, repeats, seed)
    # Tiny sums of opposite signs must count as 0 on both sides.
    means[np.abs(means) < 1e-12] = 0.0
    low, high = map(float, np.quantile(means, [0.025, 0.975]))
    tail = min(np.count_nonzero(means <= 0), np.count_nonzero(means >= 0))
    # Drawing a few objects again and again finds little that is not among them.
    differing = int(np.count_nonzero(np.abs(sums) > 1e-12))
    least_p = 2.0 ** (1 - differing)
    if len(sums) == 1:
        low, high = -1.0, 1.0
    elif least_p > 0.05:
        low, high = min(low, 0.0), max(high, 0.0)
    if _within_0_and_1(a) and _within_0_and_1(b):
        low, high = max(low, -1.0), min(high, 1.0)
    return Difference(
        difference=float(gain.mean()),
        interval=(low, high),
        p=min(1.0, max(2 * (int(tail) + 1) / (repeats + 1), least_p)),
        n=len(gain),
        n_objects=len(sums),
    )


def mean_interval(
    scores: ArrayLike, objects: Sequence[Hashable], *, repeats: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of the mean of scores in [0, 1], (low, high) in [0, 1], by bootstrap over
    objects, widened for few of them; Wilson's where resampling says nothing (one object, or all
    scores alike).

    Args:
        scores: (N,) verdicts, or in how many runs an image is right.
        objects, repeats, seed: as for :func:`paired_bootstrap`.

    Raises:
        InputError: as :func:`paired_bootstrap`, or a score beyond [0, 1].
    """
    values = np.asarray(scores, dtype=np.float64)
    if len(values) and not _within_0_and_1(values):
        raise InputError(f"scores from {values.min():g} to {values.max():g}; expected 0 to 1")
    _, means = _resampled(values, objects, repeats, seed)
    if len(set(objects)) == 1 or np.ptp(values) == 0:
        return wilson(round(float(values.sum())), len(values))
    low, high = map(float, np.quantile(means, [0.025, 0.975]))
    return max(low, 0.0), min(high, 1.0)


def _resampled(
    values: Floats, objects: Sequence[Hashable], repeats: int, seed: int
) -> tuple[Floats, Floats]:
    """The sum of each object's values, and (repeats,) means over objects drawn anew, spread as few
    objects ask for."""
    check_bootstrap(repeats, seed)
    if values.ndim != 1 or len(values) == 0 or len(values) != len(objects):
        raise InputError(
            f"bootstrap: {values.shape} scores for {len(objects)} images; expected one each"
        )
    names = {name: row for row, name in enumerate(dict.fromkeys(objects))}
    rows = np.array([names[name] for name in objects])
    sums: Floats = np.bincount(rows, weights=values).astype(np.float64)
    sizes = np.bincount(rows).astype(np.float64)
    generator = np.random.default_rng(seed)
    means = np.empty(repeats)
    # Percentiles of few objects are too narrow: "expanded" ones (Hesterberg 2015, section 4.5.1).
    wider = _student95(len(sums) - 1) / _Z95 * math.sqrt(len(sums) / max(len(sums) - 1, 1))
    for start in range(0, repeats, 1000):  # in blocks: memory stays small with many objects
        drawn = generator.integers(0, len(sums), size=(min(1000, repeats - start), len(sums)))
        means[start : start + len(drawn)] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    means += (wider - 1) * (means - values.mean())
    return sums, means
