"""What a sample looks like: its centre, its spread, its quartiles, what is far out."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

OUTLIER_FENCE: Final = 1.5


class Description(NamedTuple):
    """One sample.

    Attributes:
        n: How many values it has.
        mean: None for none.
        sd: The standard deviation, with n - 1 below; None under two values.
        median: The mean of the two in the middle where n is even; None for none.
        q1: The lower quartile, as R's type 7 and numpy have it; None for none.
        q3: The upper one.
        minimum: None for none.
        maximum: None for none.
        outliers: How many lie more than 1.5 times the distance of the quartiles beyond them
            (Tukey 1977, Exploratory Data Analysis).
    """

    n: int
    mean: float | None
    sd: float | None
    median: float | None
    q1: float | None
    q3: float | None
    minimum: float | None
    maximum: float | None
    outliers: int


def describe(values: Sequence[float]) -> Description:
    """Describe a sample of finite numbers."""
    if len(values) == 0:
        return Description(0, None, None, None, None, None, None, None, 0)
    sample = np.asarray(values, dtype=float)
    q1, median, q3 = (float(one) for one in np.quantile(sample, (0.25, 0.5, 0.75)))
    far = OUTLIER_FENCE * (q3 - q1)
    sd = float(sample.std(ddof=1)) if len(sample) > 1 else None
    outliers = int(np.count_nonzero((sample < q1 - far) | (sample > q3 + far)))
    return Description(
        len(sample), float(sample.mean()), sd, median, q1, q3,
        float(sample.min()), float(sample.max()), outliers,
    )  # fmt: skip
