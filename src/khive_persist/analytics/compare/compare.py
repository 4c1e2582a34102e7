"""Groups of sessions compared, metric by metric: every figure, and which test counts.

For each metric one test is decided on before any value is seen: Welch's t for numbers of two
groups, Fisher's for shares, Welch's analysis of variance for more groups, the paired t for pairs.
Where it is not defined, another takes its place: Brown and Forsythe's analysis of variance where a
group does not vary, the sign test where all pairs differ by the same. Its p-value goes into the
corrections for many metrics. The others stand beside it.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from khive_persist.analytics.compare.comparison import Group, MetricComparison
from khive_persist.analytics.compare.metric import Metric, Samples
from khive_persist.analytics.compare.statistics.assumptions import normality, spread
from khive_persist.analytics.compare.statistics.describe import describe
from khive_persist.analytics.compare.statistics.effect import effect
from khive_persist.analytics.compare.statistics.interval import LEVEL
from khive_persist.analytics.compare.statistics.many_samples import (
    brown_forsythe_anova,
    games_howell,
    welch_anova,
)
from khive_persist.analytics.compare.statistics.medians import median_difference
from khive_persist.analytics.compare.statistics.multiplicity import benjamini_hochberg, holm
from khive_persist.analytics.compare.statistics.p_values import floored
from khive_persist.analytics.compare.statistics.paired import paired_t, sign, wilcoxon
from khive_persist.analytics.compare.statistics.power import needed, smallest_effect
from khive_persist.analytics.compare.statistics.proportions import Proportion, proportion_difference
from khive_persist.analytics.compare.statistics.two_samples import mann_whitney, welch
from khive_persist.analytics.compare.summary import finding, named, sentence

MIN_N: Final = 5


def compare(
    samples: Mapping[Metric, Samples],
    *,
    paired: bool = False,
    min_n: int = MIN_N,
    level: float = LEVEL,
) -> list[MetricComparison]:
    """Compare groups by each metric.

    Args:
        samples: The values of each metric, by group, in the order in which groups are compared: the
            second is set against the first.
        paired: Whether the values of two groups belong together, in their order.
        min_n: A group with fewer values is not tested; the others are, where two are left.

    Returns:
        One for each metric, in their order; corrected for all that have a p-value.
    """
    comparisons = [
        _compare_metric(metric, of, paired, min_n, level) for metric, of in samples.items()
    ]
    tested = [index for index, comparison in enumerate(comparisons) if comparison.p is not None]
    p = [comparison.p for comparison in comparisons if comparison.p is not None]
    for index, by_holm, by_bh in zip(tested, holm(p), benjamini_hochberg(p), strict=True):
        comparisons[index] = comparisons[index]._replace(p_holm=by_holm, p_bh=by_bh)
    return [
        comparison._replace(finding=finding(comparison), sentence=sentence(comparison, len(p)))
        for comparison in floored(comparisons)
    ]


def _compare_metric(
    metric: Metric, samples: Samples, paired: bool, min_n: int, level: float
) -> MetricComparison:
    groups = [
        Group(name, describe(sample.values), dict(sample.left_out), normality(sample.values))
        for name, sample in samples.items()
    ]
    comparison = MetricComparison(metric, groups)
    tested = tuple(place for place, of in enumerate(comparison.groups) if of.description.n >= min_n)
    if len(comparison.groups) < 2:
        return comparison._replace(refusal="one group alone has nothing to be compared with")
    if len(tested) < 2:
        small = named([group for group in comparison.groups if group.description.n < min_n])
        return comparison._replace(refusal=f"too few sessions ({small}): each group needs {min_n}")
    comparison = comparison._replace(tested=tested)
    every = [sample.values for sample in samples.values()]
    values = [every[place] for place in tested]
    if paired:
        comparison = _of_pairs(comparison, values[0], values[1], level)
    elif len(values) > 2:
        comparison = _of_many(comparison, values, level)
    elif metric.kind == "share":
        comparison = _of_shares(comparison, values, level)
    else:
        comparison = _of_two(comparison, values[0], values[1], level)
    if comparison.p is not None:
        return comparison
    if paired:
        return comparison._replace(refusal="the values of each pair are the same")
    descriptions = [group.description for group in comparison.groups]
    wavers = any(of.minimum != of.maximum for of in descriptions)
    rounding = " by more than their rounding" if wavers else ""
    return comparison._replace(refusal=f"no group's values vary{rounding}")


def _of_two(
    comparison: MetricComparison, first: Sequence[float], second: Sequence[float], level: float
) -> MetricComparison:
    tested, effect_size = welch(first, second, level), effect(first, second, level)
    return comparison._replace(
        welch=tested,
        mann_whitney=mann_whitney(first, second),
        effect=effect_size,
        median_difference=median_difference(first, second, level),
        spread=spread((first, second)),
        smallest_effect=smallest_effect(len(first), len(second)),
        needed=needed(effect_size.g) if effect_size is not None else None,
        p=tested.p if tested is not None else None,
    )


def _of_shares(
    comparison: MetricComparison, values: Sequence[Sequence[float]], level: float
) -> MetricComparison:
    first, second = (Proportion(round(sum(sample)), len(sample)) for sample in values)
    tested = proportion_difference(first, second, level)
    varies = 0 < first.hits + second.hits < first.of + second.of
    return comparison._replace(shares=tested, p=tested.p if tested is not None and varies else None)


def _of_many(
    comparison: MetricComparison, values: Sequence[Sequence[float]], level: float
) -> MetricComparison:
    tested = welch_anova(values)
    by_size = brown_forsythe_anova(values)
    counts = tested or by_size
    at = comparison.tested
    return comparison._replace(
        welch_anova=tested,
        brown_forsythe_anova=by_size,
        pairs=[
            pair._replace(first=at[pair.first], second=at[pair.second])
            for pair in games_howell(values, level) or ()
        ]
        or None,
        spread=spread(values),
        p=counts.p if counts is not None else None,
    )


def _of_pairs(
    comparison: MetricComparison, first: Sequence[float], second: Sequence[float], level: float
) -> MetricComparison:
    tested, signs = paired_t(first, second, level), sign(first, second)
    counts = tested or signs
    return comparison._replace(
        paired_t=tested,
        sign=signs,
        wilcoxon=wilcoxon(first, second),
        p=counts.p if counts is not None else None,
    )
