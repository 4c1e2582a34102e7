"""The figures of a comparison as rows, each with its name: for a page, a sheet, a file."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from khive_persist.analytics.compare.comparison import MetricComparison
from khive_persist.analytics.compare.report.elements import Cell
from khive_persist.analytics.compare.statistics import p_values
from khive_persist.analytics.compare.statistics.interval import Interval

GROUP_COLUMNS: Final = (
    "metric", "group", "n", "mean", "sd", "median", "q1", "q3", "minimum", "maximum", "outliers",
    "left_out", "shapiro_w", "shapiro_p",
)  # fmt: skip


class Figure(NamedTuple):
    """One figure of one metric, and the test or quantity that it belongs to."""

    metric: str
    test: str
    figure: str
    value: Cell


def group_rows(comparisons: list[MetricComparison]) -> Iterator[tuple[Cell, ...]]:
    """Yield one row for each metric and group, as `GROUP_COLUMNS` names them."""
    for comparison in comparisons:
        for group in comparison.groups:
            d, normal = group.description, group.normality
            yield (
                comparison.metric.name, group.name, d.n, d.mean, d.sd, d.median, d.q1, d.q3,
                d.minimum, d.maximum, d.outliers, sum(group.left_out.values()),
                normal.w if normal else None, normal.p if normal else None,
            )  # fmt: skip


def reasons(comparison: MetricComparison) -> list[str]:
    """Return why sessions of a group have no value, and how many."""
    return [
        f"{group.name}: {count} {reason}"
        for group in comparison.groups
        for reason, count in group.left_out.items()
    ]


def figures(comparison: MetricComparison) -> Iterator[Figure]:
    """Yield every figure of a metric that there is, the test that counts first."""
    name = comparison.metric.name
    tests = (
        ("Welch's t", comparison.welch), ("Fisher's exact test", comparison.shares),
        ("Welch's ANOVA", comparison.welch_anova),
        ("Brown-Forsythe F*", comparison.brown_forsythe_anova),
        ("paired t", comparison.paired_t), ("sign test", comparison.sign),
        ("Mann-Whitney U", comparison.mann_whitney), ("Wilcoxon signed-rank", comparison.wilcoxon),
        ("effect size", comparison.effect), ("difference of medians", comparison.median_difference),
        ("Brown-Forsythe", comparison.spread),
    )  # fmt: skip
    for test, result in tests:
        if result is not None:
            for figure, value in result._asdict().items():
                yield from _of(name, test, figure, value)
    for pair in comparison.pairs or ():
        between = f"{comparison.groups[pair.second].name} - {comparison.groups[pair.first].name}"
        for figure, value in list(pair._asdict().items())[2:]:
            yield from _of(name, f"Games-Howell {between}", figure, value)
    for figure in ("p", "p_holm", "p_bh", "smallest_effect", "needed"):
        yield from _of(name, "in all", figure, getattr(comparison, figure))
    if comparison.refusal:
        yield Figure(name, "in all", "no test", comparison.refusal)


def _of(metric: str, test: str, figure: str, value: object) -> Iterator[Figure]:
    if isinstance(value, Interval):
        yield Figure(metric, test, f"{figure}_low", value.low)
        yield Figure(metric, test, f"{figure}_high", value.high)
    elif isinstance(value, bool):
        yield Figure(metric, test, figure, int(value))
    elif figure in p_values.NAMES and isinstance(value, float) and value <= p_values.LEAST:
        yield Figure(metric, test, figure, p_values.p_cell(value))
    elif isinstance(value, str | int | float):
        yield Figure(metric, test, figure, value)
