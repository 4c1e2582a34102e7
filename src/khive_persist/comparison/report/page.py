"""A comparison as one HTML file, that asks no network for anything and has no script."""

import base64
import html
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from khive_persist.comparison.collecting import Collected
from khive_persist.comparison.comparing import Compared
from khive_persist.comparison.report import plots
from khive_persist.comparison.report.figures import GROUP_COLUMNS, Cell, figures, group_rows
from khive_persist.comparison.sentence import sentence

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --dim: #777; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .15rem .8rem .15rem 0; border-bottom: 1px solid var(--line); }
.scroll { overflow-x: auto; } .definition { color: var(--dim); margin: 0; }
img { max-width: 100%; background: #fff; border-radius: 4px; margin: .4rem 0; }
details { margin: .5rem 0; }
"""


def page(found: Collected, compared: Sequence[Compared], made_at: datetime) -> str:
    """The report of a comparison. Names of groups, which come from records, are text in it."""
    tested = sum(one.p is not None for one in compared)
    parts = [
        "<!doctype html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
        " img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(_title(found))}</title>", f"<style>{_STYLE}</style>", "</head>", "<body>",
        f"<h1>{_text(_title(found))}</h1>", f"<p>{_text(_scope(found, made_at))}</p>",
        *(f"<p>{_text(sentence(one, tested))}</p>" for one in compared if one.p is not None),
        *_picture(plots.effects(compared), "Effect sizes with their 95% intervals"),
        *(part for one in compared for part in _metric(one, found, tested)),
        "<h2>All groups</h2>", *_table(GROUP_COLUMNS, group_rows(list(compared))),
        f"<p>{_text(METHODS)}</p>", "</body>", "</html>", "",
    ]  # fmt: skip
    return "\n".join(parts)


METHODS: Final = (
    "The test of each metric was chosen before its values were seen: Welch's t of two groups,"
    " Fisher's exact test of shares, Welch's analysis of variance with Games and Howell's pairs of"
    " more groups, the paired t of pairs. p is two-sided. p_holm bounds the chance of one wrong"
    " finding among all metrics of this report, p_bh the share of wrong ones among the findings"
    " (Benjamini and Hochberg). Intervals are of 95%: of effect sizes exact by the noncentral t, of"
    " medians by the bootstrap (BCa, 9,999 resamples), of shares Newcombe's. Normality (Shapiro and"
    " Wilk), spread (Brown and Forsythe) and outliers (Tukey's fences) are shown; no test is chosen"
    " by them."
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


def _metric(one: Compared, found: Collected, tested: int) -> Iterable[str]:
    yield f"<h2>{_text(one.metric.name)}</h2>"
    yield f'<p class="definition">{_text(one.metric.definition)}.</p>'
    yield f"<p>{_text(sentence(one, tested))}</p>"
    reasons = [
        f"{group.name}: {count} {reason}"
        for group in one.groups
        for reason, count in group.left_out.items()
    ]
    if reasons:
        yield f'<p class="definition">Left out, {_text("; ".join(reasons[:20]))}.</p>'
    if any(group.description.n for group in one.groups):
        yield from _picture(
            plots.distributions(one, found.samples[one.metric]), f"{one.metric.name} by group"
        )
    days = found.days.get(one.metric, {})
    yield from _picture(plots.over_time(one, days), f"Mean {one.metric.name} by day")
    yield "<details><summary>All figures</summary>"
    yield from _table(("test", "figure", "value"), (row[1:] for row in figures(one)))
    yield "</details>"


def _picture(svg: bytes | None, says: str) -> Iterable[str]:
    if svg is not None:
        data = base64.b64encode(svg).decode()
        yield f'<img alt="{_text(says)}" src="data:image/svg+xml;base64,{data}">'


def _table(names: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterable[str]:
    yield '<div class="scroll"><table><thead><tr>'
    yield "".join(f"<th>{_text(name)}</th>" for name in names)
    yield "</tr></thead><tbody>"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{_text(_cell(cell))}</td>" for cell in row) + "</tr>"
    yield "</tbody></table></div>"


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _text(value: str) -> str:
    return html.escape(value)
