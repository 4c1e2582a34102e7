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
        self._file.write(line(names(self._columns)))

    def write(self, rows: Sequence[StoredRow]) -> None:
        for row in rows:
            self._file.write(line(cells(self._table, self._columns, row)))


def names(columns: Sequence[Column]) -> list[str]:
    """Return the first line of rows that have these fields, as values."""
    return [*ENVELOPE[:3], *(column.name for column in columns), *ENVELOPE[3:]]


def cells(table: Table, columns: Sequence[Column], row: StoredRow) -> list[Any]:
    """Return the values of a row of a table, under the columns of several."""
    id, content, metadata, created_at, embedding = row
    fields = values(table, columns, codec.column(content))
    return [id, table.purpose.name, created_at, *fields, content, metadata, embedding]


def line(row: Sequence[Any]) -> bytes:
    """Format values as one line; text that would be run as a formula is neutralised."""
    return (",".join(map(_cell, row)) + "\r\n").encode("utf-8", "replace")


def _cell(value: Any) -> str:
    text = spelled(value)
    if value is None or isinstance(value, bool | int | float):
        return text
    text = neutralise(text)
    return '"' + text.replace('"', '""') + '"'
