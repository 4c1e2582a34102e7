"""The power of samples of a size: by the noncentral t, two-sided (Cohen 1988, chapter 2)."""

from bisect import bisect_left
from math import isfinite, sqrt
from typing import Final

from scipy.optimize import brentq
from scipy.stats import nct
from scipy.stats import t as student

ALPHA: Final = 0.05
POWER: Final = 0.8
# Beyond that, no experiment of sessions is planned, and the series do not end.
MOST: Final = 10_000_000
_MOST_EFFECT: Final = 50.0


def power(d: float, n: int, m: int) -> float:
    """Return how often a t test of n against m values finds an effect of d standard deviations."""
    df = n + m - 2
    centre = abs(d) * sqrt(n * m / (n + m))
    beyond = float(student.ppf(1 - ALPHA / 2, df))
    share = float(nct.sf(beyond, df, centre) + nct.cdf(-beyond, df, centre))
    # Far out the library's series gives NaN, where the power is 1 to all digits.
    return share if isfinite(share) else float(centre > beyond)


def smallest_effect(n: int, m: int) -> float | None:
    """Return the smallest effect that samples of these sizes find with a power of 0.8.

    None where either has less than two values, or it would be above 50.
    """
    if n < 2 or m < 2 or power(_MOST_EFFECT, n, m) < POWER:
        return None
    return float(brentq(lambda d: power(d, n, m) - POWER, 0.0, _MOST_EFFECT))


def needed(d: float, target: float = POWER) -> int | None:
    """Return how many values each of two samples needs to find an effect of d with that power.

    None for no effect, or where it would be above 10,000,000.
    """
    if d == 0 or power(d, MOST, MOST) < target:
        return None
    sizes = range(2, MOST)
    return 2 + bisect_left(sizes, True, key=lambda n: power(d, n, n) >= target)
