"""A comparison as plain text, fit for an appendix."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from textwrap import fill, indent

from khive_persist.analytics.compare.collect import CollectedSamples
from khive_persist.analytics.compare.comparison import Group, MetricComparison
from khive_persist.analytics.compare.report.figures import figures
from khive_persist.analytics.compare.report.page import METHODS

_WIDTH = 78


def text(
    collected: CollectedSamples, comparisons: Sequence[MetricComparison], made_at: datetime
) -> str:
    """Return the report, in lines of at most 78 characters but for long names."""
    return "\n".join(_lines(collected, comparisons, made_at)) + "\n"


def _lines(
    collected: CollectedSamples, comparisons: Sequence[MetricComparison], made_at: datetime
) -> Iterator[str]:
    sizes = ", ".join(f"{name} (n = {size})" for name, size in collected.groups.items())
    yield fill(f"Sessions by {collected.by}: {sizes or 'none'}.", _WIDTH)
    yield fill(
        f"{collected.sessions} sessions were looked at; {collected.ungrouped} have no"
        f" {collected.by}, {collected.unwanted} are of other groups."
        f" Made {made_at:%Y-%m-%d %H:%M} UTC.", _WIDTH,
    )  # fmt: skip
    if collected.pairs is not None:
        yield f"{collected.pairs} pairs."
    if collected.experiment is not None:
        yield fill(" ".join(collected.experiment.remarks), _WIDTH)
    yield ""
    yield fill(METHODS, _WIDTH)
    for comparison in comparisons:
        yield ""
        yield comparison.metric.name
        yield indent(fill(f"Counted: {comparison.metric.definition}.", _WIDTH - 2), "  ")
        for group in comparison.groups:
            yield f"  {_group(group)}"
        yield indent(fill(comparison.sentence, _WIDTH - 2), "  ")
        for figure in figures(comparison):
            value = f"{figure.value:.6g}" if isinstance(figure.value, float) else figure.value
            yield f"    {figure.test}, {figure.figure}: {value}"


def _group(group: Group) -> str:
    d = group.description
    reasons = "; ".join(f"{count} {reason}" for reason, count in group.left_out.items())
    left_out = f"; left out: {reasons}" if reasons else ""
    if d.mean is None or d.median is None:
        return f"{group.name}: n = 0{left_out}"
    sd = "" if d.sd is None else f", sd {d.sd:.4g}"
    return f"{group.name}: n = {d.n}, mean {d.mean:.4g}{sd}, median {d.median:.4g}{left_out}"
