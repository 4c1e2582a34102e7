"""The reading side of one or several files: a connection that cannot write."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import aiosqlite
import anyio

from khive_persist.purposes import Purpose
from khive_persist.store.sqlite import connection as sqlite
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.statements import ODD_CREATED_AT, Source, Statement, union

_FETCH_ROWS: Final = 64

Build = Callable[[Source], Statement]
Files = Sequence[tuple[Path, Purpose]]


class Reader:
    """Reads the same table of several files as one. A file that is missing is one without rows."""

    def __init__(self, files: Files) -> None:
        """Prepare to read.

        Args:
            files: Each a path and what lies there.
        """
        self._files = files
        self._connection: aiosqlite.Connection | None = None
        self._identities: tuple[Any, ...] = ()
        self._source = union({}, odd=False)
        self._reopening = anyio.Lock()

    async def fetch(self, build: Build) -> list[sqlite3.Row]:
        """All rows of a statement.

        Raises:
            StoreError: As its subclasses say.
            InvalidQueryError: The statement cannot be run.
        """
        with translated(self._names()):
            connection = await self._current()
            sql, values = build(self._source)
            return list(await connection.execute_fetchall(sql, values))

    async def stream(self, build: Build) -> AsyncIterator[sqlite3.Row]:
        """The rows of a statement, one after the other, all of one moment, in flat memory."""
        with translated(self._names()):
            # A connection of its own: an open cursor would hold the others to its moment.
            connection = await aiosqlite.Connection(self._connect, _FETCH_ROWS)
            try:
                sql, values = build(await self._read_source(connection))
                async with connection.execute(sql, values) as cursor:
                    async for row in cursor:
                        yield row
            finally:
                with anyio.CancelScope(shield=True):
                    await connection.close()

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with anyio.CancelScope(shield=True):
                await connection.close()

    async def _current(self) -> aiosqlite.Connection:
        async with self._reopening:
            identities = tuple(sqlite.identity(path) for path, _ in self._files)
            if self._connection is None or identities != self._identities:
                await self.close()
                connection = await aiosqlite.Connection(self._connect, _FETCH_ROWS)
                try:
                    self._source = await self._read_source(connection)
                except BaseException:
                    with anyio.CancelScope(shield=True):
                        await connection.close()
                    raise
                self._connection, self._identities = connection, identities
            return self._connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite.open_memory()
        try:
            for number, (path, _) in enumerate(self._files):
                if path.exists():
                    sqlite.attach(connection, path, f"f{number}")
        except BaseException:
            connection.close()
            raise
        return connection

    async def _read_source(self, connection: aiosqlite.Connection) -> Source:
        attached = {row[1] for row in await connection.execute_fetchall("PRAGMA database_list")}
        tables = {}
        odd = False
        for number, (_, purpose) in enumerate(self._files):
            name, table = f"f{number}", purpose.table
            if name not in attached:
                continue
            made = f"SELECT count(*) FROM {name}.sqlite_schema WHERE name = ?"
            if not (await _one(connection, made, [table])):
                continue
            tables[purpose.name] = f"{name}.{table}"
            any_odd = f"SELECT EXISTS (SELECT 1 FROM {name}.{table} WHERE {ODD_CREATED_AT})"
            odd = odd or bool(await _one(connection, any_odd, []))
        return union(tables, odd=odd)

    def _names(self) -> str:
        return ", ".join(str(path) for path, _ in self._files)


async def _one(connection: aiosqlite.Connection, sql: str, values: list[Any]) -> Any:
    (row,) = await connection.execute_fetchall(sql, values)
    return row[0]
