"""The size, mean and variance of a sample, which is all that the t tests ask of it."""

from collections.abc import Sequence
from math import sqrt
from typing import Final, NamedTuple

import numpy as np

# What is less, of the size of a mean, is what rounding leaves: R's t.test has the same limit.
_ROUNDING: Final = 10 * float(np.finfo(float).eps)


class Moments(NamedTuple):
    """The size, mean and variance of a sample; the mean is 0 without a value.

    The variance, with n - 1 below, is 0 under two values, and where only rounding parts them.
    """

    n: int
    mean: float
    variance: float

    @property
    def error(self) -> float:
        """Return the variance of the mean."""
        return self.variance / self.n


def moments(values: Sequence[float]) -> Moments:
    """Return the moments of a sample."""
    sample = np.asarray(values, dtype=float)
    if len(sample) == 0:
        return Moments(0, 0.0, 0.0)
    mean = float(sample.mean())
    variance = float(sample.var(ddof=1)) if len(sample) > 1 else 0.0
    if is_rounding(sqrt(variance / len(sample)), mean):
        variance = 0.0
    return Moments(len(sample), mean, variance)


def is_rounding(error: float, *means: float) -> bool:
    """Return whether a standard error is no more than rounding leaves of values so large."""
    return not error or error < _ROUNDING * max(map(abs, means))


def satterthwaite(first: Moments, second: Moments) -> float:
    """Return the degrees of freedom of a difference of means (Satterthwaite 1946, Biometrics 2)."""
    a, b = first.error, second.error
    return (a + b) ** 2 / (a**2 / (first.n - 1) + b**2 / (second.n - 1))
