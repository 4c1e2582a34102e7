"""The figures of a comparison as rows, each with its name: for a page, a sheet, a file."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from khive_persist.analytics.compare.compare import Compared
from khive_persist.analytics.compare.report.elements import Cell as Cell
from khive_persist.analytics.compare.statistics import p_values
from khive_persist.analytics.compare.statistics.interval import Interval

GROUP_COLUMNS: Final = (
    "metric", "group", "n", "mean", "sd", "median", "q1", "q3", "minimum", "maximum", "outliers",
    "left_out", "shapiro_w", "shapiro_p",
)  # fmt: skip


class Figure(NamedTuple):
    """One figure of one metric.

    Attributes:
        metric: Its name.
        test: What it is of.
        figure: What it is called.
        value: It.
    """

    metric: str
    test: str
    figure: str
    value: Cell


def group_rows(compared: list[Compared]) -> Iterator[tuple[Cell, ...]]:
    """One row for each metric and group, as `GROUP_COLUMNS` names them."""
    for one in compared:
        for group in one.groups:
            d, normal = group.description, group.normality
            yield (
                one.metric.name, group.name, d.n, d.mean, d.sd, d.median, d.q1, d.q3, d.minimum,
                d.maximum, d.outliers, sum(group.left_out.values()),
                normal.w if normal else None, normal.p if normal else None,
            )  # fmt: skip


def figures(one: Compared) -> Iterator[Figure]:
    """Every figure of a metric that there is, the test that counts first."""
    name = one.metric.name
    tests = (
        ("Welch's t", one.welch), ("Fisher's exact test", one.shares),
        ("Welch's ANOVA", one.welch_anova), ("Brown-Forsythe F*", one.brown_forsythe_anova),
        ("paired t", one.paired_t), ("sign test", one.sign),
        ("Mann-Whitney U", one.mann_whitney), ("Wilcoxon signed-rank", one.wilcoxon),
        ("effect size", one.effect), ("difference of medians", one.median_difference),
        ("Brown-Forsythe", one.spread),
    )  # fmt: skip
    for test, done in tests:
        if done is not None:
            for figure, value in done._asdict().items():
                yield from _of(name, test, figure, value)
    for pair in one.pairs or ():
        between = f"{one.groups[pair.second].name} - {one.groups[pair.first].name}"
        for figure, value in list(pair._asdict().items())[2:]:
            yield from _of(name, f"Games-Howell {between}", figure, value)
    for figure in ("p", "p_holm", "p_bh", "smallest_effect", "needed"):
        yield from _of(name, "in all", figure, getattr(one, figure))
    if one.refusal:
        yield Figure(name, "in all", "no test", one.refusal)


def _of(metric: str, test: str, figure: str, value: object) -> Iterator[Figure]:
    if isinstance(value, Interval):
        yield Figure(metric, test, f"{figure}_low", value.low)
        yield Figure(metric, test, f"{figure}_high", value.high)
    elif isinstance(value, bool):
        yield Figure(metric, test, figure, int(value))
    elif figure in p_values.NAMES and isinstance(value, float) and value <= p_values.LEAST:
        yield Figure(metric, test, figure, p_values.shown(value))
    elif isinstance(value, str | int | float):
        yield Figure(metric, test, figure, value)
