"""Write a timeline as lines on a terminal: `show` prints all, `replay` each as it becomes due."""

from collections.abc import Iterator
from typing import Final

import click

from khive_persist.cli.cells import cell
from khive_persist.cli.times import times
from khive_persist.sessions.timeline.entry import Entry
from khive_persist.sessions.timeline.labels import short_duration

_COLOURS: Final = {
    "prompt": "cyan", "tool": "yellow", "focus": "magenta", "plan": "blue", "event": "white",
}  # fmt: skip


class TimelineLines:
    """Makes lines of entries, one after the other: a new day and new totals are said once.

    Colours are for a terminal only, where click leaves them.
    """

    def __init__(self) -> None:
        self._times = times()
        self._day = ""
        self._printed_totals: tuple[int, float | None, int] = (0, None, 0)

    def render(self, entry: Entry) -> Iterator[str]:
        """Yield the lines of the next entry."""
        at = self._times.shift(entry.at)
        if f"{at:%Y-%m-%d}" != self._day:
            self._day = f"{at:%Y-%m-%d}"
            yield click.style(self._day, bold=True)
        indent = "    " * entry.depth
        if entry.kind == "gap":
            yield click.style(f"          {indent}… {entry.title}", dim=True)
            return
        mark = "  failed" if entry.is_failed else ""
        if entry.duration_ms is not None:
            mark += f"  {short_duration(entry.duration_ms)}"
        colour = "red" if entry.is_failed else _COLOURS.get(entry.kind)
        head = f"{at:%H:%M:%S}  {indent}{entry.kind:<8}"
        totals = (entry.tokens, entry.cost, entry.unpriced)
        running = click.style(_running(*totals), dim=True) if totals != self._printed_totals else ""
        self._printed_totals = totals
        yield (
            click.style(head, dim=True) + click.style(cell(entry.title), fg=colour) + mark + running
        )
        for line in entry.lines:
            yield " " * 18 + indent + _styled(entry, cell(line, limit=None))


def _running(tokens: int, cost: float | None, unpriced: int) -> str:
    dollars = f", ${cost:.4f}" if cost is not None else ""
    return f"  [{tokens:,} tokens{dollars}" + (f" + {unpriced} unpriced]" if unpriced else "]")


def _styled(entry: Entry, line: str) -> str:
    if entry.kind == "tool" and line[:1] in "+-" and line:
        return click.style(line, fg="green" if line[0] == "+" else "red")
    return click.style(line, dim=entry.kind in ("tool", "thinking"))
