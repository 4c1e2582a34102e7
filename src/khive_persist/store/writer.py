"""The writing side of one file: one connection, and one commit for all who wait at once."""

import os
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiosqlite
import anyio
import anyio.lowlevel
import anyio.to_thread

from khive_persist.errors import KhiveError, StoreError
from khive_persist.purposes import Purpose
from khive_persist.store.sqlite import lock, statements
from khive_persist.store.sqlite.connection import identity, open_writer
from khive_persist.store.sqlite.errors import translated

_FETCH_ROWS: Final = 64


class _Ticket:
    """Rows that one caller waits for."""

    def __init__(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        self.sql = sql
        self.rows = rows
        self.changed = 0
        # Until the commit says otherwise: whoever waits must never take silence for success.
        self.error: KhiveError | None = StoreError("not written: its transaction did not end")
        self.leads = False
        self.woken = anyio.Event()


class Writer:
    """Writes to one file.

    Concurrent calls share commits: who comes first commits for all who wait by then, so that many
    tasks share one sync of the disk. aiosqlite's thread owns the connection.
    """

    def __init__(self, path: Path, purpose: Purpose, busy_timeout_seconds: float) -> None:
        self.path = path
        self.purpose = purpose
        self._timeout = busy_timeout_seconds
        self._connection: aiosqlite.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._waiting: list[_Ticket] = []
        self._has_leader = False
        self._turn = anyio.Lock()

    async def open(self) -> None:
        """Open the file, made where it is missing.

        Raises:
            StoreError: As its subclasses say.
        """
        async with self._turn:
            with anyio.CancelScope(shield=True):
                await self._open()

    async def close(self) -> None:
        """Close the connection once what has begun is committed."""
        with anyio.CancelScope(shield=True):
            async with self._turn:
                await self._close()

    async def upsert(self, row: Sequence[Any]) -> None:
        """Save a row: committed and synced on return."""
        await self._write(statements.upsert(self.purpose.table), [row])

    async def delete(self, id: str) -> bool:
        """Delete a row: committed and synced on return; whether it was there."""
        return await self._write(statements.delete(self.purpose.table), [(id,)]) > 0

    async def upsert_all(self, chunks: Iterable[Sequence[Sequence[Any]]]) -> int:
        """Save all of these rows in one transaction, or none; how many they were."""
        count = 0
        sql = statements.upsert(self.purpose.table)
        async with self._turn:
            with anyio.CancelScope(shield=True):
                async with self._transaction() as connection:
                    for rows in chunks:
                        await connection.executemany(sql, rows)
                        count += len(rows)
        return count

    async def _write(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """Cancelled before its transaction has begun, nothing is written; after, all of it is."""
        ticket = _Ticket(sql, rows)
        self._waiting.append(ticket)
        try:
            if self._has_leader:
                await ticket.woken.wait()
            else:
                self._has_leader = ticket.leads = True
                # Let the tasks that are ready now join this commit.
                await anyio.lowlevel.checkpoint()
            if ticket.leads:
                await self._lead()
        finally:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            if ticket.leads:
                self._pass_lead()
        if ticket.error is not None:
            raise ticket.error
        return ticket.changed

    async def _lead(self) -> None:
        async with self._turn:
            tickets, self._waiting = self._waiting, []
            try:
                with anyio.CancelScope(shield=True):
                    await self._commit(tickets)
            finally:
                for ticket in tickets:
                    ticket.woken.set()

    def _pass_lead(self) -> None:
        """Who has waited longest commits next, for all who came meanwhile."""
        self._has_leader = bool(self._waiting)
        if self._waiting:
            self._waiting[0].leads = True
            self._waiting[0].woken.set()

    async def _commit(self, tickets: list[_Ticket]) -> None:
        try:
            async with self._transaction() as connection:
                for ticket in _merged(tickets):
                    cursor = await connection.executemany(ticket.sql, ticket.rows)
                    ticket.changed = cursor.rowcount
        except KhiveError as error:
            if len(tickets) > 1 and not isinstance(error, TimeoutError):
                # One bad row must not refuse the others that shared its commit.
                for ticket in tickets:
                    await self._commit([ticket])
                return
            for ticket in tickets:
                ticket.error = error
        else:
            for ticket in tickets:
                ticket.error = None

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        connection, descriptor = await self._at_the_head()
        try:
            with translated(self.path):
                await connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    await connection.commit()
                except BaseException:
                    if connection.in_transaction:
                        await connection.rollback()
                    raise
        finally:
            os.close(descriptor)

    async def _at_the_head(self) -> tuple[aiosqlite.Connection, int]:
        """The connection to the file that is there now, and the held lock of its writers."""
        while True:
            if self._connection is None:
                await self._open()
            descriptor = await self._queue()
            if self._connection is not None and identity(self.path) == self._identity:
                return self._connection, descriptor
            # The file was restored, rebuilt or set aside since it was opened.
            os.close(descriptor)
            await self._close()

    async def _queue(self) -> int:
        path = lock.lock_path(self.path)
        descriptor = lock.try_acquire(path)
        if descriptor is None:
            descriptor = await anyio.to_thread.run_sync(lock.acquire, path, self._timeout)
        return descriptor

    async def _open(self) -> None:
        with translated(self.path):
            self._connection = await aiosqlite.Connection(self._connect, _FETCH_ROWS)
        self._identity = identity(self.path)

    def _connect(self) -> sqlite3.Connection:
        return open_writer(self.path, self.purpose, self._timeout)

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # The last connection to close writes the WAL back: that too waits for its turn.
            descriptor = await self._queue()
            try:
                await connection.close()
            finally:
                os.close(descriptor)


def _merged(tickets: list[_Ticket]) -> list[_Ticket]:
    """The tickets as few statements: neighbours with the same SQL run as one."""
    if len(tickets) == 1 or any(ticket.sql != tickets[0].sql for ticket in tickets):
        return tickets
    if tickets[0].sql.startswith("DELETE"):
        return tickets
    return [_Ticket(tickets[0].sql, [row for ticket in tickets for row in ticket.rows])]
