"""Two proportions, as of sessions that ended well."""

from math import sqrt
from typing import NamedTuple

from scipy.stats import fisher_exact, norm

from khive_persist.analytics import calibration
from khive_persist.analytics.compare.statistics.interval import LEVEL, Interval
from khive_persist.analytics.compare.statistics.results import ProportionDifference


class Proportion(NamedTuple):
    """A number of hits of a whole."""

    hits: int
    of: int

    @property
    def share(self) -> float:
        """Return the part of the whole."""
        return self.hits / self.of


def wilson(proportion: Proportion, level: float = LEVEL) -> Interval:
    """Return Wilson's interval of a share."""
    z = float(norm.ppf((1 + level) / 2))
    return Interval(*calibration.wilson(proportion.hits, proportion.of, z), level)


def proportion_difference(
    first: Proportion, second: Proportion, level: float = LEVEL
) -> ProportionDifference | None:
    """Return the difference; None where one of them is of nothing."""
    if not first.of or not second.of:
        return None
    a, b = wilson(first, level), wilson(second, level)
    p, q = first.share, second.share
    difference = q - p
    low = difference - sqrt((q - b.low) ** 2 + (a.high - p) ** 2)
    high = difference + sqrt((b.high - q) ** 2 + (p - a.low) ** 2)
    table = [[second.hits, second.of - second.hits], [first.hits, first.of - first.hits]]
    cells = [cell for row in table for cell in row]
    odds = cells[0] * cells[3] / (cells[1] * cells[2]) if all(cells) else None
    return ProportionDifference(
        difference, Interval(low, high, level), float(fisher_exact(table).pvalue), odds
    )
