"""The writing side of one file: one connection, and one commit for all who wait at once."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import aiosqlite
import anyio
import anyio.to_thread

from khive_persist.errors import KhiveError, MirrorError, StoreClosedError, StoreError
from khive_persist.purposes import Purpose
from khive_persist.query import Filter
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.listener import Listener
from khive_persist.store.owned import owned
from khive_persist.store.selection import matching_ids
from khive_persist.store.sqlite import lock, statements
from khive_persist.store.sqlite.connection import identity, make, open_writer
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.rows import in_order
from khive_persist.store.ticket import Ticket, merged

Result = TypeVar("Result")

_TOLD_ROWS: Final = 256


class Merged(NamedTuple):
    """How many rows were new, there already, and there with other content."""

    new: int
    same: int
    changed: int


class _Changes:
    """What a transaction did, for the one who listens."""

    def __init__(self) -> None:
        self.written: dict[str, None] = {}
        self.removed: dict[str, StoredRow] = {}


class Writer:
    """Writes to one file.

    Concurrent calls share commits: one task commits for all who wait by then, so that many tasks
    share one sync of the disk. aiosqlite's thread owns the connection.

    Nothing that a caller awaits here runs in the caller's own task: a cancelled await does not stop
    its SQL, and no shield holds off `task.cancel()` or `asyncio.timeout`.
    """

    def __init__(
        self,
        path: Path,
        purpose: Purpose,
        busy_timeout_seconds: float,
        listener: Listener | None = None,
    ) -> None:
        self.path = path
        self.purpose = purpose
        self._timeout = busy_timeout_seconds
        self._listener = listener
        self._connection: aiosqlite.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._openings = 0
        self._is_closed = False
        self._waiting: list[Ticket] = []
        self._committer: asyncio.Task[None] | None = None
        self._turn = anyio.Lock()

    async def open(self) -> None:
        """Open the file, made where it is missing.

        Raises:
            StoreError: As its subclasses say.
        """
        await _to_the_end(self._open_in_turn())

    async def close(self) -> None:
        """Close the connection once what has begun is committed."""
        await _to_the_end(self._close_in_turn())

    async def upsert(self, row: Sequence[Any]) -> None:
        """Save a row: committed and synced on return."""
        await self._write(Ticket(statements.upsert(self.purpose.table), [row]))

    async def insert(self, row: Sequence[Any]) -> bool:
        """Save a row unless its id is there: committed and synced on return; whether it was not.

        Who listens is told of the row that is there then, in either case.
        """
        sql = statements.insert_new(self.purpose.table)
        return await self._write(Ticket(sql, [row], is_counted=True)) > 0

    async def delete(self, id: str) -> bool:
        """Delete a row: committed and synced on return; whether it was there."""
        sql = statements.delete(self.purpose.table)
        return await self._write(Ticket(sql, [(id,)], is_delete=True)) > 0

    async def delete_where(self, filters: Sequence[Filter], limit: int) -> int:
        """Delete the rows that pass filters, at most so many: committed and synced on return."""
        return await _to_the_end(self._delete_where_in_turn(filters, limit))

    async def upsert_all(self, chunks: Iterable[Sequence[Sequence[Any]]]) -> int:
        """Save all of these rows in one transaction, or none; how many they were."""
        return await _to_the_end(self._upsert_all_in_turn(chunks))

    async def revise(
        self,
        sessions: list[str],
        make: Callable[[list[StoredRow]], Sequence[StoredRow]],
    ) -> None:
        """Save what is made of the rows of some sessions: committed and synced on return.

        Nobody else writes between the reading of those rows and the commit.
        """
        await _to_the_end(self._revise_in_turn(sessions, make))

    async def revise_one(
        self, id: str, make: Callable[[StoredRow | None], StoredRow | None]
    ) -> StoredRow | None:
        """Save what is made of the row with an id, or of None: committed and synced on return.

        Nobody else writes between the reading of that row and the commit. Where None is made of it,
        nothing is written.

        Returns:
            The row as it is now.
        """
        return await _to_the_end(self._revise_one_in_turn(id, make))

    async def merge(
        self,
        rows: Sequence[Sequence[Any]],
        *,
        is_same: Callable[[Any, Any], bool],
        update: bool = False,
    ) -> Merged:
        """Insert the rows whose ids are not there: committed and synced on return, all or none.

        Args:
            rows: Their five columns; each id once.
            is_same: Whether a row that is there and the one that has its id say the same.
            update: Replace a row that does not, `created_at` included; otherwise it stays.
        """
        return await _to_the_end(self._merge_in_turn(rows, is_same, update))

    async def changes_of_others(self) -> object:
        """Another value after somebody else has committed to the file, or has replaced it."""
        connection = self._connection
        if connection is None or identity(self.path) != self._identity:
            return object()
        opening = self._openings
        try:
            # SQLite's own count: it leaves out what this connection commits.
            ((count,),) = await connection.execute_fetchall("PRAGMA data_version")
        except (sqlite3.Error, ValueError):
            # It is busy, or was closed meanwhile: nobody can tell.
            return object()
        return opening, count

    async def _open_in_turn(self) -> None:
        async with self._turn:
            await self._open()

    async def _close_in_turn(self) -> None:
        while self._committer is not None:
            await asyncio.wait([self._committer])
        async with self._turn:
            self._is_closed = True
            await self._close()

    async def _upsert_all_in_turn(self, chunks: Iterable[Sequence[Sequence[Any]]]) -> int:
        count = 0
        sql = statements.upsert(self.purpose.table)
        async with self._turn, self._transaction() as (connection, changes):
            for rows in chunks:
                await self._note_saved(connection, changes, rows)
                await connection.executemany(sql, rows)
                count += len(rows)
        return count

    async def _delete_where_in_turn(self, filters: Sequence[Filter], limit: int) -> int:
        async with self._turn, self._transaction() as (connection, changes):
            execute: Any = connection._execute
            find = partial(matching_ids, purpose=self.purpose, filters=filters, limit=limit)
            ids = await execute(find, connection._conn)
            rows = [(id,) for id in ids]
            await self._note_before(connection, changes, rows)
            await connection.executemany(statements.delete(self.purpose.table), rows)
        return len(rows)

    async def _revise_in_turn(
        self,
        sessions: list[str],
        make: Callable[[list[StoredRow]], Sequence[StoredRow]],
    ) -> None:
        table = self.purpose.table
        async with self._turn, self._transaction() as (connection, changes):
            named = [codec.dump_lossy(sessions)]
            found = await connection.execute_fetchall(statements.rows_of_sessions(table), named)
            rows = make([codec.as_text(row) for row in found])
            await self._note_saved(connection, changes, rows)
            await connection.executemany(statements.upsert(table), rows)

    async def _revise_one_in_turn(
        self, id: str, make: Callable[[StoredRow | None], StoredRow | None]
    ) -> StoredRow | None:
        async with self._turn, self._transaction() as (connection, changes):
            found = await self._rows_of(connection, [id])
            row = make(found[0] if found else None)
            if row is None:
                return found[0] if found else None
            await self._note_saved(connection, changes, [row])
            await connection.execute_fetchall(statements.upsert(self.purpose.table), row)
            (saved,) = await self._rows_of(connection, [row[0]])
        return saved

    async def _merge_in_turn(
        self, rows: Sequence[Sequence[Any]], is_same: Callable[[Any, Any], bool], update: bool
    ) -> Merged:
        table = self.purpose.table
        ids = codec.dump([row[0] for row in rows])
        async with self._turn, self._transaction() as (connection, changes):
            found = await connection.execute_fetchall(statements.rows_of_ids(table), [ids])
            there = {row[0]: tuple(row) for row in found}
            new = [row for row in rows if row[0] not in there]
            changed = [r for r in rows if r[0] in there and not is_same(there[r[0]], tuple(r))]
            await connection.executemany(statements.insert_new(table), new)
            changes.written.update((row[0], None) for row in new)
            if update:
                await connection.executemany(statements.replace(table), changed)
                changes.written.update((row[0], None) for row in changed)
                changes.removed.update(
                    (row[0], there[row[0]])
                    for row in changed
                    if self.purpose.is_stream or row[3] != there[row[0]][3]
                )
        return Merged(len(new), len(rows) - len(new) - len(changed), len(changed))

    async def _write(self, ticket: Ticket) -> int:
        """Cancelled before its transaction has begun, nothing is written; after, all of it is."""
        self._waiting.append(ticket)
        if self._committer is None:
            # It begins after the tasks that are ready now, and these join its first commit.
            self._committer = asyncio.create_task(self._commit_waiting())
        try:
            await ticket.ended.wait()
        finally:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
        if ticket.error is not None:
            raise ticket.error
        return ticket.changed

    async def _commit_waiting(self) -> None:
        """One commit after the other, each for all who wait by then, until nobody does."""
        taken: list[Ticket] = []
        try:
            while self._waiting:
                async with self._turn:
                    taken, self._waiting = self._waiting, []
                    # All who waited may have been cancelled meanwhile.
                    if taken:
                        await self._commit(taken)
                for ticket in taken:
                    ticket.ended.set()
        finally:
            self._committer = None
            for ticket in [*taken, *self._waiting]:
                ticket.ended.set()

    async def _commit(self, tickets: list[Ticket]) -> None:
        try:
            async with self._transaction() as (connection, changes):
                for ticket in merged(tickets):
                    if ticket.is_delete:
                        await self._note_before(connection, changes, ticket.rows)
                    else:
                        await self._note_saved(connection, changes, ticket.rows)
                    # No name for the cursor: an error would keep it in its traceback, and the file
                    # open with it after it was closed.
                    ticket.changed = (
                        await connection.executemany(ticket.sql, ticket.rows)
                    ).rowcount
        except MirrorError as error:
            for ticket in tickets:
                ticket.error = error
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
    async def _transaction(self) -> AsyncIterator[tuple[aiosqlite.Connection, _Changes]]:
        connection, descriptor = await self._at_the_head()
        changes = _Changes()
        try:
            with translated(self.path):
                try:
                    await connection.execute("BEGIN IMMEDIATE")
                    yield connection, changes
                    await connection.commit()
                except BaseException:
                    # Where no transaction is open, as after a full disk, it does nothing.
                    await connection.rollback()
                    raise
                if self._listener is not None:
                    await self._tell(self._listener, connection, changes)
        finally:
            os.close(descriptor)

    async def _note_saved(
        self, connection: aiosqlite.Connection, changes: _Changes, rows: Sequence[Sequence[Any]]
    ) -> None:
        if self._listener is None:
            return
        if self.purpose.is_stream:
            # One that is saved again may have changed its session.
            await self._note_before(connection, changes, rows)
        changes.written.update((row[0], None) for row in rows)

    async def _note_before(
        self, connection: aiosqlite.Connection, changes: _Changes, rows: Sequence[Sequence[Any]]
    ) -> None:
        if self._listener is None:
            return
        for row in await self._rows_of(connection, [row[0] for row in rows]):
            # What the listener knows of is what was there before the transaction.
            changes.removed.setdefault(row[0], row)

    async def _tell(
        self, listener: Listener, connection: aiosqlite.Connection, changes: _Changes
    ) -> None:
        ids = iter(changes.written)
        while some := list(islice(ids, _TOLD_ROWS)):
            rows = await self._rows_of(connection, some)
            await anyio.to_thread.run_sync(listener.written, self.purpose, rows)
        # Not before: killed in between, one of the two places must have the record.
        gone = iter(changes.removed.values())
        while before := list(islice(gone, _TOLD_ROWS)):
            now = await self._rows_of(connection, [row[0] for row in before])
            await anyio.to_thread.run_sync(listener.removed, self.purpose, before, now)

    async def _rows_of(self, connection: aiosqlite.Connection, ids: list[str]) -> list[StoredRow]:
        sql = statements.rows_of_ids(self.purpose.table)
        return in_order(ids, await connection.execute_fetchall(sql, [codec.dump(ids)]))

    async def _at_the_head(self) -> tuple[aiosqlite.Connection, int]:
        """The connection to the file that is there now, and the held lock of its writers."""
        while True:
            if self._is_closed:
                raise StoreClosedError(f"{self.path} is closed", hint="open the store again")
            if self._connection is None:
                await self._open()
            descriptor = await self._queue()
            found = identity(self.path)
            if self._connection is not None and found is not None and found == self._identity:
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
            self._connection = await owned(self._connect)
        self._openings += 1

    def _connect(self) -> sqlite3.Connection:
        make(self.path)
        # Looked at before: a file that is replaced meanwhile must not be taken for the new one.
        self._identity = identity(self.path)
        return open_writer(self.path, self.purpose, self._timeout)

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # The last connection to close writes the WAL back: that too waits for its turn. Where
            # there is none, as in a folder that is gone, it closes all the same.
            descriptor = None
            with suppress(StoreError):
                descriptor = await self._queue()
            try:
                await connection.close()
            finally:
                if descriptor is not None:
                    os.close(descriptor)


async def _to_the_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Await what must not stop half-way; who is cancelled leaves once it has ended."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task])
        raise
