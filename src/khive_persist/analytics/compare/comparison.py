"""`Comparison`: groups of sessions compared by some metrics, with every figure."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from khive_persist.analytics.compare.grouping import is_chosen_late
from khive_persist.analytics.compare.metric import Metric
from khive_persist.analytics.compare.statistics.results import (
    BrownForsytheAnova,
    Description,
    Effect,
    MannWhitney,
    MedianDifference,
    Normality,
    Pair,
    PairedT,
    ProportionDifference,
    Sign,
    Spread,
    Welch,
    WelchAnova,
    Wilcoxon,
)
from khive_persist.clock import InstantText
from khive_persist.models.assignment import NAMED
from khive_persist.sessions.facts import Assigned

Finding = Literal["difference", "perhaps chance", "unclear", "none found", "not tested"]


class Group(NamedTuple):
    """The values of one metric in one group.

    Attributes:
        name: The name of the group.
        description: The description of its values; of a share, 1 and 0.
        left_out: The number of its sessions without a value, by the reason.
        normality: The test of normality, which is shown; no test is picked by it.
    """

    name: str
    description: Description
    left_out: dict[str, int]
    normality: Normality | None


class MetricComparison(NamedTuple):
    """The comparison of groups by one metric. What was not asked, or cannot be said, is None.

    Attributes:
        metric: The metric.
        groups: The groups, in the order in which they are compared.
        tested: The places in `groups` of those that were tested; others have too few sessions.
        refusal: The reason why there is no test, or an empty string.
        welch: Welch's t test of two groups; this test counts.
        mann_whitney: The U test of two groups.
        effect: Cohen's d and Hedges' g of two groups.
        median_difference: The difference of the medians of two groups.
        shares: The test of two groups, where the metric is a share; this test counts.
        welch_anova: The test of more groups; this test counts.
        brown_forsythe_anova: The test of more groups; it counts where one of them does not vary.
        pairs: The pairs of more groups, by Games and Howell; `groups` has their places.
        paired_t: The test where values belong together; this test counts.
        sign: The test where values belong together; it counts where all differ by the same.
        wilcoxon: The test where values belong together.
        spread: Whether the groups spread alike; shown only.
        smallest_effect: The smallest effect, in standard deviations, that groups of these sizes
            would have shown in 4 of 5 experiments.
        needed: The number of sessions that each group needs to show the effect that was seen so.
        p: That of the test that counts; 1e-12, here and everywhere, stands for less than that.
        p_holm: Adjusted so that one wrong finding among all metrics is as rare as 1 in 20.
        p_bh: Adjusted so that 1 in 20 of the findings is wrong.
        finding: The conclusion in a word, with all metrics counted that were tested.
        sentence: The conclusion as a sentence.
    """

    metric: Metric
    groups: list[Group]
    tested: tuple[int, ...] = ()
    refusal: str = ""
    welch: Welch | None = None
    mann_whitney: MannWhitney | None = None
    effect: Effect | None = None
    median_difference: MedianDifference | None = None
    shares: ProportionDifference | None = None
    welch_anova: WelchAnova | None = None
    brown_forsythe_anova: BrownForsytheAnova | None = None
    pairs: list[Pair] | None = None
    paired_t: PairedT | None = None
    sign: Sign | None = None
    wilcoxon: Wilcoxon | None = None
    spread: Spread | None = None
    smallest_effect: float | None = None
    needed: int | None = None
    p: float | None = None
    p_holm: float | None = None
    p_bh: float | None = None
    finding: Finding = "not tested"
    sentence: str = ""


class Span(NamedTuple):
    """A time in which sessions start: `first` or later, and before `last`; None for no end."""

    first: InstantText | None = None
    last: InstantText | None = None

    def covers(self, started: str | None) -> bool:
        """Return whether an instant is in it; one that is not known only where it has no ends."""
        if started is None:
            return self.first is None and self.last is None
        is_after = self.first is None or started >= self.first
        return is_after and (self.last is None or started < self.last)


class ExperimentAssignments(NamedTuple):
    """An experiment, and the assignments of the sessions that were looked at.

    Attributes:
        name: The name of the experiment.
        weights: The weights of its variants, in their order.
        late_named: Sessions that somebody gave their variant once their work had begun.
        late_random: Sessions that drew theirs once their work had begun; they are taken in.
        with_late: Whether those of `late_named` are taken in, too.
        named: The number of sessions that were given theirs before their work began.
        drawn: The number of sessions that drew theirs, by variant.
        seen: The number of sessions that were looked at and have a variant.
        assigned: Sessions that have one at all, also those of which nothing else is recorded.
        remarks: The remarks on how sessions came to their variants, a sentence each.
    """

    name: str
    weights: dict[str, float]
    late_named: int = 0
    late_random: int = 0
    with_late: bool = False
    named: int = 0
    drawn: Mapping[str, int] = {}
    seen: int = 0
    assigned: int = 0
    remarks: Sequence[str] = ()

    def with_one(self, assigned: Assigned) -> "ExperimentAssignments":
        """Return the assignments with one more session that was looked at."""
        updated = self._replace(seen=self.seen + 1)
        if is_chosen_late(assigned):
            return updated._replace(late_named=self.late_named + 1)
        if assigned.method == NAMED:
            return updated._replace(named=self.named + 1)
        count = self.drawn.get(assigned.variant, 0) + 1
        return updated._replace(
            drawn={**self.drawn, assigned.variant: count},
            late_random=self.late_random + assigned.is_late,
        )


class Comparison(NamedTuple):
    """A comparison of groups of sessions.

    Attributes:
        by: The field that sessions are grouped by.
        groups: The number of sessions of each group, in the order in which they are compared.
        sessions: The number of sessions that were looked at.
        ungrouped: The number of those that lack the field.
        unwanted: The number of those of groups that were not asked for.
        pairs: The number of pairs; None where none were asked for.
        span: The time in which sessions started.
        experiment: The experiment by whose variants they are grouped, else None.
        metrics: The comparisons by each metric.
    """

    by: str
    groups: dict[str, int]
    sessions: int
    ungrouped: int
    unwanted: int
    pairs: int | None
    span: Span
    experiment: ExperimentAssignments | None
    metrics: list[MetricComparison]
