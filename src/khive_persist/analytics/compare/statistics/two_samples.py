"""Two independent samples: how far apart they are, and whether chance alone would do that."""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from scipy import stats

from khive_persist.analytics.compare.statistics.interval import LEVEL, Interval
from khive_persist.analytics.compare.statistics.moments import is_rounding, moments, satterthwaite
from khive_persist.analytics.compare.statistics.results import MannWhitney, Welch

# R takes the exact distribution below this in both samples, if there is no tie.
_EXACT_BELOW = 50


def welch(first: Sequence[float], second: Sequence[float], level: float = LEVEL) -> Welch | None:
    """Welch's test; None with less than two values in either, or without any spread in both.

    As in R, a spread of which the values' rounding could be the cause is none.
    """
    a, b = moments(first), moments(second)
    if a.n < 2 or b.n < 2:
        return None
    error = sqrt(a.error + b.error)
    if is_rounding(error, a.mean, b.mean):
        return None
    df = satterthwaite(a, b)
    difference = b.mean - a.mean
    t = difference / error
    wide = float(stats.t.ppf((1 + level) / 2, df)) * error
    interval = Interval(difference - wide, difference + wide, level)
    return Welch(t, df, 2 * float(stats.t.sf(abs(t), df)), difference, interval)


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> MannWhitney | None:
    """Return the U test; None without values in either, or where all values are the same."""
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if len(a) == 0 or len(b) == 0:
        return None
    pooled = np.concatenate((a, b))
    if pooled.min() == pooled.max():
        return None
    is_exact = max(len(a), len(b)) < _EXACT_BELOW and len(np.unique(pooled)) == len(pooled)
    test = stats.mannwhitneyu(b, a, method="exact" if is_exact else "asymptotic")
    u = float(test.statistic)
    return MannWhitney(u, float(test.pvalue), u / (len(a) * len(b)), is_exact)
