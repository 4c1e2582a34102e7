"""Groups of sessions compared, metric by metric: every figure, and which test counts.

For each metric one test is decided on before any value is seen: Welch's t for numbers of two
groups, Fisher's for shares, Welch's analysis of variance for more groups, the paired t for pairs.
Its p-value goes into the corrections for many metrics. The others stand beside it.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from khive_persist.comparison.metric import Metric, Samples
from khive_persist.comparison.statistics.assumptions import Normality, Spread, normality, spread
from khive_persist.comparison.statistics.describe import Description, describe
from khive_persist.comparison.statistics.effect import Effect, effect
from khive_persist.comparison.statistics.interval import LEVEL
from khive_persist.comparison.statistics.many_samples import (
    Pair,
    WelchAnova,
    games_howell,
    welch_anova,
)
from khive_persist.comparison.statistics.medians import MedianDifference, median_difference
from khive_persist.comparison.statistics.multiplicity import benjamini_hochberg, holm
from khive_persist.comparison.statistics.paired import PairedT, Wilcoxon, paired_t, wilcoxon
from khive_persist.comparison.statistics.power import needed, smallest_effect
from khive_persist.comparison.statistics.proportions import (
    Proportion,
    ProportionDifference,
    proportion_difference,
)
from khive_persist.comparison.statistics.two_samples import (
    MannWhitney,
    Welch,
    mann_whitney,
    welch,
)

MIN_N: Final = 5


class Group(NamedTuple):
    """What one group has of one metric.

    Attributes:
        name: The group's.
        description: Of its values; of a share, 1 and 0.
        left_out: How many of its sessions have no value, by the reason.
        normality: Shown for who reads it; no test is picked by it.
    """

    name: str
    description: Description
    left_out: dict[str, int]
    normality: Normality | None


class Compared(NamedTuple):
    """One metric, compared. What was not asked, or cannot be said, is None.

    Attributes:
        metric: Which.
        groups: What each group has, in the order in which they are compared.
        refusal: Why there is no test, or an empty string.
        welch: Of two groups; this test counts.
        mann_whitney: Of two groups.
        effect: Cohen's d and Hedges' g of two groups.
        median_difference: Of two groups.
        shares: Of two groups, where the metric is a share; this test counts.
        welch_anova: Of more groups; this test counts.
        pairs: Of more groups, by Games and Howell.
        paired_t: Where values belong together; this test counts.
        wilcoxon: Where values belong together.
        spread: Whether the groups spread alike; shown only.
        smallest_effect: The smallest effect, in standard deviations, that groups of these sizes
            would have shown in 4 of 5 experiments.
        needed: How many sessions each group needs for the effect that was seen, to show it so.
        p: That of the test that counts.
        p_holm: Adjusted so that one wrong finding among all metrics is as rare as 1 in 20.
        p_bh: Adjusted so that 1 in 20 of the findings is wrong.
    """

    metric: Metric
    groups: list[Group]
    refusal: str = ""
    welch: Welch | None = None
    mann_whitney: MannWhitney | None = None
    effect: Effect | None = None
    median_difference: MedianDifference | None = None
    shares: ProportionDifference | None = None
    welch_anova: WelchAnova | None = None
    pairs: list[Pair] | None = None
    paired_t: PairedT | None = None
    wilcoxon: Wilcoxon | None = None
    spread: Spread | None = None
    smallest_effect: float | None = None
    needed: int | None = None
    p: float | None = None
    p_holm: float | None = None
    p_bh: float | None = None


def compare(
    samples: Mapping[Metric, Samples],
    *,
    paired: bool = False,
    min_n: int = MIN_N,
    level: float = LEVEL,
) -> list[Compared]:
    """Compare groups by each metric.

    Args:
        samples: The values of each metric, by group, in the order in which groups are compared: the
            second is set against the first.
        paired: Whether the values of two groups belong together, in their order.
        min_n: With fewer values in a group there is no test.
        level: Of all intervals.

    Returns:
        One for each metric, in their order; corrected for all that have a p-value.
    """
    done = [_compared(metric, of, paired, min_n, level) for metric, of in samples.items()]
    tested = [index for index, one in enumerate(done) if one.p is not None]
    p = [one.p for one in done if one.p is not None]
    for index, by_holm, by_bh in zip(tested, holm(p), benjamini_hochberg(p), strict=True):
        done[index] = done[index]._replace(p_holm=by_holm, p_bh=by_bh)
    return done


def _compared(metric: Metric, samples: Samples, paired: bool, min_n: int, level: float) -> Compared:
    values = [sample.values for sample in samples.values()]
    one = Compared(
        metric,
        [
            Group(name, describe(sample.values), dict(sample.left_out), normality(sample.values))
            for name, sample in samples.items()
        ],
    )
    if refusal := _refusal(one.groups, min_n):
        return one._replace(refusal=refusal)
    if paired:
        one = _of_pairs(one, values[0], values[1], level)
    elif len(values) > 2:
        one = _of_many(one, values, level)
    elif metric.kind == "share":
        one = _of_shares(one, values, level)
    else:
        one = _of_two(one, values[0], values[1], level)
    return one if one.p is not None else one._replace(refusal="no group's values vary")


def _refusal(groups: Sequence[Group], min_n: int) -> str:
    if len(groups) < 2:
        return "one group alone has nothing to be compared with"
    few = [group for group in groups if group.description.n < min_n]
    if few:
        said = ", ".join(f"{group.name} {group.description.n}" for group in few[:3])
        return f"too few sessions ({said}): each group needs {min_n}"
    return ""


def _of_two(
    one: Compared, first: Sequence[float], second: Sequence[float], level: float
) -> Compared:
    tested, seen = welch(first, second, level), effect(first, second, level)
    return one._replace(
        welch=tested,
        mann_whitney=mann_whitney(first, second),
        effect=seen,
        median_difference=median_difference(first, second, level),
        spread=spread((first, second)),
        smallest_effect=smallest_effect(len(first), len(second)),
        needed=needed(seen.g) if seen is not None else None,
        p=tested.p if tested is not None else None,
    )


def _of_shares(one: Compared, values: Sequence[Sequence[float]], level: float) -> Compared:
    first, second = (Proportion(round(sum(some)), len(some)) for some in values)
    tested = proportion_difference(first, second, level)
    varies = 0 < first.hits + second.hits < first.of + second.of
    return one._replace(shares=tested, p=tested.p if tested is not None and varies else None)


def _of_many(one: Compared, values: Sequence[Sequence[float]], level: float) -> Compared:
    tested = welch_anova(values)
    return one._replace(
        welch_anova=tested,
        pairs=games_howell(values, level),
        spread=spread(values),
        p=tested.p if tested is not None else None,
    )


def _of_pairs(
    one: Compared, first: Sequence[float], second: Sequence[float], level: float
) -> Compared:
    tested = paired_t(first, second, level)
    return one._replace(
        paired_t=tested,
        wilcoxon=wilcoxon(first, second),
        p=tested.p if tested is not None else None,
    )
