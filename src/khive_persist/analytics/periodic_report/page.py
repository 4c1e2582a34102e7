"""A report as one HTML file, that asks no network for anything and has no script."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from khive_persist.analytics.compare.report.elements import document, picture, table, text
from khive_persist.analytics.periodic_report import plots
from khive_persist.analytics.periodic_report.tables import tables
from khive_persist.analytics.periodic_report.text import title

METHODS: Final = (
    "Days are those of UTC, and weeks begin on Monday (ISO 8601). A tool call counts by its end,"
    " once; one without an end is not counted. A median is the 50th percentile, p95 the 95th, by"
    " nearest rank: lengths that were measured. Costs are list prices of tokens, when they were"
    " said; a message of a model without a price has none. A session of several models, projects or"
    " AI tools counts in each of them. Its cost, failures and duration here are those within the"
    " time. In the comparison a session is of the time in which it started; tests, p and its"
    " adjustment by Holm are those of khive-persist compare. Numbers that are infinite or above"
    " 1e70 are in no sum and no comparison."
)


def page(report: Mapping[str, Any], made_at: datetime) -> str:
    """Return the page of a report of `read_report`. What comes from records is text in it."""
    parts = [
        f"<h1>{text(title(report))}</h1>",
        f"<p>Made {made_at:%Y-%m-%d %H:%M} UTC.</p>",
        *(f"<p>{text(sentence)}</p>" for sentence in report["sentences"]),
    ]
    if not report["is_empty"]:
        parts += _body(report)
    return document(title(report), parts)


def _body(report: Mapping[str, Any]) -> Iterable[str]:
    pictures = {
        "Days": (plots.days(report), "Each day beside the same day of the week before"),
        "Slowest tools": (plots.tools(report), "Time of each tool in all"),
    }
    for report_table in tables(report):
        yield f"<h2>{text(report_table.title)}</h2>"
        yield from picture(*pictures.get(report_table.title, (None, "")))
        if report_table.rows:
            yield from table(report_table.columns, report_table.rows)
        else:
            yield f'<p class="definition">{text(report_table.empty)}</p>'
        if report_table.title == "Sessions against those before":
            yield from _tested(report)
    yield f"<p>{text(METHODS)}</p>"


def _tested(report: Mapping[str, Any]) -> Iterable[str]:
    """Yield the sentences of what was tested; why the others were not, once for each reason."""
    metrics = report["comparison"] or ()
    for metric in metrics:
        if metric["p"] is not None:
            yield f"<p>{text(metric['sentence'])}</p>"
    untested: dict[str, list[str]] = {}
    for metric in metrics:
        if metric["p"] is None:
            untested.setdefault(metric["refusal"], []).append(metric["metric"]["name"])
    for reason, names in untested.items():
        yield f'<p class="definition">{text(", ".join(names))}: {text(reason)}.</p>'
