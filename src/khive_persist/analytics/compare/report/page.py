"""A comparison as one HTML file, that asks no network for anything and has no script."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from khive_persist.analytics.compare.collect import Collected
from khive_persist.analytics.compare.compare import Compared
from khive_persist.analytics.compare.experiment import remarks
from khive_persist.analytics.compare.report import plots
from khive_persist.analytics.compare.report.elements import document, picture, table, text
from khive_persist.analytics.compare.report.figures import GROUP_COLUMNS, figures, group_rows
from khive_persist.analytics.compare.summary import sentence


def page(found: Collected, compared: Sequence[Compared], made_at: datetime) -> str:
    """The report of a comparison. Names of groups, which come from records, are text in it."""
    tested = sum(one.p is not None for one in compared)
    parts = [
        f"<h1>{text(_title(found))}</h1>", f"<p>{text(_scope(found, made_at))}</p>",
        *(f"<p>{text(said)}</p>" for said in _experiment(found)),
        *(f"<p>{text(sentence(one, tested))}</p>" for one in compared if one.p is not None),
        *picture(plots.effects(compared), "Effect sizes with their 95% intervals"),
        *(part for one in compared for part in _metric(one, found, tested)),
        "<h2>All groups</h2>", *table(GROUP_COLUMNS, group_rows(list(compared))),
        f"<p>{text(METHODS)}</p>",
    ]  # fmt: skip
    return document(_title(found), parts)


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


def _title(found: Collected) -> str:
    return f"{' against '.join(list(found.groups)[:3])}, by {found.by}"


def _scope(found: Collected, made_at: datetime) -> str:
    sizes = ", ".join(f"{name}: {size}" for name, size in list(found.groups.items())[:20])
    pairs = f" {found.pairs} pairs." if found.pairs is not None else ""
    return (
        f"{sum(found.groups.values())} sessions ({sizes}).{pairs} {found.ungrouped} without"
        f" {found.by} and {found.unwanted} of other groups are left out."
        f" Made {made_at:%Y-%m-%d %H:%M} UTC."
    )


def _experiment(found: Collected) -> Iterable[str]:
    return () if found.experiment is None else remarks(found.experiment)


def _metric(one: Compared, found: Collected, tested: int) -> Iterable[str]:
    yield f"<h2>{text(one.metric.name)}</h2>"
    yield f'<p class="definition">{text(one.metric.definition)}.</p>'
    yield f"<p>{text(sentence(one, tested))}</p>"
    reasons = [
        f"{group.name}: {count} {reason}"
        for group in one.groups
        for reason, count in group.left_out.items()
    ]
    if reasons:
        yield f'<p class="definition">Left out, {text("; ".join(reasons[:20]))}.</p>'
    if any(group.description.n for group in one.groups):
        yield from picture(
            plots.distributions(one, found.samples[one.metric]), f"{one.metric.name} by group"
        )
    days = found.days.get(one.metric, {})
    yield from picture(plots.over_time(one, days), f"Mean {one.metric.name} by day")
    yield "<details><summary>All figures</summary>"
    yield from table(("test", "figure", "value"), (row[1:] for row in figures(one)))
    yield "</details>"
