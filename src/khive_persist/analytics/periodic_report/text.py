"""A report as plain text."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from textwrap import fill
from typing import Any, Final

from khive_persist.analytics.compare.report.elements import Cell
from khive_persist.analytics.periodic_report.tables import Table, tables

_WIDTH: Final = 78
_CELL_CHARACTERS: Final = 60


def title(report: Mapping[str, Any]) -> str:
    """Return a title, as in: Week 2026-W47, 2026-11-16 to 2026-11-23, set against 2026-W46."""
    word = str(report["period"]).capitalize()
    ends = f"{report['since'][:10]} to {report['until'][:10]}"
    return f"{word} {report['name']}, {ends}, set against {report['before']['name']}"


def text(report: Mapping[str, Any], made_at: datetime) -> str:
    """Return the report of `read_report`. No character in it moves a terminal's cursor."""
    return "\n".join(_lines(report, made_at)) + "\n"


def _lines(report: Mapping[str, Any], made_at: datetime) -> Iterator[str]:
    yield _plain(title(report))
    yield f"Days are those of UTC; the second one is not in it. Made {made_at:%Y-%m-%d %H:%M} UTC."
    yield ""
    for sentence in report["sentences"]:
        yield fill(_plain(sentence), _WIDTH, subsequent_indent="  ", break_long_words=False)
    if report["is_empty"]:
        return
    for table in tables(report):
        yield ""
        yield table.title
        yield from _table(table) if table.rows else [f"  {_plain(table.empty)}"]


def _table(table: Table) -> Iterator[str]:
    rows = [table.columns, *([_cell(cell) for cell in row] for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()


def _cell(value: Cell) -> str:
    if value is None:
        return "-"
    text = _plain(f"{value:.10g}" if isinstance(value, float) else str(value))
    return text if len(text) <= _CELL_CHARACTERS else text[: _CELL_CHARACTERS - 1] + "…"


def _plain(value: str) -> str:
    """On one line; what could move the cursor of a terminal is shown, not sent."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
