"""Rows as CSV (RFC 4180): text always in quotes, numbers and what is missing never.

So NULL and an empty text differ, and a number and the text of its digits.
"""

from collections.abc import Sequence
from typing import IO, Any

from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.transfer.cells import spelled
from khive_persist.transfer.columns import ENVELOPE, Column
from khive_persist.transfer.formulas import neutralise
from khive_persist.transfer.writing import RowWriter, Table, all_columns, values


class CsvWriter(RowWriter):
    """Writes one header with the columns of all tables, then a line a row."""

    def __init__(self, file: IO[bytes], tables: Sequence[Table]) -> None:
        self._file = file
        self._columns = all_columns(tables)
        self._file.write(head(self._columns))

    def write(self, rows: Sequence[StoredRow]) -> None:
        for row in rows:
            self._file.write(line_of(self._table, self._columns, row))


def head(columns: Sequence[Column]) -> bytes:
    """Return the first line of rows that have these fields."""
    return line([*ENVELOPE[:3], *(column.name for column in columns), *ENVELOPE[3:]])


def line_of(table: Table, columns: Sequence[Column], row: StoredRow) -> bytes:
    """Return a row of a table as a line, under the columns of several."""
    id, content, metadata, created_at, embedding = row
    fields = values(table, columns, codec.column(content))
    cells = [id, table.purpose.name, created_at, *fields, content, metadata, embedding]
    return line(cells)


def line(cells: Sequence[Any]) -> bytes:
    """Format values as one line; text that would be run as a formula is neutralised."""
    return (",".join(map(_cell, cells)) + "\r\n").encode("utf-8", "replace")


def _cell(value: Any) -> str:
    text = spelled(value)
    if value is None or isinstance(value, bool | int | float):
        return text
    text = neutralise(text)
    return '"' + text.replace('"', '""') + '"'
