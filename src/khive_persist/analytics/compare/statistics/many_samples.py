"""More than two samples: are their means one, and which pairs differ.

Welch's analysis of variance weighs a sample by the inverse of its variance, which one without any
spread does not have; Brown and Forsythe's weighs it by its size alone.
"""

from collections.abc import Sequence
from itertools import combinations
from math import exp, log, sqrt
from typing import Final

import numpy as np
from scipy import optimize, stats

from khive_persist.analytics.compare.statistics.interval import LEVEL, Interval
from khive_persist.analytics.compare.statistics.moments import (
    Moments,
    is_rounding,
    moments,
    satterthwaite,
)
from khive_persist.analytics.compare.statistics.results import BrownForsytheAnova, Pair, WelchAnova

# The pairs of more samples than these are too many to look at, and take minutes.
MOST_PAIRED: Final = 20
# Of the logarithm of a quantile; the last step of a secant is as good as the square of it.
_TOLERANCE: Final = 1e-7


def welch_anova(samples: Sequence[Sequence[float]]) -> WelchAnova | None:
    """Welch's test; None under two samples, or where one has under two values or no spread."""
    sample_moments = [moments(sample) for sample in samples]
    if len(sample_moments) < 2 or not all(sample.variance for sample in sample_moments):
        return None
    k = len(sample_moments)
    weights = np.array([1 / sample.error for sample in sample_moments])
    means = np.array([sample.mean for sample in sample_moments])
    sizes = np.array([sample.n for sample in sample_moments])
    total = weights.sum()
    grand = float(weights @ means / total)
    between = float(weights @ (means - grand) ** 2) / (k - 1)
    spread = float((((1 - weights / total) ** 2) / (sizes - 1)).sum())
    f = between / (1 + 2 * (k - 2) / (k**2 - 1) * spread)
    df = (k**2 - 1) / (3 * spread)
    return WelchAnova(f, k - 1, df, float(stats.f.sf(f, k - 1, df)))


def brown_forsythe_anova(samples: Sequence[Sequence[float]]) -> BrownForsytheAnova | None:
    """Brown and Forsythe's test; None under two samples, with under two values, or no spread."""
    sample_moments = [moments(sample) for sample in samples]
    if len(sample_moments) < 2 or any(sample.n < 2 for sample in sample_moments):
        return None
    sizes = np.array([sample.n for sample in sample_moments])
    means = np.array([sample.mean for sample in sample_moments])
    shares = (1 - sizes / sizes.sum()) * np.array([sample.variance for sample in sample_moments])
    within = float(shares.sum())
    if is_rounding(sqrt(within / sizes.sum()), *means):
        return None
    grand = float(sizes @ means / sizes.sum())
    f = float(sizes @ (means - grand) ** 2) / within
    df = within**2 / float((shares**2 / (sizes - 1)).sum())
    k = len(sample_moments)
    return BrownForsytheAnova(f, k - 1, df, float(stats.f.sf(f, k - 1, df)))


def games_howell(samples: Sequence[Sequence[float]], level: float = LEVEL) -> list[Pair] | None:
    """Return each pair of samples of which one has a spread; None for none, or over 20 samples."""
    sample_moments = [moments(sample) for sample in samples]
    if len(samples) > MOST_PAIRED or any(sample.n < 2 for sample in sample_moments):
        return None
    pairs = (
        _pair(i, j, sample_moments, level) for i, j in combinations(range(len(sample_moments)), 2)
    )
    return [pair for pair in pairs if pair is not None] or None


def _pair(first: int, second: int, sample_moments: list[Moments], level: float) -> Pair | None:
    a, b, count = sample_moments[first], sample_moments[second], len(sample_moments)
    error = sqrt(a.error + b.error)
    if is_rounding(error, a.mean, b.mean):
        return None
    difference, df = b.mean - a.mean, satterthwaite(a, b)
    t = difference / error
    p = float(stats.studentized_range.sf(abs(t) * sqrt(2), count, df))
    # Its integral ends a little beyond 0 and 1.
    p = min(1.0, max(0.0, p))
    wide = _studentized_range_quantile(level, count, df) / sqrt(2) * error
    interval = Interval(difference - wide, difference + wide, level)
    return Pair(first, second, difference, interval, t, df, p)


def _studentized_range_quantile(level: float, count: int, df: float) -> float:
    """Return `stats.studentized_range.ppf(level, count, df)`, in a quarter of its integrals."""
    pairs = count * (count - 1) / 2
    # Sidak's bound is near, and beyond it the logarithms of quantile and tail make almost a line.
    bound = log(sqrt(2) * float(stats.t.isf((1 - level ** (1 / pairs)) / 2, df)))

    def excess(logarithm: float) -> float:
        tail = float(stats.studentized_range.sf(exp(logarithm), count, df))
        return log(tail / (1 - level))

    root = optimize.root_scalar(excess, method="secant", x0=bound - 0.02, x1=bound, xtol=_TOLERANCE)
    return exp(root.root)
