"""The size, mean and variance of a sample, which is all that the t tests ask of it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """Of a sample.

    Attributes:
        n: Its size.
        mean: 0 without a value.
        variance: With n - 1 below; 0 under two values.
    """

    n: int
    mean: float
    variance: float

    @property
    def error(self) -> float:
        """The variance of the mean."""
        return self.variance / self.n


def moments(values: Sequence[float]) -> Moments:
    """Those of a sample."""
    sample = np.asarray(values, dtype=float)
    if len(sample) == 0:
        return Moments(0, 0.0, 0.0)
    # Of values that are all the same, rounding may leave a spread.
    varies = len(sample) > 1 and sample.min() < sample.max()
    variance = float(sample.var(ddof=1)) if varies else 0.0
    return Moments(len(sample), float(sample.mean()), variance)


def satterthwaite(first: Moments, second: Moments) -> float:
    """The degrees of freedom of the difference of two means (Satterthwaite 1946, Biometrics 2)."""
    a, b = first.error, second.error
    return (a + b) ** 2 / (a**2 / (first.n - 1) + b**2 / (second.n - 1))
