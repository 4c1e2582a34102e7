"""The rows of several tables in the order in which they were stored, from any place on."""

import heapq
import zlib
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from khive_persist.purposes import Purpose
from khive_persist.query import Filter
from khive_persist.store.codec import StoredRow, as_text
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.statements import COLUMNS, Source, Statement, select

_WINDOW_ROWS: Final = 500


class Stand(NamedTuple):
    """A place in one table: after a row, told by its number and a digest of its id.

    SQLite numbers rows anew when it packs a file, and gives the number of a deleted last row again;
    the digest shows it. 0 and 0 are the place before all rows.
    """

    rowid: int = 0
    digest: int = 0


class Stored(NamedTuple):
    """A row, and where one stands after it, in each table."""

    stands: tuple[Stand, ...]
    row: StoredRow


async def ends(reader: Reader, purposes: Sequence[Purpose]) -> tuple[Stand, ...]:
    """The places after all rows.

    Raises:
        StoreError: As its subclasses say.
    """
    return tuple([_stand(await reader.fetch(partial(_last, one))) for one in purposes])


async def are_there(reader: Reader, purposes: Sequence[Purpose], stands: Sequence[Stand]) -> bool:
    """Whether each place still is one: whether its row is there, or no row was before it.

    Raises:
        StoreError: As its subclasses say.
    """
    for purpose, stand in zip(purposes, stands, strict=True):
        found = await reader.fetch(partial(_row, purpose, stand.rowid))
        if stand.rowid and _stand(found) != stand:
            return False
    return True


async def following(
    reader: Reader,
    purposes: Sequence[Purpose],
    stands: Sequence[Stand],
    wanted: Sequence[Purpose],
    filters: Sequence[Filter],
    without: str,
) -> tuple[list[Stored], tuple[Stand, ...]]:
    """The next rows after some places, at most some hundred of each table.

    Each table's come in the order in which they were stored, and among each other by time.

    Args:
        reader: Reads the files of these purposes.
        purposes: All that have a place.
        stands: The places.
        wanted: Those of which rows are asked for; the others stay where they are.
        filters: Which rows.
        without: A field of `content` that is left out.

    Returns:
        The rows that pass, and the places after all that were looked at.

    Raises:
        StoreError: As its subclasses say.
    """
    found: list[list[tuple[str, int, Stand, StoredRow]]] = []
    after = list(stands)
    for number, purpose in enumerate(purposes):
        if purpose not in wanted:
            continue
        begin = stands[number].rowid
        upto = _stand(await reader.fetch(partial(_window, purpose, begin)))
        if upto.rowid <= begin:
            continue
        build = partial(_between, purpose, begin, upto.rowid, filters, without)
        rows = await reader.fetch(build)
        own = []
        for rowid, *row in rows:
            text = as_text(row)
            own.append((str(text[3]), number, Stand(rowid, _digest(text[0])), text))
        found.append(own)
        after[number] = upto
    stored = []
    running = list(stands)
    for _, number, stand, text in heapq.merge(*found, key=lambda one: one[0]):
        running[number] = stand
        stored.append(Stored(tuple(running), text))
    return stored, tuple(after)


def _stand(rows: Sequence[Any]) -> Stand:
    return Stand(rows[0][0], _digest(str(rows[0][1]))) if rows else Stand()


def _digest(id: str) -> int:
    return zlib.crc32(id.encode("utf-8", "surrogatepass"))


def _last(purpose: Purpose, source: Source) -> Statement:
    return _of(purpose, source, "SELECT rowid, id FROM {} ORDER BY rowid DESC LIMIT 1", [])


def _row(purpose: Purpose, rowid: int, source: Source) -> Statement:
    return _of(purpose, source, "SELECT rowid, id FROM {} WHERE rowid = ?", [rowid])


def _window(purpose: Purpose, after: int, source: Source) -> Statement:
    inner = f"SELECT rowid, id FROM {{}} WHERE rowid > ? ORDER BY rowid LIMIT {_WINDOW_ROWS}"
    outer = f"SELECT rowid, id FROM ({inner}) ORDER BY rowid DESC LIMIT 1"
    return _of(purpose, source, outer, [after])


def _of(purpose: Purpose, source: Source, sql: str, values: list[Any]) -> Statement:
    table = source.tables.get(purpose.name)
    if table is None:
        return Statement("SELECT 0, 0 LIMIT 0", [])
    return Statement(sql.replace("{}", table), values)


def _between(
    purpose: Purpose,
    after: int,
    upto: int,
    filters: Sequence[Filter],
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
    found = select(source._replace(sql=table), filters, columns=f"rowid, {columns}")
    return Statement(
        f"{found.sql} AND rowid > ? AND rowid <= ? ORDER BY rowid", [*found.values, after, upto]
    )
