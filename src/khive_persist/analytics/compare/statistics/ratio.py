"""The check that sessions came to their variants in the ratio of the weights."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from scipy.stats import chisquare

from khive_persist.analytics.compare.statistics.p_values import floored

# With fewer expected in a group the chi-square distribution is a poor stand-in (Cochran 1954).
LEAST_EXPECTED: Final = 5
# Drawn as they should be, a ratio looks so wrong in 1 of 1,000 experiments.
ALPHA: Final = 0.001


class RatioCheck(NamedTuple):
    """A check for sample ratio mismatch, by Pearson's chi-square test of goodness of fit.

    Fabijan et al. 2019, "Diagnosing Sample Ratio Mismatch in Online Controlled Experiments", KDD.

    Attributes:
        expected: The number of sessions that the weights expect in each group.
        chi_square: The statistic; None where too few are expected in a group.
        p: The probability of a ratio as far off, where nothing is wrong; None likewise.
    """

    expected: list[float]
    chi_square: float | None
    p: float | None

    @property
    def is_mismatch(self) -> bool:
        """Return whether the counts do not fit the weights."""
        return self.p is not None and self.p < ALPHA


def check_ratio(counts: Sequence[int], weights: Sequence[float]) -> RatioCheck:
    """Check the counts of groups against their weights, each more than 0."""
    largest = max(weights)
    # Of the largest: the sum of very large weights would be infinite.
    shares = [weight / largest for weight in weights]
    expected = [sum(counts) * share / sum(shares) for share in shares]
    if min(expected) < LEAST_EXPECTED:
        return RatioCheck(expected, None, None)
    test = chisquare(counts, expected)
    checked: RatioCheck = floored(RatioCheck(expected, float(test.statistic), float(test.pvalue)))
    return checked
