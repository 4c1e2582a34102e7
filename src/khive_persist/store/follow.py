"""The end of a table, and the rows that are added to it."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from khive_persist.models.query import Filter
from khive_persist.store.source import Source, Statement, select

_REMEMBERED_ROWS: Final = 100
_CHUNK_ROWS: Final = 500

Fetch = Callable[[Callable[[Source], Statement]], Awaitable[list[Any]]]


class Tail:
    """The rows that were added to one table since the last look.

    SQLite gives the rowid of a deleted last row again. So the latest rows are remembered, and the
    table is read on from the last of them that is still there. Where more were deleted at once, it
    is read on from its end.
    """

    def __init__(self, purpose: str, fetch: Fetch) -> None:
        self._purpose = purpose
        self._fetch = fetch
        self._seen: list[tuple[int, str]] = []

    async def skip(self) -> None:
        """Go to the end."""
        rows = await self._rowids("ORDER BY rowid DESC LIMIT ?", _REMEMBERED_ROWS)
        self._seen = rows[::-1]

    async def read(self, filters: Iterable[Filter]) -> list[Any]:
        """Return at most some hundred next rows that pass every filter, in the order of storing."""
        first = self._seen[0][0] if self._seen else 0
        following = "WHERE rowid >= ? ORDER BY rowid LIMIT ?"
        rows = await self._rowids(following, first, _REMEMBERED_ROWS + _CHUNK_ROWS)
        present = set(rows)
        while self._seen and self._seen[-1] not in present:
            self._seen.pop()
        if first and not rows:
            await self.skip()
            return []
        last = self._seen[-1][0] if self._seen else first - 1
        added = [row for row in rows if row[0] > last]
        if not added:
            return []
        self._seen = [*self._seen, *added][-_REMEMBERED_ROWS:]

        def build(source: Source) -> Statement:
            sql, values = select(source.only(self._purpose), filters)
            between = f"{sql} AND rowid BETWEEN ? AND ? ORDER BY rowid"
            return Statement(between, [*values, added[0][0], added[-1][0]])

        return await self._fetch(build)

    async def _rowids(self, clauses: str, *values: int) -> list[tuple[int, str]]:
        def build(source: Source) -> Statement:
            table = source.only(self._purpose).sql
            return Statement(f"SELECT rowid, id FROM {table} {clauses}", [*values])

        return [(rowid, id) for rowid, id in await self._fetch(build)]
