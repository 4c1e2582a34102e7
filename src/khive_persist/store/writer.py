"""`Writer`: what a store does to one of its files."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from khive_persist.errors import StoreClosedError
from khive_persist.models.purposes import Purpose
from khive_persist.models.query import Filter
from khive_persist.store import open_files
from khive_persist.store.backend import Merged
from khive_persist.store.codec import StoredRow
from khive_persist.store.group_commit import GroupCommit
from khive_persist.store.source import select
from khive_persist.store.sqlite.connection import Connection, utc_text
from khive_persist.store.sqlite.mirror_progress import Mirroring
from khive_persist.store.sqlite.rows import fetch_ids, fetch_sessions
from khive_persist.store.sqlite.source import SqliteSource, union
from khive_persist.store.sqlite.statements import has_odd_created_at, is_indexed
from khive_persist.store.sqlite.transaction import Transaction
from khive_persist.store.sqlite.words import quoted
from khive_persist.store.write_request import WriteRequest

Result = TypeVar("Result")

_CHUNK_ROWS: Final = 1_000
# Beside the copying of what came before, a transaction takes up to three times as long. It can end
# after each chunk, and does where another program waits.
_COPIED_CHUNK_ROWS: Final = 250
_CHUNKS_AHEAD: Final = 2
_COPIED_CHUNKS_AHEAD: Final = 5
# Where there is no second copy, several that are small share a transaction.
_SMALL_CHUNKS_AHEAD: Final = 8
_SMALL_CHUNKS_CHARACTERS: Final = 16 << 20


class Writer:
    """Writes to one file: committed, synced and copied when a call returns.

    All writers of a file in this process share its commits; see `GroupCommit`, which says who may
    call, and what a cancellation leaves.
    """

    def __init__(
        self, path: Path, purpose: Purpose, busy_timeout_seconds: float, mirror: Mirroring
    ) -> None:
        """Prepare it; the file is opened by the first call."""
        self.path = path
        self.purpose = purpose
        self._timeout_seconds = busy_timeout_seconds
        self._mirror = mirror
        self._commits: GroupCommit | None = None
        self._is_closed = False

    @property
    def _is_copied(self) -> bool:
        return not isinstance(self._mirror, str | None)

    @property
    def chunk_rows(self) -> int:
        """The number of rows in a chunk of a bulk: others wait for one of them."""
        return _COPIED_CHUNK_ROWS if self._is_copied else _CHUNK_ROWS

    async def open(self) -> None:
        """Open the file; what a killed process did not copy is copied on return.

        Raises:
            StoreError: As its subclasses say.
            MirrorError: The second copy cannot be written.
        """
        await self._run(lambda _: None)

    async def close(self) -> None:
        """Give the file back; the last one in this process to do so closes it."""
        self._is_closed = True
        commits, self._commits = self._commits, None
        if commits is not None and commits.is_of_this_process:
            await open_files.release(commits)

    async def upsert(self, row: StoredRow) -> None:
        """Save a row."""
        await self._of_process().save(row, self._timeout_seconds, writer=self)

    async def insert(self, row: StoredRow) -> bool:
        """Save a row unless its id is there; whether it was not."""
        return bool(await self._run(lambda writing: writing.insert_new([row])))

    async def delete(self, ids: Sequence[str]) -> int:
        """Delete rows; how many there were."""
        return await self._run(lambda writing: writing.delete(ids))

    async def delete_where(self, filters: Sequence[Filter], limit: int) -> int:
        """Delete the rows that pass filters, at most so many; how many there were."""

        def write(writing: Transaction) -> int:
            source = _source(writing.connection, self.purpose)
            sql, values = select(source, filters, limit=limit, columns="id")
            return writing.delete([id for (id,) in writing.connection.execute(sql, values)])

        return await self._run(write)

    async def upsert_all(self, chunks: Iterable[Sequence[StoredRow]]) -> int:
        """Save rows, each chunk as a whole, the next while one is copied.

        Where one fails, or it is cancelled, those before it are saved, and none is after it.
        """
        under_way: deque[WriteRequest] = deque()
        sizes: deque[int] = deque()
        count = 0
        last = None
        try:
            for rows in chunks:
                last = self._of_process().submit(
                    rows, self._timeout_seconds, writer=self, predecessor=last
                )
                under_way.append(last)
                sizes.append(sum(len(row[1] or "") for row in rows))
                while len(under_way) > self._chunks_ahead(sum(sizes)):
                    await asyncio.wrap_future(under_way[0].reply)
                    count += under_way.popleft().rows
                    sizes.popleft()
            while under_way:
                await asyncio.wrap_future(under_way[0].reply)
                count += under_way.popleft().rows
        finally:
            for request in under_way:
                request.reply.cancel()
        return count

    async def revise(
        self,
        sessions: list[str],
        make: Callable[[list[StoredRow]], Sequence[StoredRow]],
    ) -> None:
        """Save what is made of the rows of some sessions.

        Nobody else writes between the reading of those rows and the commit. It is made again where
        what shares the transaction fails.
        """
        table = self.purpose.table

        def write(writing: Transaction) -> None:
            writing.upsert(make(fetch_sessions(writing.connection, table, sessions)))

        await self._run(write)

    async def revise_one(
        self, id: str, make: Callable[[StoredRow | None], StoredRow | None]
    ) -> StoredRow | None:
        """Save what is made of the row with an id, or of None; where None is made, nothing.

        Nobody else writes between the reading of that row and the commit. It is made again where
        what shares the transaction fails.

        Returns:
            The row as it is now.
        """
        table = self.purpose.table

        def write(writing: Transaction) -> StoredRow | None:
            existing = fetch_ids(writing.connection, table, [id])
            row = make(existing[0] if existing else None)
            if row is None:
                return existing[0] if existing else None
            writing.upsert([row])
            (saved,) = fetch_ids(writing.connection, table, [row[0]])
            return saved

        return await self._run(write)

    async def merge(
        self,
        rows: Sequence[StoredRow],
        *,
        is_same: Callable[[StoredRow, StoredRow], bool],
        update: bool = False,
    ) -> Merged:
        """Insert the rows whose ids are not there, all or none.

        Args:
            rows: Each id once.
            is_same: Whether a row that is there and the one that has its id say the same.
            update: Replace a row that does not, `created_at` included; otherwise it stays.
        """
        table = self.purpose.table

        def write(writing: Transaction) -> Merged:
            ids = [row[0] for row in rows]
            existing = {row[0]: row for row in fetch_ids(writing.connection, table, ids)}
            new = [row for row in rows if row[0] not in existing]
            common = [row for row in rows if row[0] in existing]
            changed_rows = [row for row in common if not is_same(existing[row[0]], row)]
            writing.insert_new(new)
            if update:
                writing.replace(changed_rows)
            return Merged(len(new), len(common) - len(changed_rows), len(changed_rows))

        return await self._run(write)

    async def is_behind(self) -> bool:
        """Return whether the file is open, and its mirror has to begin with the whole table."""
        return self._commits is not None and await self._commits.is_behind()

    async def changes_of_others(self) -> object:
        """Return another value after somebody else has changed the file, or has replaced it."""
        return await self._of_process().changes_of_others(self)

    def _chunks_ahead(self, characters: int) -> int:
        if characters >= _SMALL_CHUNKS_CHARACTERS:
            return _CHUNKS_AHEAD
        return _COPIED_CHUNKS_AHEAD if self._is_copied else _SMALL_CHUNKS_AHEAD

    async def _run(self, write: Callable[[Transaction], Result]) -> Result:
        return await self._of_process().run(write, self._timeout_seconds, writer=self)

    def _of_process(self) -> GroupCommit:
        if self._is_closed:
            raise StoreClosedError(f"{self.path} is closed", hint="open the store again")
        if self._commits is None:
            self._commits = open_files.acquire(self.path, self.purpose, self._mirror)
        return self._commits


def _source(connection: Connection, purpose: Purpose) -> SqliteSource:
    connection.create_function("utc_text", 1, utc_text, deterministic=True)
    table = quoted(purpose.table)
    listed = "SELECT sql FROM sqlite_schema WHERE tbl_name = ? COLLATE NOCASE AND type = 'index'"
    indexes = [sql or "" for (sql,) in connection.execute(listed, [purpose.table])]
    is_odd = has_odd_created_at(connection, table)
    return union({purpose.name: table}, odd=is_odd, guarded=not is_indexed(indexes))
