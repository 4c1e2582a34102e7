"""The calibration of confidence and cost against outcomes. Arithmetic alone, in flat memory."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt
from typing import Any, Final, NamedTuple

# Fractions give every figure exactly, which is how the identities here are tested.
Number = float | Fraction

DEFAULT_BINS: Final = 10
_Z_95: Final = 1.959963984540054


class Bin(NamedTuple):
    """The forecasts of one interval of confidence, `low <= confidence < high`; the last has 1, too.

    Attributes:
        plans: The number of forecasts.
        confidence: Their mean confidence; None without any.
        success: Their mean outcome, 0 to 1; None without any.
        success_low: The lower end of the 95% interval of `success`.
        success_high: Its upper end.
    """

    low: float
    high: float
    plans: int
    confidence: Number | None
    success: Number | None
    success_low: float | None
    success_high: float | None


class Brier(NamedTuple):
    """The Brier score and its parts, which make it up exactly, but for rounding:

        score = reliability - resolution + uncertainty + within_variance - within_covariance

    With n forecasts f of outcomes o, in bins k of n_k each, and means f_k, o_k in a bin and o in
    all (a sum without a range is over all forecasts):

        score             = 1/n Σ (f - o)²
        reliability       = 1/n Σ_k n_k (f_k - o_k)²
        resolution        = 1/n Σ_k n_k (o_k - o)²
        uncertainty       = 1/n Σ (o - mean of o)², which is o (1 - o) where each is 0 or 1
        within_variance   = 1/n Σ (f - f_k)²
        within_covariance = 2/n Σ (f - f_k)(o - o_k)

    The first three parts are those of Murphy 1973 ("A new vector partition of the probability
    score", J. Appl. Meteor. 12), and the whole where the forecasts of a bin are equal. The other
    two are of Stephenson, Coelho and Jolliffe 2008 ("Two extra components in the Brier score
    decomposition", Wea. Forecasting 23).

    Attributes:
        score: 0 is best; who always says 0.5 has 0.25.
        skill: 1 - score / uncertainty: above 0 where it foretells more than the mean outcome
            would. None where all outcomes are the same.
    """

    score: Number
    reliability: Number
    resolution: Number
    uncertainty: Number
    within_variance: Number
    within_covariance: Number
    skill: Number | None


@dataclass(slots=True)
class _Sums:
    """The sums of the forecasts f and the outcomes o of a bin."""

    n: int = 0
    f: Number = 0
    o: Number = 0
    ff: Number = 0
    oo: Number = 0
    fo: Number = 0


class Reliability:
    """The reliability of forecasts, which are added one after the other."""

    def __init__(self, bins: int = DEFAULT_BINS) -> None:
        """Raises: ValueError: There is not one bin at least."""
        if bins < 1:
            raise ValueError(f"bins is a whole number from 1, not {bins}")
        # Compared and not multiplied: 0.29 * 100 is less than 29.
        self._lows = [k / bins for k in range(bins)]
        self._sums = [_Sums() for _ in range(bins)]

    def add(self, confidence: Number, outcome: Number) -> None:
        """Add a forecast: its confidence, and its outcome, each from 0 to 1.

        Raises:
            ValueError: One of them is not from 0 to 1.
        """
        if not (0 <= confidence <= 1 and 0 <= outcome <= 1):
            raise ValueError(f"{confidence!r} and {outcome!r} are not both from 0 to 1")
        sums = self._sums[_place(self._lows, confidence)]
        sums.n += 1
        sums.f += confidence
        sums.o += outcome
        sums.ff += confidence * confidence
        sums.oo += outcome * outcome
        sums.fo += confidence * outcome

    @property
    def count(self) -> int:
        """Return how many it took."""
        return sum(sums.n for sums in self._sums)

    def bins(self) -> list[Bin]:
        """Return the reliability table: every bin, empty ones included."""
        highs = [*self._lows[1:], 1.0]
        return [
            Bin(
                low,
                high,
                sums.n,
                sums.f / sums.n if sums.n else None,
                sums.o / sums.n if sums.n else None,
                *(wilson(sums.o, sums.n) if sums.n else (None, None)),
            )
            for low, high, sums in zip(self._lows, highs, self._sums, strict=True)
        ]

    def brier(self) -> Brier | None:
        """Return the Brier score and its parts; None without a forecast."""
        n = self.count
        if not n:
            return None
        filled = [sums for sums in self._sums if sums.n]
        mean = sum(sums.o for sums in filled) / n
        score = sum(sums.ff - 2 * sums.fo + sums.oo for sums in filled) / n
        uncertainty = sum(sums.oo for sums in filled) / n - mean * mean
        return Brier(
            score=score,
            reliability=sum((sums.f - sums.o) ** 2 / sums.n for sums in filled) / n,
            resolution=sum(sums.n * (sums.o / sums.n - mean) ** 2 for sums in filled) / n,
            uncertainty=uncertainty,
            within_variance=sum(sums.ff - sums.f * sums.f / sums.n for sums in filled) / n,
            within_covariance=2 * sum(s.fo - s.f * s.o / s.n for s in filled) / n,
            # Of equal outcomes rounding leaves a little.
            skill=1 - score / uncertainty if uncertainty > 1e-12 else None,
        )


def bin_of(bins: Sequence[Bin], confidence: Number) -> Bin | None:
    """Return the bin of a confidence; None for one that is not from 0 to 1."""
    return bins[_place([each.low for each in bins], confidence)] if 0 <= confidence <= 1 else None


def _place(lows: Sequence[float], confidence: Number) -> int:
    return bisect_right(lows, confidence) - 1


def wilson(successes: Number, count: int, z: float = _Z_95) -> tuple[float, float]:
    """Return the score interval of a rate, after Wilson 1927 (J. Am. Stat. Assoc. 22).

    It holds for successes and failures; with outcomes between them it is wider than it need be.

    Args:
        successes: Their sum, 0 to `count`.
        count: At least 1.
        z: The quantile of the normal distribution that the interval reaches to, 95% without it.
    """
    n, p = count, float(successes) / count
    centre = p + z * z / (2 * n)
    spread = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return (
        max(0.0, (centre - spread) / scale) if successes else 0.0,
        min(1.0, (centre + spread) / scale) if successes < n else 1.0,
    )


class CostError(NamedTuple):
    """The planned and the actual costs of a group of plans, in USD.

    Attributes:
        group: The complexity or workflow pattern; None for plans without one.
        plans: The number of plans with both costs.
        planned: Their mean `planning_cost`.
        actual: Their mean actual cost.
        error: The mean of actual less planned: above 0 where plans cost more than they said.
        absolute_error: The mean of its size.
        ratio: All actual costs together by all planned ones; None where nothing was planned.
    """

    group: str | None
    plans: int
    planned: float
    actual: float
    error: float
    absolute_error: float
    ratio: float | None


class CostErrors:
    """The cost errors of plans, by group."""

    def __init__(self) -> None:
        self._sums: dict[str | None, list[Any]] = {}

    def add(self, group: str | None, planned: float, actual: float) -> None:
        """Add a pair of costs, in USD."""
        sums = self._sums.setdefault(group, [0, 0.0, 0.0, 0.0])
        sums[0] += 1
        sums[1] += planned
        sums[2] += actual
        sums[3] += abs(actual - planned)

    def groups(self) -> list[CostError]:
        """Return each group, by name; that without a name last."""
        return [
            CostError(
                group, n, planned / n, actual / n, (actual - planned) / n, absolute / n,
                actual / planned if planned else None,
            )
            for group, (n, planned, actual, absolute) in sorted(
                self._sums.items(), key=lambda item: (item[0] is None, item[0] or "")
            )
        ]  # fmt: skip
