"""Two samples whose values belong together, as the same task done with two set-ups."""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from scipy import stats

from khive_persist.analytics.compare.statistics.interval import LEVEL, Interval
from khive_persist.analytics.compare.statistics.moments import moments
from khive_persist.analytics.compare.statistics.results import PairedT, Sign, Wilcoxon

_EXACT_BELOW = 50


def paired_t(
    first: Sequence[float], second: Sequence[float], level: float = LEVEL
) -> PairedT | None:
    """Return the paired test; None under two pairs, or where all differences are the same.

    As in R, differences that only rounding parts are the same.
    """
    n, mean, variance = moments(np.asarray(second, dtype=float) - np.asarray(first, dtype=float))
    if not variance:
        return None
    sd = sqrt(variance)
    error = sd / sqrt(n)
    t = mean / error
    wide = float(stats.t.ppf((1 + level) / 2, n - 1)) * error
    interval = Interval(mean - wide, mean + wide, level)
    return PairedT(t, n - 1, 2 * float(stats.t.sf(abs(t), n - 1)), mean, interval, mean / sd)


def wilcoxon(first: Sequence[float], second: Sequence[float]) -> Wilcoxon | None:
    """Return the signed-rank test; None where no pair differs."""
    differences = np.asarray(second, dtype=float) - np.asarray(first, dtype=float)
    differing = differences[differences != 0]
    if len(differing) == 0:
        return None
    sizes = np.abs(differing)
    is_exact = len(differing) == len(differences) < _EXACT_BELOW and len(np.unique(sizes)) == len(
        sizes
    )
    v = float(stats.rankdata(sizes)[differing > 0].sum())
    exact = stats.wilcoxon(differing, method="exact").pvalue if is_exact else None
    p = float(exact) if exact is not None else _normal_p(v, sizes)
    return Wilcoxon(v, p, len(differing), is_exact)


def sign(first: Sequence[float], second: Sequence[float]) -> Sign | None:
    """Return the sign test; None where no pair differs."""
    differences = np.asarray(second, dtype=float) - np.asarray(first, dtype=float)
    higher, lower = int((differences > 0).sum()), int((differences < 0).sum())
    if not higher + lower:
        return None
    p = float(stats.binomtest(higher, higher + lower).pvalue)
    return Sign(higher, lower, p, float(differences.mean()))


def _normal_p(v: float, sizes: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    n = len(sizes)
    _, ties = np.unique(sizes, return_counts=True)
    variance = n * (n + 1) * (2 * n + 1) / 24 - float((ties**3 - ties).sum()) / 48
    distance = v - n * (n + 1) / 4
    # Half a rank towards the middle: a sum of ranks has steps, and the normal has none.
    distance -= float(np.sign(distance)) / 2
    return float(min(1.0, 2 * stats.norm.sf(abs(distance) / np.sqrt(variance))))
