"""`TeamTables`: the records of a team in a database of PostgreSQL, and their sums by the hour."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import add, itemgetter, sub
from typing import Any, Final, NamedTuple

from khive_persist.errors import ConflictError
from khive_persist.store.postgres.migrations import migrate_team
from khive_persist.store.postgres.pool import Database
from khive_persist.store.postgres.team_row import NOTHING, Counts, TeamRow

# Each session of a transaction has a lock: PostgreSQL's table of locks has room for 6,400 at least.
_MOST_SESSIONS: Final = 200
# A statement has so many rows, all of one session: the statements are few, and stay prepared.
_SIZES: Final = (64, 16, 4, 1)
_LOCKS: Final = 1_908_471

_KEY: Final = ("session", "machine", "project", "purpose", "id")
_COUNTS: Final = Counts._fields
_RECORD: Final = (
    *_KEY, "person", "version", "form", "created_at", "content", "content_text", "hour", "tool",
    "model", *_COUNTS,
)  # fmt: skip
_SUMS_KEY: Final = ("session", "hour", "person", "machine", "project", "tool", "model")
_SUMS: Final = (*_SUMS_KEY, *_COUNTS)

# In the order of their numbers, so that nobody holds one that another waits for and waits himself.
_LOCK: Final = (
    "SELECT pg_advisory_xact_lock($2, key) FROM (SELECT DISTINCT hashtext(session) AS key"
    " FROM unnest($1::text[]) AS session ORDER BY 1) AS keys"
)
_EXISTING: Final = (
    f"SELECT {', '.join(f'record.{name}' for name in _KEY)}, record.version, record.hour,"
    f" record.person, record.tool, record.model, {', '.join(f'record.{n}' for n in _COUNTS)}"
    " FROM khive.team_records AS record JOIN unnest($1::text[], $2::text[], $3::text[],"
    f" $4::text[], $5::text[]) AS new ({', '.join(_KEY)}) USING ({', '.join(_KEY)})"
)
_UPSERT: Final = (
    f"INSERT INTO khive.team_records ({', '.join(_RECORD)}) VALUES {{rows}}"
    f" ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET"
    f" {', '.join(f'{name} = excluded.{name}' for name in _RECORD[len(_KEY) :])},"
    " stored_at = excluded.stored_at, written_by = excluded.written_by"
    " WHERE excluded.version > team_records.version"
)
_ADD: Final = (
    f"INSERT INTO khive.team_session_hours ({', '.join(_SUMS)}) VALUES {{rows}}"
    f" ON CONFLICT ({', '.join(_SUMS_KEY)}) DO UPDATE SET"
    f" {', '.join(f'{name} = team_session_hours.{name} + excluded.{name}' for name in _COUNTS)}"
)
_EMPTY: Final = (
    "DELETE FROM khive.team_session_hours WHERE session = ANY($1::text[]) AND records = 0"
)
_REJECT: Final = (
    "INSERT INTO khive.team_rejected (origin, reason, body) VALUES ($1, $2, $3)"
    " ON CONFLICT (origin) DO NOTHING"
)


class Stored(NamedTuple):
    """The numbers of records by what became of them.

    Attributes:
        new: Those that were not there.
        replaced: Those of which an older version was there.
        duplicates: Those of which this version was there, or a newer one.
    """

    new: int = 0
    replaced: int = 0
    duplicates: int = 0

    def __add__(self, other: object) -> "Stored":
        assert isinstance(other, Stored)
        return Stored(*map(add, self, other))


class Rejection(NamedTuple):
    """A message or record that cannot be stored.

    Attributes:
        origin: The place that it came from, the same each time that it comes.
        reason: The cause.
        body: Its bytes.
    """

    origin: str
    reason: str
    body: bytes


class TeamTables:
    """The tables of a team: the latest version of each record, and sums of them by the hour.

    Several processes may write at once, the same records, too.
    """

    def __init__(self, url: str, timeout_seconds: float) -> None:
        """Prepare to connect.

        Args:
            url: `postgresql://…`, as libpq takes it.
            timeout_seconds: The longest time of a statement, and of a wait for a connection.
        """
        self._database = Database(url, timeout_seconds)

    @property
    def database(self) -> Database:
        """The database."""
        return self._database

    async def open(self) -> None:
        """Connect, and make what is missing.

        Raises:
            StoreError: As its subclasses say.
        """
        await self._database.open()
        try:
            await self._database.attempt(lambda: migrate_team(self._database))
        except BaseException:
            await self._database.close()
            raise

    async def close(self) -> None:
        """Close the connections."""
        await self._database.close()

    async def store(self, rows: Iterable[TeamRow], sender: str | None = None) -> Stored:
        """Store versions of records, in any order, again or for the first time.

        On return they are committed, with the sums: of each record the largest version that was
        ever stored is there. All of a session are committed together.

        Args:
            rows: The versions.
            sender: The person whose records alone may be replaced; None for those of anybody.

        Raises:
            ConflictError: A record is there and is of another person than the sender; its session
                is not stored.
            InvalidRecordError: A row has what PostgreSQL cannot hold; its session is not stored.
            StoreError: As its subclasses say; sessions before this may be stored.
        """
        total = Stored()
        for batch in _batches(rows):

            async def once(batch: Sequence[TeamRow] = batch) -> Stored:
                async with self._database.connection() as connection, connection.transaction():
                    return await _store(batch, connection, sender)

            total += await self._database.attempt(once)
        return total

    async def reject(self, rejections: Sequence[Rejection]) -> None:
        """Keep what came and cannot be stored; what is there by the same origin stays.

        Raises:
            StoreError: As its subclasses say.
        """

        async def once() -> None:
            async with self._database.connection() as connection:
                await connection.executemany(_REJECT, rejections)

        await self._database.attempt(once)


def _batches(rows: Iterable[TeamRow]) -> Iterator[list[TeamRow]]:
    """Yield the newest version of each record, in the order of their keys, by transaction."""
    newest: dict[tuple[str, ...], TeamRow] = {}
    for row in rows:
        other = newest.get(row.key)
        if other is None or other.version < row.version:
            newest[row.key] = row
    batch: list[TeamRow] = []
    sessions = 0
    for _, group in groupby(sorted(newest.values(), key=itemgetter(slice(5))), itemgetter(0)):
        if sessions == _MOST_SESSIONS:
            yield batch
            batch, sessions = [], 0
        batch += group
        sessions += 1
    if batch:
        yield batch


async def _store(rows: Sequence[TeamRow], connection: Any, sender: str | None) -> Stored:
    sessions = sorted({row.session for row in rows})
    await connection.execute(_LOCK, sessions, _LOCKS)
    # What others committed before the lock was theirs no more is seen by this statement.
    keys = [list(column) for column in zip(*(row.key for row in rows), strict=True)]
    existing = {tuple(row[:5]): row for row in await connection.fetch(_EXISTING, *keys)}
    # A record's key has no person: who names another's would take it, or take it out.
    if sender is not None and any(row["person"] != sender for row in existing.values()):
        raise ConflictError("a record is there as that of another person")
    newer = [
        row for row in rows
        if row.key not in existing or existing[row.key]["version"] < row.version
    ]  # fmt: skip
    replaced = [existing[row.key] for row in newer if row.key in existing]
    await _execute(connection, _UPSERT, map(_columns, newer))
    await _execute(connection, _ADD, _changes(newer, replaced))
    if any(row["records"] for row in replaced):
        await connection.execute(_EMPTY, sessions)
    return Stored(len(newer) - len(replaced), len(replaced), len(rows) - len(newer))


def _changes(newer: Iterable[TeamRow], replaced: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield what is added to the sums, by their keys, in order; what is taken out is below 0."""
    changes: defaultdict[tuple[Any, ...], Counts] = defaultdict(lambda: NOTHING)
    for row in replaced:
        counts = Counts(*row[len(row) - len(_COUNTS) :])
        key = tuple(row[name] for name in _SUMS_KEY)
        changes[key] = Counts(*map(sub, changes[key], counts))
    for row in newer:
        changes[row.sums_key] = Counts(*map(add, changes[row.sums_key], row.counts))
    for key in sorted(changes):
        if any(changes[key]):
            yield (*key, *changes[key])


def _columns(row: TeamRow) -> tuple[Any, ...]:
    return (*row[:-1], *row.counts)


async def _execute(connection: Any, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Run a statement for rows that lie in the order of sessions, some of one session at once."""
    by_size: defaultdict[int, list[list[Any]]] = defaultdict(list)
    for _, group in groupby(rows, itemgetter(0)):
        session_rows = list(group)
        start = 0
        for size in _SIZES:
            while len(session_rows) - start >= size:
                values = [value for row in session_rows[start : start + size] for value in row]
                by_size[size].append(values)
                start += size
    for size, arguments in by_size.items():
        width = len(arguments[0]) // size
        await connection.executemany(sql.format(rows=_values(size, width)), arguments)


def _values(rows: int, width: int) -> str:
    """Return the parameters of so many rows."""
    return ", ".join(
        f"({', '.join(f'${row * width + n}' for n in range(1, width + 1))})" for row in range(rows)
    )
