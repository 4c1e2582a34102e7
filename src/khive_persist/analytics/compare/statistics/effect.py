"""The size of a difference in standard deviations: Cohen's d and Hedges' g.

Sources: Cohen 1988, Statistical Power Analysis for the Behavioral Sciences, p. 67 (pooled standard
deviation); Hedges 1981, "Distribution theory for Glass's estimator of effect size", J. Educ. Stat.
6 (the exact correction, by the gamma function); Steiger and Fouladi 1997, "Noncentrality interval
estimation and the evaluation of statistical models" (the interval, by the noncentral t).
"""

from collections.abc import Sequence
from math import exp, gamma, isfinite, lgamma, sqrt
from typing import Final

from scipy.optimize import brentq
from scipy.stats import chi2, nct

from khive_persist.analytics.compare.statistics.interval import LEVEL, Interval
from khive_persist.analytics.compare.statistics.moments import is_rounding, moments
from khive_persist.analytics.compare.statistics.results import Effect

# From there on gamma() overflows, and the logarithms are exact to a float's last digits.
_LARGE: Final = 100
# From there on the library's series fails, and only the standard deviation's chi-square varies.
_FAR: Final = 10_000.0


def effect(first: Sequence[float], second: Sequence[float], level: float = LEVEL) -> Effect | None:
    """Return the effect; None with less than two values in either, or without any spread."""
    a, b = moments(first), moments(second)
    if a.n < 2 or b.n < 2 or is_rounding(sqrt(a.error + b.error), a.mean, b.mean):
        return None
    df = a.n + b.n - 2
    pooled = sqrt(((a.n - 1) * a.variance + (b.n - 1) * b.variance) / df)
    d = (b.mean - a.mean) / pooled
    scale = sqrt(1 / a.n + 1 / b.n)
    low, high = noncentrality(d / scale, df, level)
    interval = Interval(low * scale, high * scale, level)
    j = correction(df)
    return Effect(d, interval, d * j, Interval(interval.low * j, interval.high * j, level))


def correction(df: int) -> float:
    """Hedges' J: the mean of a sample's d is the true one divided by this."""
    if df < _LARGE:
        return gamma(df / 2) / (sqrt(df / 2) * gamma((df - 1) / 2)) if df > 1 else 0.0
    return exp(lgamma(df / 2) - lgamma((df - 1) / 2)) / sqrt(df / 2)


def noncentrality(t: float, df: float, level: float = LEVEL) -> tuple[float, float]:
    """Return the noncentralities that leave half of 1 - level of samples beyond a t so far out."""
    tail = (1 - level) / 2
    if abs(t) > _FAR:
        low, high = sorted(t * sqrt(float(chi2.ppf(share, df)) / df) for share in (tail, 1 - tail))
        return low, high
    return _solved(t, df, 1 - tail), _solved(t, df, tail)


def _solved(t: float, df: float, share: float) -> float:
    def distance(noncentral: float) -> float:
        below = float(nct.cdf(t, df, noncentral))
        # Far out the library's series gives NaN, where the share is 0 or 1 to all digits.
        return (below if isfinite(below) else float(noncentral < t)) - share

    width = 4.0
    while distance(t - width) < 0 or distance(t + width) > 0:
        width *= 2
    return float(brentq(distance, t - width, t + width, xtol=1e-12, rtol=1e-14))
