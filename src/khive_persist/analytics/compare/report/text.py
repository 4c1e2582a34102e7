"""A comparison as plain text, fit for an appendix."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from textwrap import fill, indent

from khive_persist.analytics.compare.collect import Collected
from khive_persist.analytics.compare.compare import Compared, Group
from khive_persist.analytics.compare.experiment import remarks
from khive_persist.analytics.compare.report.figures import figures
from khive_persist.analytics.compare.report.page import METHODS
from khive_persist.analytics.compare.summary import sentence

_WIDTH = 78


def text(found: Collected, compared: Sequence[Compared], made_at: datetime) -> str:
    """The report, in lines of at most 78 characters but for long names."""
    return "\n".join(_lines(found, compared, made_at)) + "\n"


def _lines(found: Collected, compared: Sequence[Compared], made_at: datetime) -> Iterator[str]:
    tested = sum(one.p is not None for one in compared)
    sizes = ", ".join(f"{name} (n = {size})" for name, size in found.groups.items())
    yield fill(f"Sessions by {found.by}: {sizes or 'none'}.", _WIDTH)
    yield fill(
        f"{found.sessions} sessions were looked at; {found.ungrouped} have no {found.by},"
        f" {found.unwanted} are of other groups. Made {made_at:%Y-%m-%d %H:%M} UTC.", _WIDTH,
    )  # fmt: skip
    if found.pairs is not None:
        yield f"{found.pairs} pairs."
    if found.experiment is not None:
        yield fill(" ".join(remarks(found.experiment)), _WIDTH)
    yield ""
    yield fill(METHODS, _WIDTH)
    for one in compared:
        yield ""
        yield one.metric.name
        yield indent(fill(f"Counted: {one.metric.definition}.", _WIDTH - 2), "  ")
        for group in one.groups:
            yield f"  {_group(group)}"
        yield indent(fill(sentence(one, tested), _WIDTH - 2), "  ")
        for figure in figures(one):
            value = f"{figure.value:.6g}" if isinstance(figure.value, float) else figure.value
            yield f"    {figure.test}, {figure.figure}: {value}"


def _group(group: Group) -> str:
    d = group.description
    left = "; ".join(f"{count} {reason}" for reason, count in group.left_out.items())
    aside = f"; left out: {left}" if left else ""
    if d.mean is None or d.median is None:
        return f"{group.name}: n = 0{aside}"
    sd = "" if d.sd is None else f", sd {d.sd:.4g}"
    return f"{group.name}: n = {d.n}, mean {d.mean:.4g}{sd}, median {d.median:.4g}{aside}"
