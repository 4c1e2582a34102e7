"""The rows of several tables in the order in which they were stored, from any place on."""

import heapq
import zlib
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from khive_persist.models.purposes import Purpose
from khive_persist.models.query import Filter
from khive_persist.store.codec import StoredRow, as_text
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.statements import COLUMNS, Source, Statement, passing

_WINDOW_ROWS: Final = 500
_COLUMNS: Final = len(COLUMNS.split(", "))
_LAST_ROWID: Final = 2**63 - 1


class Stand(NamedTuple):
    """A place in one table: after a row, told by its number and a digest of its id.

    SQLite numbers rows anew when it packs a file, and gives the number of a deleted last row again;
    the digest shows it. 0 and 0 are the place before all rows.
    """

    rowid: int = 0
    digest: int = 0


class Wish(NamedTuple):
    """The rows that are asked for.

    Attributes:
        purposes: The tables that they are in.
        filters: Conditions that they all pass.
    """

    purposes: Sequence[Purpose]
    filters: Sequence[Filter] = ()


class Stored(NamedTuple):
    """A row, and where one stands after it, in each table.

    Attributes:
        stands: The places.
        row: The row.
        wished: The numbers of the wishes that it is one of.
    """

    stands: tuple[Stand, ...]
    row: StoredRow
    wished: tuple[int, ...]


async def ends(reader: Reader, purposes: Sequence[Purpose]) -> tuple[Stand, ...]:
    """Return the places after all rows.

    Raises:
        StoreError: As its subclasses say.
    """
    return tuple([_stand(await reader.fetch(partial(_last, purpose))) for purpose in purposes])


async def are_there(reader: Reader, purposes: Sequence[Purpose], stands: Sequence[Stand]) -> bool:
    """Return whether each place still is one: whether its row is there, or no row was before it.

    Raises:
        StoreError: As its subclasses say.
    """
    for purpose, stand in zip(purposes, stands, strict=True):
        rows = await reader.fetch(partial(_row, purpose, stand.rowid))
        if stand.rowid and _stand(rows) != stand:
            return False
    return True


async def following(
    reader: Reader,
    purposes: Sequence[Purpose],
    stands: Sequence[Stand],
    wishes: Sequence[Wish],
    without: str,
    upto: Sequence[Stand] | None = None,
) -> tuple[list[Stored], tuple[Stand, ...]]:
    """Return the next rows after some places, at most some hundred of each table.

    Each table's come in the order in which they were stored, and among each other by time.

    Args:
        reader: Reads the files of these purposes.
        purposes: All that have a place.
        stands: The places.
        wishes: The rows that are asked for; any other is passed over.
        without: A field of `content` that is left out.
        upto: The last places that are looked at; without, the ends.

    Returns:
        The rows that are in a wish, and the places after all that were looked at.

    Raises:
        StoreError: As its subclasses say.
    """
    rows_by_table: list[list[tuple[str, int, Stand, StoredRow, tuple[int, ...]]]] = []
    next_cursors = list(stands)
    for number, purpose in enumerate(purposes):
        start = stands[number].rowid
        last = _LAST_ROWID if upto is None else upto[number].rowid
        if last <= start:
            continue
        end = _stand(await reader.fetch(partial(_window, purpose, start, last)))
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
                stand = Stand(rowid, _digest(text[0]))
                rows.append((str(text[3]), number, stand, text, wished))
        rows_by_table.append(rows)
    results = []
    running = list(stands)
    for _, number, stand, text, wished in heapq.merge(*rows_by_table, key=lambda row: row[0]):
        running[number] = stand
        results.append(Stored(tuple(running), text, wished))
    return results, tuple(next_cursors)


def _stand(rows: Sequence[Any]) -> Stand:
    return Stand(rows[0][0], _digest(str(rows[0][1]))) if rows else Stand()


def _digest(id: str) -> int:
    return zlib.crc32(id.encode("utf-8", "surrogatepass"))


def _last(purpose: Purpose, source: Source) -> Statement:
    return _of(purpose, source, "SELECT rowid, id FROM {} ORDER BY rowid DESC LIMIT 1", [])


def _row(purpose: Purpose, rowid: int, source: Source) -> Statement:
    return _of(purpose, source, "SELECT rowid, id FROM {} WHERE rowid = ?", [rowid])


def _window(purpose: Purpose, start: int, last: int, source: Source) -> Statement:
    inner = (
        "SELECT rowid, id FROM {} WHERE rowid > ? AND rowid <= ?"
        f" ORDER BY rowid LIMIT {_WINDOW_ROWS}"
    )
    outer = f"SELECT rowid, id FROM ({inner}) ORDER BY rowid DESC LIMIT 1"
    return _of(purpose, source, outer, [start, last])


def _of(purpose: Purpose, source: Source, sql: str, values: list[Any]) -> Statement:
    table = source.tables.get(purpose.name)
    if table is None:
        return Statement("SELECT 0, 0 LIMIT 0", [])
    return Statement(sql.replace("{}", table), values)


def _between(
    purpose: Purpose,
    start: int,
    upto: int,
    wishes: Sequence[Sequence[Filter]],
    without: str,
    source: Source,
) -> Statement:
    table = source.tables.get(purpose.name)
    if table is None:
        return Statement("SELECT 0 LIMIT 0", [])
    columns = COLUMNS.replace(
        "content",
        "CASE WHEN json_valid(content) AND json_type(content) = 'object'"
        f" THEN json_remove(content, '$.{without}') ELSE content END",
    )
    values: list[Any] = []
    for filters in wishes:
        wished = passing(source, filters)
        columns += f", ({wished.sql})"
        values += wished.values
    sql = f"SELECT rowid, {columns} FROM {table} WHERE rowid > ? AND rowid <= ? ORDER BY rowid"
    return Statement(sql, [*values, start, upto])
