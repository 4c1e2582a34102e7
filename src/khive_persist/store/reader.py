"""The reading side of one or several files: a connection that cannot write."""

import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, closing
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import anyio

from khive_persist.errors import StoreBusyError, StoreDamagedError
from khive_persist.models.purposes import Purpose
from khive_persist.store.pages import Pages, Versions
from khive_persist.store.source import Source, Statement
from khive_persist.store.sqlite import atomic_switch
from khive_persist.store.sqlite import connection as sqlite
from khive_persist.store.sqlite.connection import data_version
from khive_persist.store.sqlite.connection_thread import ConnectionThread
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.named_rows import Record, rows_as, rows_by_key
from khive_persist.store.sqlite.source import SqliteSource, union
from khive_persist.store.sqlite.statements import has_odd_created_at, is_indexed
from khive_persist.store.sqlite.words import quoted

# How often files are read anew that nobody should change, and somebody did.
_ATTEMPTS: Final = 3

Build = Callable[[Source], Statement]
Files = Sequence[tuple[Path, Purpose]]
Rows = TypeVar("Rows")
Read = Callable[[sqlite3.Cursor], Rows]


class FileVersion(NamedTuple):
    """The present version of a file.

    Attributes:
        file: Its identity: another where it was replaced.
        writes: Another number whenever somebody has written to it.
    """

    file: tuple[int, int]
    writes: int


class Reader:
    """Reads the same table of several files as one. A file that is missing is one without rows.

    It may be used from any event loop and thread, by many at once. Cancelled, a call ends at once,
    and the statement that it began soon after. What reads raises a StoreError, as its subclasses
    say, and an InvalidQueryError where the statement cannot be run.
    """

    def __init__(self, files: Files) -> None:
        """Prepare to read.

        Args:
            files: Each a path and what lies there; at most 10, also where some are missing.

        Raises:
            ValueError: They are more.
        """
        if len(files) > sqlite.MOST_ATTACHED:
            # Said here, and not by the first statement that has a file of each kind.
            raise ValueError(f"{len(files)} files cannot be read together")
        self._files = files
        self._thread = ConnectionThread(self._names())
        self._streams: dict[ConnectionThread, Pages] = {}
        self._identities: tuple[Any, ...] = ()
        self._source = union({})
        self._versions: Versions = {}

    async def fetch(self, build: Build) -> list[sqlite3.Row]:
        """Return all rows of a statement."""
        return await self._thread.run(self._fetch, build, sqlite3.Cursor.fetchall)

    async def fetch_as(self, record: type[Record], build: Build) -> list[Record]:
        """Return all rows of a statement as records, made by the names of its columns."""
        return await self._thread.run(self._fetch, build, partial(rows_as, record))

    async def fetch_by_key(
        self, key: str, record: type[Record], build: Build
    ) -> list[tuple[Any, Record]]:
        """Return all rows of a statement as pairs: one column, and a record of the others."""
        return await self._thread.run(self._fetch, build, partial(rows_by_key, key, record))

    async def file_version(self, purpose: Purpose) -> FileVersion | None:
        """Return the present version of a purpose's file; None where it has no table yet."""
        return await self._thread.run(self._file_version, purpose)

    async def stream(
        self, build: Build, *, holds_snapshot: bool = False
    ) -> AsyncGenerator[Any, None]:
        """Yield the rows of `pages`, one after the other."""
        async with aclosing(self.pages(build, holds_snapshot=holds_snapshot)) as pages:
            async for rows in pages:
                for row in rows:
                    yield row

    async def stream_as(self, record: type[Record], build: Build) -> AsyncGenerator[Record, None]:
        """Yield the rows of `pages` as records, made by the names of the statement's columns."""
        async with aclosing(self.pages(build, record)) as pages:
            async for records in pages:
                for of_row in records:
                    yield of_row

    async def pages(
        self,
        build: Build,
        record: type[NamedTuple] | None = None,
        *,
        holds_snapshot: bool = False,
    ) -> AsyncGenerator[list[Any], None]:
        """Yield the rows of a statement, some at a time, all of one moment, in flat memory.

        What was not read within 5 seconds is copied to a file without a name, so that who reads
        slowly does not keep the WAL from being emptied.

        Args:
            record: The class of which rows are made, by the names of columns; None for plain rows.
            holds_snapshot: Copy nothing: the WAL grows until the last row is read.
        """
        self._thread.check_open()
        # A connection of its own: an open cursor would hold the others to its moment.
        thread = ConnectionThread(self._names())
        opening = partial(self._open_pages, thread, build)
        pages = Pages(thread, self._names(), opening, record, holds_snapshot=holds_snapshot)
        self._streams[thread] = pages
        try:
            while rows := await thread.run(pages.next):
                yield rows
        finally:
            # Who leaves early may leave it to the end of the loop, which closes all generators at
            # once, those within others too: it must not be in the midst of an await then.
            thread.finish(pages.close)
            self._streams.pop(thread, None)

    def finish(self) -> None:
        """Close the connections once what was asked of them has ended, and open no other."""
        for thread, pages in list(self._streams.items()):
            thread.finish(pages.close)
        self._thread.finish()

    async def close(self) -> None:
        """Close the connections as `finish` does, and wait until that is done."""
        threads = [*self._streams, self._thread]
        self.finish()
        with anyio.CancelScope(shield=True):
            for thread in threads:
                await thread.close()

    async def __aenter__(self) -> "Reader":
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, GeneratorExit):
            # A generator that was left must not await.
            self.finish()
        else:
            await self.close()

    # What follows runs in the connection's thread.

    def _fetch(self, build: Build, read: Read[Rows]) -> Rows:
        for _ in range(_ATTEMPTS):
            try:
                rows = self._fetch_once(build, read)
            except StoreDamagedError:
                if not sqlite.is_changed(self._versions):
                    raise
            else:
                if not sqlite.is_changed(self._versions):
                    return rows
        raise StoreBusyError(f"{self._names()}: changed while it was read", hint="try again")

    def _fetch_once(self, build: Build, read: Read[Rows]) -> Rows:
        with translated(self._names()):
            connection = self._current()
            # An error keeps the cursor in its traceback, and an open one keeps the file open.
            with closing(connection.execute(*build(self._source))) as cursor:
                return read(cursor)

    def _file_version(self, purpose: Purpose) -> FileVersion | None:
        with translated(self._names()):
            connection = self._current()
            number = next(n for n, (_, held) in enumerate(self._files) if held == purpose)
            identity = self._identities[number]
            if identity is None:
                return None
            return FileVersion(identity, data_version(connection, f"f{number}"))

    def _open_pages(
        self, thread: ConnectionThread, build: Build
    ) -> tuple[sqlite3.Connection, Versions, str, list[Any]]:
        connection, versions = self._connect()
        thread.hold(connection)
        sql, values = build(self._read_source(connection))
        return connection, versions, sql, list(values)

    def _current(self) -> sqlite3.Connection:
        identities = tuple(sqlite.identity(path) for path, _ in self._files)
        connection = self._thread.connection
        is_other = identities != self._identities or sqlite.is_changed(self._versions)
        if connection is None or is_other:
            self._thread.hold(None)
            connection, self._versions = self._connect()
            self._thread.hold(connection)
            self._identities = ()
            self._source = self._read_source(connection)
            # A file without its table is one that is being made: it is looked at again.
            self._identities = tuple(
                identity if purpose.name in self._source.tables else None
                for identity, (_, purpose) in zip(identities, self._files, strict=True)
            )
        return connection

    def _connect(self) -> tuple[sqlite3.Connection, Versions]:
        connection = sqlite.open_memory()
        versions: Versions = {}
        try:
            for number, (path, _) in enumerate(self._files):
                # It may take the file away.
                atomic_switch.settle(path.parent)
                if path.exists():
                    versions[path] = sqlite.frozen_version(path)
                    sqlite.attach(connection, path, f"f{number}")
        except BaseException:
            connection.close()
            raise
        return connection, versions

    def _read_source(self, connection: sqlite3.Connection) -> SqliteSource:
        attached = {row[1] for row in connection.execute("PRAGMA database_list")}
        tables = {}
        odd = guarded = False
        for number, (_, purpose) in enumerate(self._files):
            name, table = f"f{number}", quoted(purpose.table)
            if name not in attached:
                continue
            listing = f"SELECT sql FROM {name}.sqlite_schema WHERE tbl_name = ? COLLATE NOCASE"
            schema = [row[0] or "" for row in connection.execute(listing, [purpose.table])]
            if not schema:
                continue
            tables[purpose.name] = f"{name}.{table}"
            odd = odd or has_odd_created_at(connection, f"{name}.{table}")
            guarded = guarded or not is_indexed(schema)
        return union(tables, odd=odd, guarded=guarded)

    def _names(self) -> str:
        return ", ".join(str(path) for path, _ in self._files)
