"""`PostgresTail`: the rows that were added to a table since the last look."""

from collections.abc import Iterable
from typing import Any, Final

from khive_persist.models.query import Filter
from khive_persist.store.postgres.reader import PostgresReader
from khive_persist.store.source import Source, Statement, select

_NOW: Final = "SELECT pg_current_snapshot()::text"


class PostgresTail:
    """The rows that became visible between two snapshots of the database.

    Numbers that are counted up tell nothing of it: transactions end in another order.
    """

    def __init__(self, reader: PostgresReader) -> None:
        self._reader = reader
        self._snapshot = ""

    async def skip(self) -> None:
        """Go to the end."""
        self._snapshot = await self._now()

    async def read(self, filters: Iterable[Filter]) -> list[Any]:
        """Return the next rows that pass every filter, in the order in which they were written."""
        now = await self._now()
        last, self._snapshot = self._snapshot, now

        def build(source: Source) -> Statement:
            sql, values = select(source, filters, columns=source.columns)
            added = (
                " AND written_by >= pg_snapshot_xmin(?::text::pg_snapshot)"
                " AND NOT pg_visible_in_snapshot(written_by, ?::text::pg_snapshot)"
                " AND pg_visible_in_snapshot(written_by, ?::text::pg_snapshot) ORDER BY seq"
            )
            return Statement(sql + added, [*values, last, last, now])

        return await self._reader.fetch(build)

    async def _now(self) -> str:
        rows = await self._reader.fetch(lambda _: Statement(_NOW, []))
        return str(rows[0][0])
