"""`TeamFollowing`: the records of one person's project on one machine, since it was last read."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from khive_persist.store.postgres.pool import Database

_FETCHED_ROWS: Final = 50
# What is handed over at once: so many rows, or characters of their contents.
_BATCH_ROWS: Final = 500
_BATCH_CHARACTERS: Final = 8 << 20
# Numbers of transactions are larger than a bigint in theory alone.
_NOW: Final = (
    "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint,"
    " format('%s/%s', oid, 'khive.team_records'::regclass::oid)"
    " FROM pg_database WHERE datname = current_database()"
)
_OF_PROJECT: Final = "person = $1 AND machine = $2 AND project = $3"
_ROWS: Final = (
    "SELECT purpose, id, coalesce(created_at, hour), content_text FROM khive.team_records"
    f" WHERE {_OF_PROJECT} AND written_by >= $4::text::xid8 ORDER BY version"
)
_COUNT: Final = f"SELECT count(*) FROM khive.team_records WHERE {_OF_PROJECT}"
_IS_THERE: Final = (
    f"SELECT EXISTS (SELECT FROM khive.team_records WHERE {_OF_PROJECT} AND records > 0)"
)


class Version(NamedTuple):
    """A moment up to which the records of a team are followed.

    Attributes:
        tables: The identity of its tables: another where they were made anew.
        transaction: All transactions below this number had ended.
    """

    tables: str
    transaction: int


class FollowedRow(NamedTuple):
    """The latest version of a record.

    Attributes:
        purpose: The name of its purpose.
        id: Its id.
        created_at: Its time; its hour where it has none that can be read.
        content: The JSON of its content; None once it was purged.
    """

    purpose: str
    id: str
    created_at: datetime
    content: str | None


class TeamFollowing:
    """Reads what is new of a project, from below the oldest transaction that still runs.

    Numbers of transactions do not commit in order: what comes between the latest ones is found by
    reading those above that moment once more. What it raises is a StoreError, as its subclasses
    say.
    """

    def __init__(self, database: Database) -> None:
        """Use a database that is open, and has the tables of a team."""
        self._database = database

    async def version(self) -> Version:
        """Return the moment up to which the records can be followed now."""

        async def once() -> Version:
            async with self._database.connection() as connection:
                transaction, tables = await connection.fetchrow(_NOW)
                return Version(tables, transaction)

        return await self._database.attempt(once)

    async def has_records(self, project: tuple[str, str, str]) -> bool:
        """Return whether a project (person, machine, project) has records that were not purged."""

        async def once() -> bool:
            async with self._database.connection() as connection:
                return bool(await connection.fetchval(_IS_THERE, *project))

        return await self._database.attempt(once)

    async def count(self, project: tuple[str, str, str]) -> int:
        """Return how many records a project has, those that were purged among them."""

        async def once() -> int:
            async with self._database.connection() as connection:
                return int(await connection.fetchval(_COUNT, *project))

        return await self._database.attempt(once)

    async def read(
        self,
        project: tuple[str, str, str],
        since: int,
        take: Callable[[Sequence[FollowedRow]], Awaitable[None]],
    ) -> None:
        """Hand over all records that were written since a transaction, as of one moment.

        Args:
            project: Person, machine and project.
            since: The number of the transaction.
            take: Called with some records at a time, the oldest versions first. Where the
                connection is lost, it is called with all of them once more.
        """

        async def once() -> None:
            async with self._database.connection() as connection, connection.transaction():
                cursor = await connection.cursor(_ROWS, *project, str(since))
                rows: list[FollowedRow] = []
                size = 0
                while fetched := await cursor.fetch(_FETCHED_ROWS):
                    rows += [FollowedRow(*row) for row in fetched]
                    size += sum(len(row.content or "") for row in rows[-len(fetched) :])
                    if len(rows) >= _BATCH_ROWS or size >= _BATCH_CHARACTERS:
                        await take(rows)
                        rows, size = [], 0
                if rows:
                    await take(rows)

        await self._database.attempt(once)
