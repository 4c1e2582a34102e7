"""Changing or removing many rows of one table, a batch at a time, while others write.

Each function raises a StoreError, as its subclasses say, where the file does not do as it is asked.
"""

import sqlite3
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from khive_persist.models.purposes import Purpose
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.source import COLUMNS
from khive_persist.store.sqlite import statements
from khive_persist.store.sqlite.connection import opened_reader, utc_text
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.named_rows import row_maker
from khive_persist.store.sqlite.sync_writer import FileWriter
from khive_persist.store.sqlite.transaction import Transaction
from khive_persist.store.sqlite.words import quoted

# Given a row: the row that takes its place, the same object, or None to remove it.
Change = Callable[[StoredRow], StoredRow | None]
# Given the ids of records that are about to be changed or removed.
Announce = Callable[[Sequence[str]], None]
_Revision = tuple[int, StoredRow, StoredRow | None]

_BATCH: Final = 500
_SIZE: Final = " + ".join(
    f"coalesce(length(CAST({column} AS BLOB)), 0)"
    for column in ("content", "node_metadata", "embedding")
)
# No number: the column's affinity would make one of it, and numbers sort below text.
_ABOVE_ALL: Final = ("9999-12-31 24", "")


class Selection(NamedTuple):
    """The rows that are looked at: a condition and its values.

    The condition is text of ours. `{created_at}` in it is the column as UTC text, or NULL where it
    cannot be read.
    """

    condition: str = "1"
    values: tuple[Any, ...] = ()


ALL: Final = Selection()


class Revised(NamedTuple):
    """Counts of the rows of a batch that were changed or removed, or would be.

    Attributes:
        looked_at: The rows that passed the condition.
        changed: Those of them that got other content.
        removed: Those of them that were removed.
        freed_bytes: The bytes that their columns hold less.
    """

    looked_at: int = 0
    changed: int = 0
    removed: int = 0
    freed_bytes: int = 0

    def plus(self, other: "Revised") -> "Revised":
        """Add the counts of another batch."""
        return Revised(*(mine + yours for mine, yours in zip(self, other, strict=True)))


def silent(_: Sequence[str]) -> None:
    """Announce nothing: nobody but the mirror keeps copies of the records."""


def revise(
    path: Path,
    purpose: Purpose,
    change: Change,
    timeout_seconds: float,
    selection: Selection = ALL,
    announce: Announce = silent,
) -> Iterator[Revised]:
    """Change or remove rows: all that was told is committed and synced when it ends.

    What is removed is overwritten with zeros in the file; see `shrink` for what is left of it.

    Args:
        announce: A function of the ids of the next rows that are changed or removed, called before
            they are.

    Raises:
        StoreError: As its subclasses say; batches before stay done.
    """
    with FileWriter(path, purpose, timeout_seconds, None, is_secure=True) as writer:
        yield from revise_through(writer, change, selection, announce)


def revise_through(
    writer: FileWriter, change: Change, selection: Selection = ALL, announce: Announce = silent
) -> Iterator[Revised]:
    """Revise as `revise` does, through a writer that is there."""
    # Opened in the turn of the writers: what others were about to commit is looked at, too.
    writer.open()
    path, table = writer.path, writer.purpose.table
    select = _select(writer.connection, table, selection)
    last = -1
    pending: list[_Revision] = []
    while True:
        # Nobody waits for who only looks: the lock is for what is to be written.
        with translated(path):
            batch = _fetch(writer.connection, select, last, selection)
        revisions = [(rowid, row, change(row)) for rowid, row in batch]
        pending += [revision for revision in revisions if revision[2] is not revision[1]]
        if len(pending) >= _BATCH or not batch:
            if pending:
                announce([row[0] for _, row, _ in pending])
            _write(writer, change, pending)
            pending.clear()
        if not batch:
            return
        last = batch[-1][0]
        yield _revised([(row, new) for _, row, new in revisions])


def _write(writer: FileWriter, change: Change, revisions: list[_Revision]) -> None:
    """Write what was found, unless somebody has written to the row since."""
    if not revisions:
        return
    with writer.transaction() as writing:
        rows = _fetch_rowids(
            writing.connection, writer.purpose.table, [rowid for rowid, _, _ in revisions]
        )
        for rowid, row, new in revisions:
            present = rows.get(rowid)
            if present is None or present[0] != row[0]:
                continue
            if present != row:
                row, new = present, change(present)
            if new is None:
                writing.delete_row(rowid)
            elif new is not row:
                _update(writing, rowid, row, new)


def rehearse(
    path: Path, purpose: Purpose, change: Change, selection: Selection = ALL
) -> Iterator[Revised]:
    """Yield what `revise` would do; nothing is written."""
    with opened_reader(path) as connection, translated(path):
        select = _select(connection, purpose.table, selection)
        last = -1
        while batch := _fetch(connection, select, last, selection):
            last = batch[-1][0]
            yield _revised([(row, change(row)) for _, row in batch])


def boundary(
    path: Path,
    table: str,
    *,
    keep_count: int | None = None,
    keep_bytes: int | None = None,
) -> tuple[str, str] | None:
    """Return the oldest row that stays, as its time in UTC and its id; None where all stay.

    Rows whose time cannot be read are not counted.

    Args:
        keep_count: The newest so many stay.
        keep_bytes: The newest stay whose columns hold so many bytes together.
    """
    count = total = 0
    oldest: tuple[str, str] | None = None
    with closing(newest_first(path, table, with_sizes=keep_bytes is not None)) as rows:
        for row in rows:
            count, total = count + 1, total + row.bytes
            if (keep_count is not None and count > keep_count) or (
                keep_bytes is not None and total > keep_bytes
            ):
                return oldest or _ABOVE_ALL
            oldest = row.at, row.id
    return None


class RowSize(NamedTuple):
    """A row's time in UTC, its id, and the bytes that its JSON columns hold."""

    at: str
    id: str
    bytes: int


def newest_first(
    path: Path, table: str, *, with_sizes: bool = True
) -> Generator[RowSize, None, None]:
    """Yield each row whose time can be read, without its size where that is not asked for."""
    with opened_reader(path) as connection, translated(path):
        created_at = _created_at(connection, table)
        cursor = connection.execute(
            f"SELECT {created_at} AS at, id, {_SIZE if with_sizes else 0} AS bytes"
            f" FROM {quoted(table)} WHERE {created_at} IS NOT NULL ORDER BY 1 DESC, 2 DESC"
        )
        yield from map(row_maker(RowSize, cursor), cursor)


def stored_bytes(path: Path, table: str) -> int:
    """Return how many bytes the JSON columns of all rows hold."""
    with opened_reader(path) as connection, translated(path):
        return statements.scalar(connection, f"SELECT sum({_SIZE}) FROM {quoted(table)}") or 0


def size_of(row: StoredRow) -> int:
    """Return how many bytes the JSON columns of a row hold."""
    return sum(len(value.encode("utf-8", "replace")) for value in (row[1], row[2], row[4]) if value)


def _created_at(connection: sqlite3.Connection, table: str) -> str:
    is_odd = statements.has_odd_created_at(connection, quoted(table))
    return "utc_text(created_at)" if is_odd else "created_at"


def _select(connection: sqlite3.Connection, table: str, selection: Selection) -> str:
    connection.create_function("utc_text", 1, utc_text, deterministic=True)
    condition = selection.condition.replace("{created_at}", _created_at(connection, table))
    return (
        f"SELECT rowid, {COLUMNS} FROM {quoted(table)}"
        f" WHERE rowid > ? AND ({condition}) ORDER BY rowid LIMIT {_BATCH}"
    )


def _fetch(
    connection: sqlite3.Connection, select: str, last: int, selection: Selection
) -> list[tuple[int, StoredRow]]:
    rows = connection.execute(select, (last, *selection.values)).fetchall()
    return [(row[0], codec.as_text(row[1:])) for row in rows]


def _fetch_rowids(
    connection: sqlite3.Connection, table: str, rowids: list[int]
) -> dict[int, StoredRow]:
    sql = (
        f"SELECT rowid, {COLUMNS} FROM {quoted(table)}"
        " WHERE rowid IN (SELECT value FROM json_each(?))"
    )
    rows = connection.execute(sql, (codec.dump(rowids),)).fetchall()
    return {row[0]: codec.as_text(row[1:]) for row in rows}


def _update(writing: Transaction, rowid: int, row: StoredRow, new: StoredRow) -> None:
    names = COLUMNS.split(", ")
    # Columns that stay keep the type that an old file gave them.
    values = {name: value for name, old, value in zip(names, row, new, strict=True) if old != value}
    if values:
        writing.update_row(rowid, list(values), list(values.values()))


def _revised(batch: list[tuple[StoredRow, StoredRow | None]]) -> Revised:
    changed_rows = [(row, new) for row, new in batch if new is not None and new != row]
    removed_rows = [row for row, new in batch if new is None]
    freed = sum(size_of(row) - size_of(new) for row, new in changed_rows)
    freed += sum(map(size_of, removed_rows))
    return Revised(len(batch), len(changed_rows), len(removed_rows), freed)
