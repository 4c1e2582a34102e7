"""`Follower`: reads the files of a rollup once, the newest rows first, and then their changes."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import anyio
from anyio.to_thread import run_sync

from khive_persist.errors import StoreError, StoreUnavailableError
from khive_persist.models.purposes import Purpose
from khive_persist.prices import PriceTable
from khive_persist.sessions.rollup.groups import PURPOSES, Span, read_groups, signature
from khive_persist.sessions.rollup.rollup import Rollup
from khive_persist.store.reader import FileVersion, Reader
from khive_persist.store.source import Source, Statement

CHUNK_ROWS: Final = 2_000
# Rows of these many at a file's end are looked at again whenever something was written to it.
TAIL_ROWS: Final = 200
# A file is counted anew once it has changed, but for no more than a hundredth of the time.
_SHARE: Final = 100
_LEAST_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 0.02
# More sessions than these changed at once are cheaper counted with all others.
_MANY_SESSIONS: Final = 50
_END: Final = "SELECT count(*), coalesce(max(rowid), 0) FROM {}"
_LARGEST: Final = "SELECT coalesce(max(rowid), 0) FROM {}"
# Of `rowid <= ?` SQLite would read the rows themselves.
_COUNT: Final = "SELECT (SELECT count(*) FROM {}) - (SELECT count(*) FROM {} WHERE rowid > ?)"
_CHUNK_ABOVE: Final = (
    "SELECT max(rowid) FROM (SELECT rowid FROM {} WHERE rowid > ? ORDER BY rowid LIMIT ?)"
)
_CHUNK_BELOW: Final = (
    "SELECT min(rowid) - 1 FROM (SELECT rowid FROM {} WHERE rowid <= ? ORDER BY rowid DESC LIMIT ?)"
)


class Progress(NamedTuple):
    """The progress of the first reading: `read` of `of` rows."""

    is_complete: bool
    read: int
    of: int


class _File:
    """One file, and the progress of its reading.

    Attributes:
        version: The file's identity, and the number of its writes; None where there is none.
        low: The rowid up to which rows are still to be read, downward; 0 when all are.
        last: The rowid above which rows are new.
        total: The number of its rows, as far as is known.
        read: The number of those that are counted.
        tail: The latest rows: by rowid, their session and all that is counted of them.
        recounted: The rowid up to which the second count is; None while there is none.
        settled: Sessions that were counted by themselves since the second count began.
        has_changed: Whether it was written to since the second count began.
        problem: The reason why it could not be read the last time, or an empty string.
    """

    def __init__(self, purpose: Purpose, reader: Reader) -> None:
        self.purpose = purpose
        self.reader = reader
        self.problem = ""
        self.is_looked_at = False
        self.version: FileVersion | None = None
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.low = self.last = self.total = self.read = 0
        self.tail: dict[int, tuple[Any, ...]] = {}
        self.recounted: int | None = None
        self.settled: set[str] = set()
        self.has_changed = False
        self.spent = self.recount_at = self.count_at = 0.0


class Follower:
    """A follower keeps a rollup equal to its files.

    The next look counts new rows, a change of one of the latest `TAIL_ROWS` rows of a file, and a
    file that was replaced. Missing rows are noticed soon, from their number. Any other change is
    found when a file is counted anew: after each change, but for at most a hundredth of the time.
    So it takes a second in a small file, and about half an hour in one of a million rows.
    """

    def __init__(
        self, open_reader: Callable[[Purpose], Reader], rollup: Rollup, prices: PriceTable
    ) -> None:
        """Prepare to read; `open_reader` opens a reader of one purpose, which `close` closes."""
        self.rollup = rollup
        self._prices = prices
        self._files = [_File(purpose, open_reader(purpose)) for purpose in PURPOSES]

    @property
    def progress(self) -> Progress:
        """The progress of the first reading; it does not end while a file cannot be read."""
        of = sum(file.total for file in self._files)
        is_complete = all(
            file.is_looked_at and not file.low and not file.problem for file in self._files
        )
        read = sum(min(file.read, file.total) for file in self._files)
        return Progress(is_complete, of if is_complete else read, of)

    @property
    def problems(self) -> list[str]:
        """The reasons why files could not be read at the last look."""
        return [file.problem for file in self._files if file.problem]

    def set_prices(self, prices: PriceTable) -> None:
        """Take other prices from now on, and count all anew."""
        self._prices = prices
        for file in self._files:
            # A second count that has begun has some of the old ones.
            file.has_changed, file.recounted, file.recount_at = True, None, 0.0

    async def look(self) -> bool:
        """Count some rows that are not counted yet, and return whether there is more to do at once.

        A file that cannot be read keeps its sums; see `problems`.
        """
        has_more = False
        for file in self._files:
            try:
                has_more = await self._look(file) or has_more
                file.problem = ""
            except StoreError as error:
                file.problem = str(error)
                file.version = None
        return has_more

    async def settle(self) -> None:
        """Count until nothing is left to count, every file anew that was written to.

        A file that cannot be read, as where its log is just being made, is tried for two seconds.
        """
        patience = time.monotonic() + _PATIENCE_SECONDS
        while await self.look() or any(file.has_changed or file.problem for file in self._files):
            if self.problems:
                if time.monotonic() > patience:
                    return
                await anyio.sleep(_PAUSE_SECONDS)
            for file in self._files:
                file.recount_at = 0.0

    async def close(self) -> None:
        """Close the files."""
        for file in self._files:
            await file.reader.close()

    async def _look(self, file: _File) -> bool:
        version = await file.reader.file_version(file.purpose)
        if version is None or file.version is None or version.file != file.version.file:
            return await self._begin(file, version)
        is_written, file.version = version != file.version, version
        file.has_changed = file.has_changed or is_written
        if file.low:
            await self._read_older(file)
            # New rows are shown at once, however much is still to be read.
            if is_written and await self._read_newer(file):
                # There may be more of them than a chunk.
                file.version = version._replace(writes=-1)
            return True
        if is_written:
            await self._look_at_tail(file)
            if await self._read_newer(file):
                file.version = version._replace(writes=-1)
                return True
            await self._compare_count(file)
        return await self._recount(file)

    async def _begin(self, file: _File, version: FileVersion | None) -> bool:
        """Begin with a file that was not there before, or forget one that is gone."""
        if file.last:
            await run_sync(self.rollup.forget, file.purpose.name)
        file.forget()
        if version is not None:
            rows = await _fetch(file, _END)
            # The rows of now are old, and are read from their end.
            file.total, file.low = rows[0]
            file.last = file.low
        file.version, file.is_looked_at = version, True
        return bool(file.low)

    async def _read_older(self, file: _File) -> None:
        """Count the chunk of rows below those that are counted."""
        began = time.monotonic()
        above = await _rowid(file, _CHUNK_BELOW, file.low) or 0
        if len(file.tail) < TAIL_ROWS:
            await self._note_tail(file, above, file.low)
        file.read += await self._add(file, Span(above, file.low))
        file.low = above
        file.spent += time.monotonic() - began
        if not above:
            file.recount_at = _later(file.spent)

    async def _read_newer(self, file: _File) -> bool:
        """Count a chunk of new rows, and return whether there was any."""
        upto = await _rowid(file, _CHUNK_ABOVE, file.last)
        if upto is None:
            return False
        await self._note_tail(file, file.last, upto)
        rows = await self._add(file, Span(file.last, upto))
        file.last = upto
        file.total += rows
        file.read += rows
        return True

    async def _add(self, file: _File, span: Span) -> int:
        groups = await read_groups(file.reader, file.purpose, span, self._prices)
        await run_sync(self.rollup.add, groups)
        return sum(group.rows for group in groups)

    async def _note_tail(self, file: _File, above: int, upto: int) -> None:
        # Before the rows are counted: a change that comes between is seen at the next look.
        file.tail |= await _signatures(file, above, upto)
        for rowid in sorted(file.tail)[:-TAIL_ROWS]:
            del file.tail[rowid]

    async def _look_at_tail(self, file: _File) -> None:
        previous = file.tail
        if previous:
            current = await _signatures(file, min(previous) - 1, file.last)
            rowids = previous.keys() | current.keys()
            wrong = {rowid for rowid in rowids if previous.get(rowid) != current.get(rowid)}
            sessions = {
                rows[rowid][0] for rows in (previous, current) for rowid in wrong if rowid in rows
            }
            file.tail = current
            if 2 * len(wrong) > len(previous) or len(sessions) > _MANY_SESSIONS or "" in sessions:
                # The rows may have been numbered anew, and those without a session have no index.
                file.recount_at = 0.0
            else:
                await self._count_sessions(file, sessions)
        # The rowid of a last row that was deleted is given again.
        rows = await _fetch(file, _LARGEST)
        file.last = min(file.last, rows[0][0])

    async def _count_sessions(self, file: _File, sessions: set[str]) -> None:
        file.settled |= sessions
        for session in sessions:
            span = Span(0, file.last, session)
            groups = await read_groups(file.reader, file.purpose, span, self._prices)
            await run_sync(self.rollup.replace, file.purpose.name, session, groups)

    async def _compare_count(self, file: _File) -> None:
        """Compare the number of rows, from their smallest index, with that of the sums."""
        began = time.monotonic()
        if began < file.count_at:
            return
        rows = await _fetch(file, _COUNT, file.last)
        file.count_at = _later(time.monotonic() - began)
        row_count = await run_sync(self.rollup.row_count, file.purpose.name)
        file.total = file.read = row_count
        if rows[0][0] != row_count:
            file.recount_at = 0.0

    async def _recount(self, file: _File) -> bool:
        """Go on counting the file anew, or begin to if it is time; return whether there is more."""
        began = time.monotonic()
        if file.recounted is None:
            if not file.has_changed or began < file.recount_at or self._is_recounting():
                return False
            file.recounted, file.has_changed, file.settled, file.spent = 0, False, set(), 0.0
            await self._note_tail(file, 0, file.last)
            await run_sync(self.rollup.begin_recount)
        upto = await _rowid(file, _CHUNK_ABOVE, file.recounted)
        upto = file.last if upto is None else min(upto, file.last)
        if upto > file.recounted:
            span = Span(file.recounted, upto)
            groups = await read_groups(file.reader, file.purpose, span, self._prices)
            await run_sync(self.rollup.recount, groups)
            file.recounted = upto
        file.spent += time.monotonic() - began
        if upto < file.last:
            return True
        await run_sync(self.rollup.end_recount, file.purpose.name, file.settled)
        file.total = file.read = await run_sync(self.rollup.row_count, file.purpose.name)
        file.recounted, file.recount_at = None, _later(file.spent)
        return False

    def _is_recounting(self) -> bool:
        return any(file.recounted is not None for file in self._files)


def _later(spent: float) -> float:
    return time.monotonic() + max(_SHARE * spent, _LEAST_SECONDS)


async def _signatures(file: _File, above: int, upto: int) -> dict[int, tuple[Any, ...]]:
    """Return all that is counted of the last rows of a range, by rowid."""

    def build(source: Source) -> Statement:
        sql = (
            f"SELECT rowid, {', '.join(signature(source, file.purpose))} FROM {{}}"
            f" WHERE rowid > ? AND rowid <= ? ORDER BY rowid DESC LIMIT {TAIL_ROWS}"
        )
        return _of(file.purpose, sql, (above, upto), source)

    return {row[0]: tuple(row[1:]) for row in await file.reader.fetch(build)}


async def _rowid(file: _File, sql: str, at: int) -> int | None:
    rows = await _fetch(file, sql, at, CHUNK_ROWS)
    return rows[0][0] if rows else None


async def _fetch(file: _File, sql: str, *values: int) -> list[Any]:
    return await file.reader.fetch(partial(_of, file.purpose, sql, values))


def _of(purpose: Purpose, sql: str, values: tuple[Any, ...], source: Source) -> Statement:
    table = source.tables.get(purpose.name)
    if table is None:
        raise StoreUnavailableError(f"{purpose.file} is just being made")
    return Statement(sql.replace("{}", table), [*values])
