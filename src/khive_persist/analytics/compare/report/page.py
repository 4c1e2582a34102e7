"""A comparison as one HTML file, that asks no network for anything and has no script."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from khive_persist.analytics.compare.collect import CollectedSamples
from khive_persist.analytics.compare.comparison import MetricComparison
from khive_persist.analytics.compare.report import plots
from khive_persist.analytics.compare.report.elements import document, picture, table, text
from khive_persist.analytics.compare.report.figures import (
    GROUP_COLUMNS,
    figures,
    group_rows,
    reasons,
)


def page(
    collected: CollectedSamples, comparisons: Sequence[MetricComparison], made_at: datetime
) -> str:
    """Return the report of a comparison. Names of groups come from records, and are text in it."""
    experiment = collected.experiment
    parts = [
        f"<h1>{text(_title(collected))}</h1>", f"<p>{text(_scope(collected, made_at))}</p>",
        *(f"<p>{text(remark)}</p>" for remark in (experiment.remarks if experiment else ())),
        *(
            f"<p>{text(comparison.sentence)}</p>"
            for comparison in comparisons
            if comparison.p is not None
        ),
        *picture(plots.effects(comparisons), "Effect sizes with their 95% intervals"),
        *(part for comparison in comparisons for part in _metric(comparison, collected)),
        "<h2>All groups</h2>", *table(GROUP_COLUMNS, group_rows(list(comparisons))),
        f"<p>{text(METHODS)}</p>",
    ]  # fmt: skip
    return document(_title(collected), parts)


METHODS: Final = (
    "The test of each metric was chosen before its values were seen: Welch's t of two groups,"
    " Fisher's exact test of shares, Welch's analysis of variance with Games and Howell's pairs of"
    " more groups, the paired t of pairs; in place of one that is not defined, Brown and Forsythe's"
    " F* where one of more groups does not vary, the sign test where all pairs differ by the same."
    " Groups with too few sessions are left out. p is two-sided; below 1e-12 it is not told. p_holm"
    " bounds the chance of one wrong finding among all metrics of this report, p_bh the share of"
    " wrong ones among the findings (Benjamini and Hochberg). Intervals are of 95%: of effect sizes"
    " exact by the noncentral t, of medians by the bootstrap (BCa, 9,999 resamples), of shares"
    " Newcombe's. Normality (Shapiro and Wilk), spread (Brown and Forsythe) and outliers (further"
    " than 1.5 lengths of Tukey's box from its hinges) are shown; no test is chosen by them. The"
    " interval of an effect size takes both groups to spread alike, Welch's t does not: the one may"
    " have 0 in it where the other finds a difference."
)


def _title(collected: CollectedSamples) -> str:
    return f"{' against '.join(list(collected.groups)[:3])}, by {collected.by}"


def _scope(collected: CollectedSamples, made_at: datetime) -> str:
    sizes = ", ".join(f"{name}: {size}" for name, size in list(collected.groups.items())[:20])
    pairs = f" {collected.pairs} pairs." if collected.pairs is not None else ""
    return (
        f"{sum(collected.groups.values())} sessions ({sizes}).{pairs} {collected.ungrouped} without"
        f" {collected.by} and {collected.unwanted} of other groups are left out."
        f" Made {made_at:%Y-%m-%d %H:%M} UTC."
    )


def _metric(comparison: MetricComparison, collected: CollectedSamples) -> Iterable[str]:
    yield f"<h2>{text(comparison.metric.name)}</h2>"
    yield f'<p class="definition">{text(comparison.metric.definition)}.</p>'
    yield f"<p>{text(comparison.sentence)}</p>"
    if left_out := reasons(comparison)[:20]:
        yield f'<p class="definition">Left out, {text("; ".join(left_out))}.</p>'
    if any(group.description.n for group in comparison.groups):
        yield from picture(
            plots.distributions(comparison, collected.samples[comparison.metric]),
            f"{comparison.metric.name} by group",
        )
    days = collected.days.get(comparison.metric, {})
    yield from picture(plots.over_time(comparison, days), f"Mean {comparison.metric.name} by day")
    yield "<details><summary>All figures</summary>"
    yield from table(("test", "figure", "value"), (row[1:] for row in figures(comparison)))
    yield "</details>"
