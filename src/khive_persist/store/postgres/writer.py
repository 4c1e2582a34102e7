"""`PostgresWriter`: what a store does to the table of one purpose."""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import anyio.to_thread

from khive_persist.errors import KhiveError, StoreClosedError
from khive_persist.models.purposes import Purpose
from khive_persist.models.query import Filter
from khive_persist.store import codec
from khive_persist.store.backend import Merged
from khive_persist.store.codec import StoredRow
from khive_persist.store.postgres import rows as postgres_rows
from khive_persist.store.postgres.pool import Database
from khive_persist.store.postgres.reader import numbered
from khive_persist.store.postgres.rows import COLUMNS, TYPES, PostgresRow, to_postgres
from khive_persist.store.postgres.source import COLUMNS as AS_STORED
from khive_persist.store.postgres.source import quoted, source_of
from khive_persist.store.source import select

Result = TypeVar("Result")

# As a row is prepared while others are committed, so transactions are, two at a time.
_COMMITTERS: Final = 2
_FEWEST_ROWS: Final = 16
_MOST_ROWS: Final = 1_000
# So many are prepared at once: the COPY that is under way waits for them.
_CHUNK_ROWS: Final = 20
_NAMES: Final = ", ".join(COLUMNS)
_ARRAYS: Final = ", ".join(f"${n}::{type}[]" for n, type in enumerate(TYPES, start=1))
_NEW: Final = (
    "content = excluded.content, content_text = excluded.content_text,"
    " node_metadata = excluded.node_metadata, embedding = excluded.embedding"
)
# A plan made while a table is nearly empty, or has no statistics yet, would read all of it for each
# batch from then on.
_BY_INDEX: Final = "; ".join(
    f"SET LOCAL enable_{way} = off" for way in ("seqscan", "hashjoin", "mergejoin")
)
_TIME: Final = "created_at = excluded.created_at, created_at_text = excluded.created_at_text"


class _Save(NamedTuple):
    row: PostgresRow
    reply: "asyncio.Future[None]"


class PostgresWriter:
    """Writes to one table: committed when a call returns, as `synchronous_commit` says.

    Saves that come while others are committed share the next transaction. Two are under way at a
    time, and of one id the later save is committed later.

    Attributes:
        purpose: The purpose of its table.
        path: The address without its password, as callbacks are told it.
    """

    def __init__(self, database: Database, purpose: Purpose) -> None:
        """Prepare to write."""
        self.purpose = purpose
        self.path = Path(database.name)
        self._database = database
        self._table = quoted(purpose.table)
        self._saves: deque[_Save] = deque()
        self._committers: set[asyncio.Task[None]] = set()
        self._ids_under_way: set[str] = set()
        self._under_way = 0
        self._is_closed = False

    @property
    def chunk_rows(self) -> int:
        """The number of rows of a bulk that are prepared at once; see `upsert_all`."""
        return _CHUNK_ROWS

    async def close(self) -> None:
        """Wait until what was begun has ended."""
        self._is_closed = True
        if self._committers:
            await asyncio.wait(self._committers)

    async def upsert(self, row: StoredRow) -> None:
        """Save a row."""
        if self._is_closed:
            raise StoreClosedError(f"{self._database.name} is closed", hint="open the store again")
        save = _Save(to_postgres(row), asyncio.get_running_loop().create_future())
        self._saves.append(save)
        self._committers = {task for task in self._committers if not task.done()}
        if len(self._committers) < _COMMITTERS:
            self._committers.add(asyncio.create_task(self._commit()))
        await save.reply

    async def insert(self, row: StoredRow) -> bool:
        """Save a row unless its id is there; whether it was not."""
        ids = await self._run(partial(self._insert, [to_postgres(row)]))
        return bool(ids)

    async def delete(self, ids: Sequence[str]) -> int:
        """Delete rows; how many there were."""
        sql = f"DELETE FROM {self._table} WHERE id = ANY($1::text[])"
        return await self._run(lambda connection: _count(connection, sql, list(ids)))

    async def delete_where(self, filters: Sequence[Filter], limit: int) -> int:
        """Delete the rows that pass filters, at most so many; how many there were."""
        source = source_of({self.purpose.name: self._table})
        statement = select(source, filters, limit=limit, columns="id")
        sql, values = numbered(statement)
        sql = f"DELETE FROM {self._table} WHERE id IN ({sql})"
        return await self._run(lambda connection: _count(connection, sql, *values))

    async def upsert_all(self, chunks: Iterable[Sequence[StoredRow]]) -> int:
        """Save rows by COPY, chunks of 1,000 rows together in a transaction, each chunk as a whole.

        The next are prepared meanwhile. Where one fails, or it is cancelled, those before it are
        saved, and none is after it.
        """
        count = 0
        rows: list[PostgresRow] = []
        copying: asyncio.Future[None] | None = None
        try:
            for chunk in chunks:
                for start in range(0, len(chunk), _CHUNK_ROWS):
                    rows += _converted(chunk[start : start + _CHUNK_ROWS])
                    # The COPY that is under way goes on.
                    await asyncio.sleep(0)
                count += len(chunk)
                if len(rows) >= _MOST_ROWS:
                    if copying is not None:
                        await copying
                    copying = asyncio.ensure_future(self._run(partial(self._copy, rows)))
                    rows = []
        finally:
            if copying is not None:
                await copying
        if rows:
            await self._run(partial(self._copy, rows))
        return count

    async def revise(
        self, sessions: list[str], make: Callable[[list[StoredRow]], Sequence[StoredRow]]
    ) -> None:
        """Save what is made of the rows of some sessions; nobody writes to these in between."""

        async def write(connection: Any) -> None:
            await self._lock(connection, [f"session {session}" for session in sorted(sessions)])
            existing = await connection.fetch(
                f"SELECT {AS_STORED} FROM {self._table} WHERE session = ANY($1::text[])"
                " ORDER BY seq FOR UPDATE",
                sessions,
            )
            stored = [codec.as_text(row) for row in existing]
            changed = await anyio.to_thread.run_sync(make, stored)
            await self._upsert(postgres_rows.by_id(_converted(changed)), connection)

        await self._run(write)

    async def revise_one(
        self, id: str, make: Callable[[StoredRow | None], StoredRow | None]
    ) -> StoredRow | None:
        """Save what is made of the row with an id, or of None; where None is made, nothing.

        Nobody else writes to it between the reading of that row and the commit.

        Returns:
            The row as it is now.
        """

        async def write(connection: Any) -> StoredRow | None:
            await self._lock(connection, [f"id {id}"])
            existing = await self._row(connection, id, " FOR UPDATE")
            row = await anyio.to_thread.run_sync(make, existing)
            if row is None:
                return existing
            await self._upsert([to_postgres(row)], connection)
            return await self._row(connection, row[0])

        return await self._run(write)

    async def merge(
        self,
        rows: Sequence[StoredRow],
        *,
        is_same: Callable[[StoredRow, StoredRow], bool],
        update: bool = False,
    ) -> Merged:
        """Insert the rows whose ids are not there, all or none; see `Writer.merge`."""

        async def write(connection: Any) -> Merged:
            await connection.execute(f"LOCK TABLE {self._table} IN SHARE ROW EXCLUSIVE MODE")
            fetched = await connection.fetch(
                f"SELECT {AS_STORED} FROM {self._table} WHERE id = ANY($1::text[])",
                [row[0] for row in rows],
            )
            existing = {row["id"]: codec.as_text(row) for row in fetched}
            new = [row for row in rows if row[0] not in existing]
            common = [row for row in rows if row[0] in existing]
            changed = [row for row in common if not is_same(existing[row[0]], row)]
            await self._insert(postgres_rows.by_id(_converted(new)), connection)
            if update:
                sorted_rows = postgres_rows.by_id(_converted(changed))
                await self._upsert(sorted_rows, connection, with_time=True)
            return Merged(len(new), len(common) - len(changed), len(changed))

        return await self._run(write)

    async def _commit(self) -> None:
        while saves := self._next_saves():
            ids = {save.row[0] for save in saves}
            self._ids_under_way |= ids
            self._under_way += 1
            try:
                await self._save_all(saves)
            finally:
                self._ids_under_way -= ids
                self._under_way -= 1

    def _next_saves(self) -> list[_Save]:
        """Take what the next transaction saves: up to the first whose id is under way."""
        share = len(self._saves) / (_COMMITTERS - self._under_way)
        most = min(max(math.ceil(share), _FEWEST_ROWS), _MOST_ROWS)
        saves: list[_Save] = []
        while self._saves and len(saves) < most:
            # Who commits that one takes the later save after it.
            if self._saves[0].row[0] in self._ids_under_way:
                break
            save = self._saves.popleft()
            if not save.reply.cancelled():
                saves.append(save)
        return saves

    async def _save_all(self, saves: Sequence[_Save]) -> None:
        rows = postgres_rows.by_id([save.row for save in saves])
        try:
            await self._run(partial(self._upsert, rows))
        except KhiveError as error:
            if len(saves) > 1:
                # One of them must not refuse the others.
                for save in saves:
                    await self._save_alone(save)
            else:
                _fail(saves[0], error)
        except BaseException as error:
            for save in saves:
                _fail(save, error)
            raise
        else:
            for save in saves:
                if not save.reply.done():
                    save.reply.set_result(None)

    async def _save_alone(self, save: _Save) -> None:
        try:
            await self._run(partial(self._upsert, [save.row]))
        except KhiveError as error:
            _fail(save, error)
        else:
            if not save.reply.done():
                save.reply.set_result(None)

    async def _run(self, write: Callable[[Any], Awaitable[Result]]) -> Result:
        async def once() -> Result:
            async with self._database.transaction(_BY_INDEX) as connection:
                return await write(connection)

        # A commit that has begun is not given up half-way.
        return await asyncio.shield(asyncio.ensure_future(self._database.attempt(once)))

    async def _upsert(
        self, rows: Sequence[PostgresRow], connection: Any, *, with_time: bool = False
    ) -> None:
        if not rows:
            return
        arrays = postgres_rows.columns(rows)
        await self._take_from_other_sessions(connection, arrays)
        renewed = f"{_NEW}, {_TIME}" if with_time else _NEW
        await connection.execute(
            f"INSERT INTO {self._table} ({_NAMES}) SELECT * FROM unnest({_ARRAYS})"
            f" ON CONFLICT (session, id) DO UPDATE SET {renewed}",
            *arrays,
        )

    async def _take_from_other_sessions(self, connection: Any, arrays: list[list[Any]]) -> None:
        """Let records that have come to another session keep their time, and be there alone."""
        moved = await connection.fetch(
            f"DELETE FROM {self._table} AS record USING unnest($1::text[], $2::text[])"
            " AS new (id, session) WHERE record.id = new.id AND record.session <> new.session"
            " RETURNING record.id, record.created_at, record.created_at_text",
            arrays[0],
            arrays[1],
        )
        times = {row[0]: (row[1], row[2]) for row in moved}
        for at, id in enumerate(arrays[0]):
            if id in times:
                arrays[5][at], arrays[6][at] = times[id]

    async def _insert(self, rows: Sequence[PostgresRow], connection: Any) -> list[str]:
        if not rows:
            return []
        sql = (
            f"INSERT INTO {self._table} ({_NAMES}) SELECT * FROM unnest({_ARRAYS})"
            f" AS new ({_NAMES}) WHERE NOT EXISTS"
            f" (SELECT 1 FROM {self._table} AS record WHERE record.id = new.id)"
            " ON CONFLICT (session, id) DO NOTHING RETURNING id"
        )
        await self._lock(connection, [f"id {row[0]}" for row in rows])
        return [row[0] for row in await connection.fetch(sql, *postgres_rows.columns(rows))]

    async def _copy(self, rows: Sequence[PostgresRow], connection: Any) -> None:
        unique = postgres_rows.by_id(rows)
        ids = [row[0] for row in unique]
        existing = f"SELECT EXISTS (SELECT 1 FROM {self._table} WHERE id = ANY($1::text[]))"
        if not await connection.fetchval(existing, ids):
            # One that comes in between is there at the next attempt.
            table = self.purpose.table
            await connection.copy_records_to_table(table, records=unique, columns=COLUMNS)
            return
        await connection.execute(
            "CREATE TEMPORARY TABLE IF NOT EXISTS khive_copied (id text, session text,"
            " content jsonb, content_text text, node_metadata json, created_at timestamptz,"
            " created_at_text text, embedding json) ON COMMIT DELETE ROWS"
        )
        await connection.copy_records_to_table("khive_copied", records=unique, columns=COLUMNS)
        elsewhere = "record.id = new.id AND record.session <> new.session"
        await connection.execute(
            "UPDATE khive_copied AS new SET created_at = record.created_at, created_at_text ="
            f" record.created_at_text FROM {self._table} AS record WHERE {elsewhere}"
        )
        await connection.execute(
            f"DELETE FROM {self._table} AS record USING khive_copied AS new WHERE {elsewhere}"
        )
        await connection.execute(
            f"INSERT INTO {self._table} ({_NAMES}) SELECT {_NAMES} FROM khive_copied"
            f" ON CONFLICT (session, id) DO UPDATE SET {_NEW}"
        )

    async def _lock(self, connection: Any, names: Sequence[str]) -> None:
        await connection.execute(
            "SELECT pg_advisory_xact_lock(key) FROM (SELECT hashtextextended(name, 0) AS key"
            " FROM unnest($1::text[]) AS name ORDER BY 1) AS keys",
            [f"{self.purpose.table} {name}" for name in names],
        )

    async def _row(self, connection: Any, id: str, clause: str = "") -> StoredRow | None:
        sql = f"SELECT {AS_STORED} FROM {self._table} WHERE id = $1{clause}"
        row = await connection.fetchrow(sql, id)
        return None if row is None else codec.as_text(row)


def _converted(rows: Sequence[StoredRow]) -> list[PostgresRow]:
    return [to_postgres(row) for row in rows]


def _fail(save: _Save, error: BaseException) -> None:
    if not save.reply.done():
        save.reply.set_exception(error)


async def _count(connection: Any, sql: str, *values: Any) -> int:
    return int((await connection.execute(sql, *values)).split()[-1])
