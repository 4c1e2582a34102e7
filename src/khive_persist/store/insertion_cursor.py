"""The rows of several tables in the order in which they were stored, from any cursor on.

Each function raises a StoreError, as its subclasses say, where a file cannot be read.
"""

import heapq
import zlib
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from khive_persist.models.purposes import Purpose
from khive_persist.models.query import Filter
from khive_persist.store.codec import StoredRow, as_text
from khive_persist.store.reader import Reader
from khive_persist.store.source import COLUMNS, Source, Statement, passing
from khive_persist.store.sqlite.statements import content_without

_WINDOW_ROWS: Final = 500
_COLUMNS: Final = len(COLUMNS.split(", "))
_LAST_ROWID: Final = 2**63 - 1
_LAST: Final = "SELECT rowid, id FROM {} ORDER BY rowid DESC LIMIT 1"
_AT: Final = "SELECT rowid, id FROM {} WHERE rowid = ?"
_WINDOW: Final = _LAST.format(
    "(SELECT rowid, id FROM {} WHERE rowid > ? AND rowid <= ?"
    f" ORDER BY rowid LIMIT {_WINDOW_ROWS})"
)


class Cursor(NamedTuple):
    """A position in one table: after a row, known by its number and a digest of its id.

    SQLite numbers rows anew when it packs a file, and gives the number of a deleted last row again;
    the digest shows it. 0 and 0 are the position before all rows.
    """

    rowid: int = 0
    digest: int = 0


class _Row(NamedTuple):
    rowid: int
    id: object


class Wish(NamedTuple):
    """The rows that are asked for.

    Attributes:
        purposes: The tables that they are in.
        filters: Conditions that they all pass.
    """

    purposes: Sequence[Purpose]
    filters: Sequence[Filter] = ()


class Stored(NamedTuple):
    """A row, and the cursors after it.

    Attributes:
        cursors: The position in each table.
        row: The row.
        wished: The numbers of the wishes that it is one of.
    """

    cursors: tuple[Cursor, ...]
    row: StoredRow
    wished: tuple[int, ...]


async def ends(reader: Reader, purposes: Sequence[Purpose]) -> tuple[Cursor, ...]:
    """Return the cursors after all rows."""
    return tuple([await _cursor(reader, purpose, _LAST) for purpose in purposes])


async def are_there(reader: Reader, purposes: Sequence[Purpose], cursors: Sequence[Cursor]) -> bool:
    """Return whether each cursor holds: whether its row is there, or no row was before it."""
    for purpose, cursor in zip(purposes, cursors, strict=True):
        if cursor.rowid and await _cursor(reader, purpose, _AT, cursor.rowid) != cursor:
            return False
    return True


async def following(
    reader: Reader,
    purposes: Sequence[Purpose],
    cursors: Sequence[Cursor],
    wishes: Sequence[Wish],
    without: str,
    upto: Sequence[Cursor] | None = None,
) -> tuple[list[Stored], tuple[Cursor, ...]]:
    """Return the next rows after some cursors, at most some hundred of each table.

    Each table's come in the order in which they were stored, and among each other by time.

    Args:
        purposes: All that have a cursor.
        cursors: The positions to read on from.
        wishes: The rows that are asked for; any other is passed over.
        without: A field of `content` that is left out.
        upto: The last positions that are looked at; without, the ends.

    Returns:
        The rows that are in a wish, and the cursors after all that were looked at.
    """
    rows_by_table: list[list[tuple[str, int, Cursor, StoredRow, tuple[int, ...]]]] = []
    next_cursors = list(cursors)
    for number, purpose in enumerate(purposes):
        start = cursors[number].rowid
        last = _LAST_ROWID if upto is None else upto[number].rowid
        if last <= start:
            continue
        end = await _cursor(reader, purpose, _WINDOW, start, last)
        if end.rowid <= start:
            continue
        next_cursors[number] = end
        filters = {at: wish.filters for at, wish in enumerate(wishes) if purpose in wish.purposes}
        if not filters:
            continue
        build = partial(_between, purpose, start, end.rowid, list(filters.values()), without)
        rows = []
        for rowid, *row in await reader.fetch(build):
            wished = tuple(at for at, passes in zip(filters, row[_COLUMNS:], strict=True) if passes)
            if wished:
                text = as_text(row[:_COLUMNS])
                cursor = Cursor(rowid, _digest(text[0]))
                rows.append((str(text[3]), number, cursor, text, wished))
        rows_by_table.append(rows)
    results = []
    running = list(cursors)
    for _, number, cursor, text, wished in heapq.merge(*rows_by_table, key=lambda row: row[0]):
        running[number] = cursor
        results.append(Stored(tuple(running), text, wished))
    return results, tuple(next_cursors)


async def _cursor(reader: Reader, purpose: Purpose, sql: str, *values: int) -> Cursor:
    """Return the cursor after the row of a statement; that before all rows where it has none."""
    rows = await reader.fetch_as(_Row, partial(_of, purpose, sql, values))
    return Cursor(rows[0].rowid, _digest(str(rows[0].id))) if rows else Cursor()


def _digest(id: str) -> int:
    return zlib.crc32(id.encode("utf-8", "surrogatepass"))


def _of(purpose: Purpose, sql: str, values: Sequence[Any], source: Source) -> Statement:
    return Statement(sql.replace("{}", source.only(purpose.name).sql), [*values])


def _between(
    purpose: Purpose,
    start: int,
    upto: int,
    wishes: Sequence[Sequence[Filter]],
    without: str,
    source: Source,
) -> Statement:
    columns = COLUMNS.replace("content", content_without(without))
    values: list[Any] = []
    for filters in wishes:
        wished = passing(source, filters)
        columns += f", ({wished.sql})"
        values += wished.values
    sql = f"SELECT rowid, {columns} FROM {{}} WHERE rowid > ? AND rowid <= ? ORDER BY rowid"
    return _of(purpose, sql, [*values, start, upto], source)
