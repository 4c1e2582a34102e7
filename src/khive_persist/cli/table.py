"""Lay out a table: within the width of a terminal, or whole for a pipe."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import click
from rich.cells import cell_len, set_cell_size

from khive_persist.cli.cells import CELL_CHARACTERS, cell
from khive_persist.cli.columns import GAP, Column, colour_of, column_of, fit
from khive_persist.cli.screen import is_screen, screen_width
from khive_persist.cli.times import times
from khive_persist.sessions.short_ids import shortest

# Longer values of a pipe's columns push what follows; else one of a megabyte would pad every line.
_PADDED_CELLS: Final = 64
# Columns without a value say least.
_EMPTY_PRIORITY: Final = 9

Row = Sequence[Any]


class Table:
    """A table of rows that are at hand, and of rows that follow.

    Args:
        columns: Columns, or the names of columns.
        rows: The rows that are at hand.
        short_ids: Short forms of ids, by the ids; else the shortest that differ in these rows.
        is_open: Whether other rows follow, for which there is to be room.
    """

    def __init__(
        self,
        columns: Sequence[str | Column],
        rows: Sequence[Row],
        short_ids: Mapping[str, str] | None = None,
        *,
        is_open: bool = False,
    ) -> None:
        self._columns = [
            _of_values(column_of(column), [row[i] for row in rows])
            for i, column in enumerate(columns)
        ]
        self._is_screen = is_screen()
        self._times = times()
        self._short_ids = short_ids
        texts = self._texts(rows)
        self._rows = [*zip(*texts, strict=True)]
        self._widths = self._fitted(texts, is_open=is_open)

    @property
    def hidden(self) -> list[str]:
        """The names of the columns with values that there is no room for."""
        return [
            column.name
            for i, column in enumerate(self._columns)
            if i not in self._widths and column.priority != _EMPTY_PRIORITY
        ]

    def lines(self) -> Iterator[str]:
        """Yield the heading and the rows."""
        yield self.heading()
        yield from map(self._line, self._rows)

    def heading(self) -> str:
        """Return the line above the rows."""
        return self._line([self._heading(column) for column in self._columns], is_heading=True)

    def line(self, row: Row) -> str:
        """Return one more row."""
        return self._line([texts[0] for texts in self._texts([row])])

    def _heading(self, column: Column) -> str:
        return cell(column.heading if self._is_screen else column.name, None)

    def _texts(self, rows: Sequence[Row]) -> list[list[str]]:
        """Return the texts of each column."""
        return [
            self._column_texts(column, [row[i] for row in rows])
            for i, column in enumerate(self._columns)
        ]

    def _column_texts(self, column: Column, values: Sequence[Any]) -> list[str]:
        if column.kind == "time":
            return self._times.texts(values)
        if self._is_screen and column.kind == "id":
            values = _shortened(values, self._short_ids)
        limit = CELL_CHARACTERS if self._is_screen else None
        return [cell(value, limit) for value in values]

    def _fitted(self, texts: list[list[str]], *, is_open: bool) -> dict[int, int]:
        widths = [
            max(map(cell_len, [self._heading(column), *column_texts]))
            for column, column_texts in zip(self._columns, texts, strict=True)
        ]
        if is_open:
            widths = [
                screen_width() if column.kind == "prose" else max(width, column.minimum)
                for column, width in zip(self._columns, widths, strict=True)
            ]
        if not self._is_screen:
            return {i: min(width, _PADDED_CELLS) for i, width in enumerate(widths)}
        return fit(self._columns, widths, screen_width())

    def _line(self, texts: Sequence[str], *, is_heading: bool = False) -> str:
        parts = []
        last = max(self._widths)
        for i, width in self._widths.items():
            column, text = self._columns[i], texts[i]
            if self._is_screen:
                text = _cut(text, width, at_start=column.kind == "path" and not is_heading)
            padding = " " * max(0, width - cell_len(text))
            colour = None if is_heading else colour_of(column, text)
            is_dim = column.kind == "time" and not is_heading
            styled = (
                click.style(text, fg=colour, bold=is_heading or None, dim=is_dim or None)
                if text.strip() and (colour or is_heading or is_dim)
                else text
            )
            if column.kind == "number":
                parts.append(padding + styled)
            else:
                parts.append(styled + (padding if i != last else ""))
        return (" " * GAP).join(parts).rstrip()


def _cut(text: str, width: int, *, at_start: bool) -> str:
    if cell_len(text) <= width:
        return text
    if not at_start:
        return set_cell_size(text, width - 1).rstrip() + "…" if width > 1 else "…"[:width]
    while cell_len(text) >= width and text:
        text = text[1:]
    return "…" + text


def _of_values(column: Column, values: Sequence[Any]) -> Column:
    """Return the column as what is in it wants it."""
    present = [value for value in values if value not in (None, "")]
    if values and not present and column.priority:
        return column._replace(priority=_EMPTY_PRIORITY)
    if column.kind == "text" and present:
        if all(isinstance(value, datetime) for value in present):
            return column._replace(kind="time")
        if all(type(value) in (int, float) for value in present):
            return column._replace(kind="number")
    return column


def _shortened(values: Sequence[Any], short_ids: Mapping[str, str] | None) -> list[Any]:
    """Shorten ids; brackets around the whole of one stay."""
    ids = [_without_brackets(value) if isinstance(value, str) else None for value in values]
    short = shortest({id for id in ids if id is not None}) | dict(short_ids or {})
    return [
        value if id is None else value.replace(id, short[id], 1)
        for id, value in zip(ids, values, strict=True)
    ]


def _without_brackets(text: str) -> str:
    return text[1:-1] if text.startswith("(") and text.endswith(")") else text
