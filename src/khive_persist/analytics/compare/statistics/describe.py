"""The description of a sample: its centre, its spread, its quartiles, what is far out."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from khive_persist.analytics.compare.statistics.results import Description

OUTLIER_FENCE: Final = 1.5


class Box(NamedTuple):
    """A sample as Tukey's box (1977, Exploratory Data Analysis), as R's `boxplot.stats` has it.

    Attributes:
        low: The smallest value that lies at most 1.5 times the length of the box below it.
        lower_hinge: The median of the lower half of the values, the middle one in both halves;
            where the size is even, it may differ from the quartile.
        median: As ever.
        upper_hinge: The median of the upper half.
        high: The largest value that lies at most 1.5 times the length of the box above it.
        outliers: The values beyond `low` and `high`, in order.
    """

    low: float
    lower_hinge: float
    median: float
    upper_hinge: float
    high: float
    outliers: "np.ndarray[tuple[int], np.dtype[np.float64]]"


def boxplot(values: Sequence[float]) -> Box:
    """Return the box of a sample of one finite number or more."""
    sample = np.sort(np.asarray(values, dtype=float))
    middle = (len(sample) + 1) // 2
    lower, upper = float(np.median(sample[:middle])), float(np.median(sample[-middle:]))
    limit = OUTLIER_FENCE * (upper - lower)
    is_out = (sample < lower - limit) | (sample > upper + limit)
    within = sample[~is_out]
    return Box(
        float(within[0]), lower, float(np.median(sample)), upper, float(within[-1]), sample[is_out]
    )


def describe(values: Sequence[float]) -> Description:
    """Describe a sample of finite numbers."""
    if len(values) == 0:
        return Description(0, None, None, None, None, None, None, None, 0)
    sample = np.asarray(values, dtype=float)
    q1, median, q3 = (float(value) for value in np.quantile(sample, (0.25, 0.5, 0.75)))
    sd = float(sample.std(ddof=1)) if len(sample) > 1 else None
    return Description(
        len(sample), float(sample.mean()), sd, median, q1, q3,
        float(sample.min()), float(sample.max()), len(boxplot(values).outliers),
    )  # fmt: skip
