"""Formats that rows are exported to, one file each."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

from khive_persist.models.purposes import Purpose
from khive_persist.store.codec import StoredRow
from khive_persist.transfer.columns import Column


class Table(NamedTuple):
    """Rows of one purpose, and the columns that its fields are shown in."""

    purpose: Purpose
    columns: tuple[Column, ...]


class RowWriter(ABC):
    """Writes rows to a binary file that others open and close.

    It is told all tables when it is made. `begin`, then any number of `write`, a table after the
    other; `end` once, and then the file holds all of it. To stop before `end`, call `abandon`.
    """

    def begin(self, table: Table) -> None:
        """Begin the next table."""
        self._table = table

    @abstractmethod
    def write(self, rows: Sequence[StoredRow]) -> None:
        """Write rows of the table that was begun last."""

    def end(self) -> None:  # noqa: B027 - most have nothing to finish
        """Finish the file."""

    def abandon(self) -> None:  # noqa: B027
        """Release all resources; the file is of no use."""


def all_columns(tables: Sequence[Table]) -> list[Column]:
    """Return the columns of several tables in one, each name once."""
    columns_by_name = {
        column.name: column for table in reversed(tables) for column in table.columns
    }
    ordered = dict.fromkeys(column.name for table in tables for column in table.columns)
    return [columns_by_name[name] for name in ordered]


def values(table: Table, columns: Sequence[Column], content: Any) -> list[Any]:
    """Return the fields of one row of a table, for columns of several; None for those of others."""
    columns_by_name = {column.name: column for column in table.columns}
    return [
        columns_by_name[c.name].value(content) if c.name in columns_by_name else None
        for c in columns
    ]
