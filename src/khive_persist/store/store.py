"""`Store`: the records of one class, saved and found."""

from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from datetime import datetime
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread

from khive_persist import clock
from khive_persist.errors import (
    InvalidQueryError,
    InvalidRecordError,
    NotFoundError,
    StoreClosedError,
)
from khive_persist.models.node import Node, RecordPaths
from khive_persist.models.purposes import Purpose
from khive_persist.models.query import Filter, column
from khive_persist.store import codec
from khive_persist.store.backend import Backend, RowTail, RowWriter
from khive_persist.store.callbacks import Callbacks, Reporter, Tally
from khive_persist.store.files import SqliteFiles
from khive_persist.store.query_methods import Answers, Ordering
from khive_persist.store.source import Source, Statement, select
from khive_persist.store.sqlite.connection import DEFAULT_BUSY_TIMEOUT_SECONDS
from khive_persist.store.sqlite.mirror_progress import Mirroring

Record = TypeVar("Record", bound=Node)

_CHUNK_ROWS: Final = 1_000


class Store(Answers[Record]):
    """The records of one class in their file, or files.

    Open it with `open_store`, use it inside that `async with`, from as many tasks as you like.
    """

    def __init__(
        self,
        record: type[Record],
        path_of: Callable[[Purpose], Path],
        *,
        busy_timeout_seconds: float = DEFAULT_BUSY_TIMEOUT_SECONDS,
        before_read: Callable[[], Awaitable[object]] | None = None,
        redact: Callable[[codec.StoredRow], codec.StoredRow] | None = None,
        mirror_of: Callable[[Purpose], Mirroring] | None = None,
        callbacks: Callbacks | None = None,
        mirror_path: Callable[[Purpose, codec.StoredRow], Path | None] = lambda *_: None,
        read_only: bool = False,
        tables: Backend | None = None,
    ) -> None:
        """Prepare a store; `open` opens it.

        Args:
            busy_timeout_seconds: The longest wait of a write for other programs.
            before_read: A function awaited before each read, for what waits outside the database.
            redact: A function of each row before it is written; the row that it returns is written.
            mirror_of: The keeper of a purpose's second copy.
            callbacks: The functions told of what is saved, is loaded, or fails.
            mirror_path: The file that has the second copy of a row, or None.
            read_only: Whether it refuses to write, and makes nothing.
            tables: The tables of a database of PostgreSQL, in the place of files.
        """
        self.record = record
        self.is_open = False
        self._redact = redact
        self._before_read = before_read
        self._mirror_path = mirror_path
        self._database: Backend = tables or SqliteFiles(
            {purpose: path_of(purpose) for purpose in record.purposes()},
            busy_timeout_seconds,
            mirror_of,
            read_only=read_only,
        )
        self._writers = self._database.writers
        self._reader = self._database.reader
        format = self._database.format
        self._reporter = None if callbacks is None else Reporter(callbacks, self.paths, format)
        self._reporting: AbstractAsyncContextManager[None] = self._reporter or nullcontext()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, each made at the first write to it; or the address of the database."""
        return self._database.paths

    async def open(self) -> None:
        """Open the store. One with a single file makes it where it is missing, to write to it.

        Raises:
            StoreError: As its subclasses say.
        """
        await self._database.open()
        self.is_open = True

    async def is_behind(self) -> bool:
        """Return whether a file's mirror has to begin with the whole table; see `recover_file`."""
        return await self._database.is_behind()

    async def close(self) -> None:
        """Finish what was begun, and close the files."""
        self.is_open = False
        await self._database.close()

    async def save(self, record: Record) -> Record:
        """Save a record under its id: committed, synced and copied on return.

        A record that has this id already is replaced, but for its `created_at`. Concurrent saves
        share commits. Cancelled before its commit has begun, nothing is saved; after, it is.

        Raises:
            InvalidRecordError: It is not JSON, or SQLite cannot hold it.
            StoreError: As its subclasses say; it is not saved.
            MirrorError: It is saved, and not copied yet: the next opening copies it.
        """
        self._check_open()
        async with self._reporting:
            writer, row = self._writer(record), self._row(record)
            await writer.upsert(row)
        if self._reporter is not None:
            await self._reporter.saved(writer.path, Tally([row]))
        return record

    async def save_many(self, records: Iterable[Record], *, atomic: bool = False) -> int:
        """Save records, up to 1,000 a transaction: committed, synced and copied on return.

        Others save in between. Of a class with one file, `records` is read as it goes, so that
        memory stays flat: where one of them fails, or it is cancelled, those of the transactions
        before are saved. They are saved under their ids: to call it again saves the rest. Of a
        class with several files, all are read first.

        Args:
            records: In order.
            atomic: Save all in one transaction a file, or none. All are read first, and others wait
                for that transaction.

        Returns:
            How many they were.

        Raises:
            InvalidRecordError: One of them is not JSON, or SQLite cannot hold it.
            StoreError: As its subclasses say.
        """
        self._check_open()
        async with self._reporting:
            if len(self._writers) == 1:
                (writer,) = self._writers.values()
                chunks = _chunks(map(self._row, records), writer.chunk_rows)
                if atomic:
                    chunks = iter([list(chain.from_iterable(chunks))])
                return await self._upsert_all(writer, chunks)
            # Made before the first is written: one that is not JSON must not come after a commit.
            by_writer: dict[RowWriter, list[codec.StoredRow]] = {}
            for record in records:
                by_writer.setdefault(self._writer(record), []).append(self._row(record))
            return sum(
                [
                    await self._upsert_all(
                        writer, [rows] if atomic else _chunks(rows, writer.chunk_rows)
                    )
                    for writer, rows in by_writer.items()
                ]
            )

    async def revise(
        self, id: str, change: Callable[[Record | None], Record | None]
    ) -> Record | None:
        """Save what a function makes of a record: committed, synced and copied on return.

        No other task or process writes to the file between the reading and the commit, so that the
        function can refuse what it did not expect: what it raises is raised here, and nothing is
        saved.

        Args:
            id: The record's id.
            change: A function from the record, or None where there is none, to the record to save,
                or to None to leave all as it is. All other writers wait for it. It is called in
                another thread, and again where another record of the same commit was refused.

        Returns:
            The record as it is now; None where there is none.

        Raises:
            InvalidRecordError: The class has several files, or what was made cannot be saved.
            StoreError: As its subclasses say; it is not saved.
        """
        self._check_open()
        if len(self._writers) != 1:
            raise InvalidRecordError(f"records of {self.record.__name__} have several files")
        (writer,) = self._writers.values()
        new_rows: list[codec.StoredRow] = []

        def make(row: codec.StoredRow | None) -> codec.StoredRow | None:
            revised = change(None if row is None else codec.from_row(self.record, row))
            new_rows[:] = [] if revised is None else [self._row(revised)]
            return new_rows[0] if new_rows else None

        async with self._reporting:
            row = await writer.revise_one(id, make)
        if new_rows and self._reporter is not None:
            await self._reporter.saved(writer.path, Tally(new_rows))
        return None if row is None else codec.from_row(self.record, row)

    async def delete(self, id: str) -> bool:
        """Delete a record: committed, synced and copied on return; whether it was there."""
        self._check_open()
        async with self._reporting:
            return any([await writer.delete([id]) for writer in self._database.existing_writers()])

    async def delete_where(self, *filters: Filter) -> int:
        """Delete the records that pass every filter, from both copies: how many they were.

        Up to 1,000 at a time are deleted in a transaction that is committed and synced; cancelled
        or killed, those of whole transactions are gone. A record that somebody saves meanwhile is
        deleted if it passes.

        Raises:
            InvalidQueryError: There is no filter, or one is wrong.
            StoreError: As its subclasses say; what was committed before is gone.
        """
        if not filters:
            raise InvalidQueryError("no filter would delete all", hint="use clear() for that")
        return await self._delete_all(filters)

    async def clear(self) -> int:
        """Delete all records, as `delete_where` does: how many they were. The files stay."""
        return await self._delete_all(())

    async def paths_of(self, id: str) -> RecordPaths:
        """Return the files that have the record with this id: its database, and its JSON copy.

        Raises:
            NotFoundError: There is none.
            StoreError: As its subclasses say.
        """
        if not isinstance(self._database, SqliteFiles):
            raise InvalidQueryError("records of PostgreSQL are in no file")
        if (stored := await anyio.to_thread.run_sync(self._database.file_of, id)) is not None:
            writer, row = stored
            find = partial(self._mirror_path, writer.purpose, row)
            return RecordPaths(writer.path, await anyio.to_thread.run_sync(find))
        raise NotFoundError(f"no {self.record.__name__} has the id {id!r}")

    async def get(self, id: str) -> Record:
        """Return the record with this id.

        Raises:
            NotFoundError: There is none.
        """
        records = await self.find(column("id") == id, limit=1)
        if not records:
            raise NotFoundError(f"no {self.record.__name__} has the id {id!r}")
        return records[0]

    async def find(
        self,
        *filters: Filter,
        order_by: Ordering = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Record]:
        """Return the records that pass every filter.

        Args:
            filters: Conditions made with `field(...)` and `column(...)`.
            order_by: Fields, `-field(...)` for descending. Without one: as they were inserted.
            limit: At most so many.
            offset: Without the first so many.

        Raises:
            InvalidQueryError: A filter, the order or a number is wrong.
            StoreError: As its subclasses say.
        """
        return await self._records(
            await self._fetch(lambda source: select(source, filters, order_by, limit, offset))
        )

    async def stream(
        self, *filters: Filter, order_by: Ordering = (), limit: int | None = None
    ) -> AsyncGenerator[Record, None]:
        """Yield the records that pass every filter, one after the other, in flat memory.

        All are of the moment at which it began, whatever is saved meanwhile. What was not read
        within 5 seconds is copied to a file without a name in the temporary folder: so who reads
        slowly does not make the log of the database grow. Left early, as by `break`, it closes when
        it is collected, or at once inside of `async with contextlib.aclosing(...)`.
        """
        self._check_open()
        build = partial(select, filters=filters, order_by=order_by, limit=limit)
        async with self._reporting, aclosing(self._reader.pages(build)) as pages:
            if self._before_read is not None:
                await self._before_read()
            async for rows in pages:
                for record in await self._records(rows):
                    yield record

    async def follow(
        self, *filters: Filter, poll_seconds: float = 0.1
    ) -> AsyncGenerator[Record, None]:
        """Return the records that pass every filter and are stored after the await, without end.

            async for event in await events.follow(): ...

        The order is that of storing, within each file. None is passed over, whichever process
        stores it and whatever its `created_at`.
        """
        tails = self._database.tails(self._fetch)
        for tail in tails:
            await tail.skip()
        return self._follow(tails, filters, poll_seconds)

    async def _follow(
        self,
        tails: Sequence[RowTail],
        filters: tuple[Filter, ...],
        poll_seconds: float,
    ) -> AsyncGenerator[Record, None]:
        while True:
            for tail in tails:
                for record in await self._records(await tail.read(filters)):
                    yield record
            await anyio.sleep(poll_seconds)

    async def count(self, *filters: Filter) -> int:
        """Return how many records pass every filter."""
        rows = await self._fetch(lambda source: select(source, filters, columns="count(*)"))
        return int(rows[0][0])

    async def get_recent(self, limit: int = 10) -> list[Record]:
        """Return the newest records, newest first."""
        return await self.find(order_by=-column("created_at"), limit=limit)

    async def get_by_date_range(self, start: datetime, end: datetime) -> list[Record]:
        """Return the records of `start <= created_at < end`, oldest first. Naive times are UTC."""
        created_at = column("created_at")
        return await self.find(created_at >= start, created_at < end, order_by=created_at)

    def changes(self) -> tuple[object, ...]:
        """Return another value after anybody has written to its files; it takes microseconds."""
        self._check_open()
        return self._database.changes()

    async def changes_of_others(self) -> tuple[object, ...]:
        """Return another value after somebody else than this store has written to its files.

        Who keeps what was read here, and changes it with each save, can tell by it whether it
        still holds.
        """
        self._check_open()
        return await self._database.changes_of_others()

    async def stats(self) -> dict[str, Any]:
        """Return `total`, and `first` and `last` `created_at` (datetime; None without records)."""
        rows = await self._fetch(
            lambda source: Statement(
                f"SELECT (SELECT count(*) FROM {source.sql}),"
                f" (SELECT min({source.created_at}) FROM {source.sql}),"
                f" (SELECT max({source.created_at}) FROM {source.sql})",
                [],
            )
        )
        total, first, last = rows[0]
        return {
            "total": total,
            "first": clock.from_column(first),
            "last": clock.from_column(last),
        }

    async def _fetch(self, build: Callable[[Source], Statement]) -> list[Any]:
        self._check_open()
        async with self._reporting:
            if self._before_read is not None:
                await self._before_read()
            return await self._reader.fetch(build)

    async def _records(self, rows: Sequence[Any]) -> list[Record]:
        if self._reporter is not None:
            await self._reporter.loaded(rows)
        return [codec.from_row(self.record, row) for row in rows]

    async def _upsert_all(
        self, writer: RowWriter, chunks: Iterable[Sequence[codec.StoredRow]]
    ) -> int:
        if self._reporter is None:
            return await writer.upsert_all(chunks)
        tally = Tally()
        count = await writer.upsert_all(tally.counting(chunks))
        await self._reporter.saved(writer.path, tally)
        return count

    async def _delete_all(self, filters: tuple[Filter, ...]) -> int:
        self._check_open()
        total = 0
        async with self._reporting:
            if self._before_read is not None:
                await self._before_read()
            for writer in self._database.existing_writers():
                while count := await writer.delete_where(filters, _CHUNK_ROWS):
                    total += count
        return total

    def _check_open(self) -> None:
        if not self.is_open:
            raise StoreClosedError(
                f"the store of {self.record.__name__} is not open",
                hint="use it inside its `async with open_store(...)`",
            )

    def _row(self, record: Record) -> codec.StoredRow:
        row = codec.to_row(record)
        return row if self._redact is None else self._redact(row)

    def _writer(self, record: Record) -> RowWriter:
        return self._writers[record.purpose_of(record.content)]


def _chunks(rows: Iterable[codec.StoredRow], size: int) -> Iterator[list[codec.StoredRow]]:
    remaining = iter(rows)
    while chunk := list(islice(remaining, size)):
        yield chunk
