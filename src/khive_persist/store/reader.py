"""The reading side of one or several files: a connection that cannot write."""

import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiosqlite
import anyio
import anyio.to_thread

from khive_persist.errors import StoreClosedError
from khive_persist.purposes import Purpose
from khive_persist.store.owned import owned
from khive_persist.store.sqlite import connection as sqlite
from khive_persist.store.sqlite import switch
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.statements import ODD_CREATED_AT, Source, Statement, union
from khive_persist.store.sqlite.words import quoted

_FETCH_ROWS: Final = 64

Build = Callable[[Source], Statement]
Files = Sequence[tuple[Path, Purpose]]


class Mark(NamedTuple):
    """How a file is just now.

    Attributes:
        file: Which one it is: another where it was replaced.
        writes: Another number whenever somebody has written to it.
    """

    file: tuple[int, int]
    writes: int


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
        self._source = union({})
        self._is_closed = False
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

    async def mark(self, purpose: Purpose) -> Mark | None:
        """How the file of one of the purposes is just now; None where it has no table yet.

        Raises:
            StoreError: As its subclasses say.
        """
        with translated(self._names()):
            connection = await self._current()
            number = next(n for n, (_, own) in enumerate(self._files) if own == purpose)
            identity = self._identities[number]
            if identity is None:
                return None
            # https://sqlite.org/pragma.html#pragma_data_version
            rows = await connection.execute_fetchall(f"PRAGMA f{number}.data_version")
            return Mark(identity, next(iter(rows))[0])

    async def stream(self, build: Build) -> AsyncGenerator[Any, None]:
        """The rows of a statement, one after the other, all of one moment, in flat memory."""
        async with aclosing(self.pages(build)) as pages:
            async for rows in pages:
                for row in rows:
                    yield row

    async def pages(self, build: Build) -> AsyncGenerator[list[Any], None]:
        """The rows of a statement, some at a time, all of one moment, in flat memory."""
        with translated(self._names()):
            # A connection of its own: an open cursor would hold the others to its moment. And none
            # of aiosqlite's: who leaves an `async for` early must not leave a thread behind.
            connection = await anyio.to_thread.run_sync(self._connect)
            try:
                sql, values = build(await anyio.to_thread.run_sync(self._read_source, connection))
                cursor = await anyio.to_thread.run_sync(connection.execute, sql, values)
                while rows := await anyio.to_thread.run_sync(cursor.fetchmany, _FETCH_ROWS):
                    yield rows
            finally:
                connection.close()

    async def close(self) -> None:
        """Close the connection, and open no other."""
        with anyio.CancelScope(shield=True):
            async with self._reopening:
                self._is_closed = True
                await self._disconnect()

    async def _current(self) -> aiosqlite.Connection:
        async with self._reopening:
            if self._is_closed:
                raise StoreClosedError(f"{self._names()}: closed", hint="open the store again")
            identities = tuple(sqlite.identity(path) for path, _ in self._files)
            if self._connection is None or identities != self._identities:
                await self._disconnect()
                self._connection = await owned(self._connect_and_look)
                # A file without its table is one that is being made: it is looked at again.
                self._identities = tuple(
                    identity if purpose.name in self._source.tables else None
                    for identity, (_, purpose) in zip(identities, self._files, strict=True)
                )
            return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite.open_memory()
        try:
            for number, (path, _) in enumerate(self._files):
                # It may take the file away.
                switch.settle(path.parent)
                if path.exists():
                    sqlite.attach(connection, path, f"f{number}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect_and_look(self) -> sqlite3.Connection:
        connection = self._connect()
        try:
            self._source = self._read_source(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _read_source(self, connection: sqlite3.Connection) -> Source:
        attached = {row[1] for row in connection.execute("PRAGMA database_list")}
        tables = {}
        odd = guarded = False
        for number, (_, purpose) in enumerate(self._files):
            name, table = f"f{number}", quoted(purpose.table)
            if name not in attached:
                continue
            made = f"SELECT sql FROM {name}.sqlite_schema WHERE tbl_name = ? COLLATE NOCASE"
            schema = [row[0] or "" for row in connection.execute(made, [purpose.table])]
            if not schema:
                continue
            tables[purpose.name] = f"{name}.{table}"
            any_odd = f"SELECT EXISTS (SELECT 1 FROM {name}.{table} WHERE {ODD_CREATED_AT})"
            odd = odd or bool(connection.execute(any_odd).fetchone()[0])
            # An index on a field of content takes no row whose content is no JSON.
            guarded = guarded or not any("json_extract(content," in sql for sql in schema)
        return union(tables, odd=odd, guarded=guarded)

    def _names(self) -> str:
        return ", ".join(str(path) for path, _ in self._files)
