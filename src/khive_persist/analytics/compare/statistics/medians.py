"""The difference of two medians, with the bootstrap's BCa interval.

Efron 1987, "Better bootstrap confidence intervals", J. Amer. Stat. Assoc. 82; for two samples,
Davison and Hinkley 1997, Bootstrap Methods and Their Application, section 5.4. The jackknife's
values are taken about their mean (Efron and Tibshirani 1993, equation 14.15), and not about the
whole sample's as R's `boot` does.

To draw n values from a sample and take their median is to draw the order statistics in the midst of
n uniform numbers, which have a beta distribution, and to look up the values of these ranks. So a
resample costs two random numbers, whatever the size of the sample, and a million values are no more
work than ten. The leave-one-out medians have two or three values, and give the acceleration.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from scipy.stats import norm

from khive_persist.analytics.compare.statistics.interval import LEVEL, Interval
from khive_persist.analytics.compare.statistics.results import MedianDifference

RESAMPLES: Final = 9_999
# The same data give the same interval.
_SEED: Final = 20_261_121

Array = np.ndarray[tuple[int], np.dtype[np.float64]]


def median_difference(
    first: Sequence[float], second: Sequence[float], level: float = LEVEL
) -> MedianDifference | None:
    """Return the difference and its interval; None with less than two values in either."""
    a, b = (np.sort(np.asarray(values, dtype=float)) for values in (first, second))
    if len(a) < 2 or len(b) < 2:
        return None
    difference = float(np.median(b) - np.median(a))
    random = np.random.default_rng(_SEED)
    differences = _resampled(b, random) - _resampled(a, random)
    if differences.min() == differences.max():
        return MedianDifference(difference, None)
    # Resamples that are equal to the sample count a half, as with few different values they do.
    below = (
        np.count_nonzero(differences < difference) + np.count_nonzero(differences == difference) / 2
    ) / (len(differences))
    if not 0 < below < 1:
        return MedianDifference(difference, None)
    bias = float(norm.ppf(below))
    acceleration = _acceleration(a, b)
    tails = norm.ppf([(1 - level) / 2, (1 + level) / 2])
    shifted = bias + (bias + tails) / (1 - acceleration * (bias + tails))
    low, high = np.quantile(differences, norm.cdf(shifted))
    return MedianDifference(difference, Interval(float(low), float(high), level))


def _resampled(ordered: Array, random: np.random.Generator) -> Array:
    """Return medians of resamples of a sample that is in order."""
    n = len(ordered)
    middle = n // 2
    if n % 2:
        ranks = random.beta(middle + 1, middle + 1, RESAMPLES)
        return np.asarray(ordered[_index(ranks, n)])
    # The half-th smallest of n uniform numbers, and the next one: the least of those above it.
    lower = random.beta(middle, middle + 1, RESAMPLES)
    upper = 1 - (1 - lower) * random.beta(middle, 1, RESAMPLES)
    return np.asarray((ordered[_index(lower, n)] + ordered[_index(upper, n)]) / 2)


def _index(ranks: Any, n: int) -> Any:
    return np.minimum((ranks * n).astype(int), n - 1)


def _acceleration(a: Array, b: Array) -> float:
    """From the jackknife of both samples; the first one's values count against the difference."""
    cubes = squares = 0.0
    for ordered, sign in ((a, -1.0), (b, 1.0)):
        n = len(ordered)
        medians, counts = _left_out(ordered)
        mean = float(medians @ counts) / n
        influence = sign * (n - 1) * (mean - medians)
        cubes += float(influence**3 @ counts) / n**3
        squares += float(influence**2 @ counts) / n**2
    return cubes / (6 * squares**1.5) if squares > 0 else 0.0


def _left_out(ordered: Array) -> tuple[Array, Array]:
    """Return the medians of a sample without each of its values, and how often each occurs."""
    n, centre = len(ordered), len(ordered) // 2
    if n % 2 == 0:
        return np.array([ordered[centre], ordered[centre - 1]]), np.array([centre, n - centre])
    low, middle, high = ordered[centre - 1], ordered[centre], ordered[centre + 1]
    medians = np.array([(middle + high) / 2, (low + high) / 2, (low + middle) / 2])
    return medians, np.array([centre, 1, centre])
