"""`PostgresReader`: reads the tables of a class of records as one."""

import re
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from itertools import count
from typing import Any, Final, TypeVar

from khive_persist import clock
from khive_persist.models.purposes import Purpose
from khive_persist.store.postgres.pool import Database
from khive_persist.store.postgres.source import PostgresSource, quoted, source_of
from khive_persist.store.source import Source, Statement

Record = TypeVar("Record")
Build = Callable[[Source], Statement]

_PAGE_ROWS: Final = 500
_TOKENS: Final = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\?""")


class PostgresReader:
    """Reads records; what it returns are rows by position and by name, as of SQLite."""

    def __init__(self, database: Database, purposes: Sequence[Purpose]) -> None:
        """Prepare to read."""
        self._database = database
        self.source: PostgresSource = source_of(
            {purpose.name: quoted(purpose.table) for purpose in purposes}
        )

    async def fetch(self, build: Build) -> list[Any]:
        """Return all rows of a statement."""
        sql, values = numbered(build(self.source))

        async def once() -> list[Any]:
            async with self._database.connection() as connection:
                return await connection.fetch(sql, *values)  # type: ignore[no-any-return]

        return [_shown(row) for row in await self._database.attempt(once)]

    async def pages(self, build: Build) -> AsyncGenerator[list[Any], None]:
        """Yield the rows of a statement, some at a time, all of one moment, in flat memory."""
        sql, values = numbered(build(self.source))
        async with self._database.connection() as connection:
            reading = connection.transaction(isolation="repeatable_read", readonly=True)
            async with reading:
                cursor = await connection.cursor(sql, *values)
                while rows := await cursor.fetch(_PAGE_ROWS):
                    yield [_shown(row) for row in rows]


def numbered(statement: Statement) -> Statement:
    """Return a statement with its parameters as PostgreSQL numbers them."""
    numbers = count(1)
    sql = _TOKENS.sub(lambda token: f"${next(numbers)}" if token[0] == "?" else token[0],
                      statement.sql)  # fmt: skip
    return Statement(sql, statement.values)


def _shown(row: Any) -> tuple[Any, ...]:
    return tuple(_cell(value) for value in row)


def _cell(value: Any) -> Any:
    return clock.to_text(value) if isinstance(value, datetime) else value
