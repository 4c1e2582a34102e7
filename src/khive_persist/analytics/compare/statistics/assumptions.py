"""The assumptions of tests about samples. They are shown, and picks no test by itself."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy import stats

from khive_persist.analytics.compare.statistics.results import Normality, Spread

# Royston's approximation is for up to these; with more, the least bend is found.
MOST_SHAPIRO: Final = 5_000


def normality(values: Sequence[float]) -> Normality | None:
    """Return the test; None for under 3 values, over 5,000, or values that are all the same."""
    sample = np.asarray(values, dtype=float)
    if not 3 <= len(sample) <= MOST_SHAPIRO or sample.min() == sample.max():
        return None
    # Its sums lose the digits of values far from 0, and it takes a tiny range for none.
    result = stats.shapiro((sample - np.median(sample)) / np.ptp(sample))
    return Normality(float(result.statistic), float(result.pvalue))


def spread(samples: Sequence[Sequence[float]]) -> Spread | None:
    """Return the test; None under two samples or two values in one, or where none varies."""
    arrays = [np.asarray(sample, dtype=float) for sample in samples]
    if len(arrays) < 2 or any(len(array) < 2 for array in arrays):
        return None
    distances = [np.abs(array - np.median(array)) for array in arrays]
    if all(distance.min() == distance.max() for distance in distances):
        return None
    result = stats.f_oneway(*distances)
    return Spread(float(result.statistic), float(result.pvalue))
