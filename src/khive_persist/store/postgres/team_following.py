"""`TeamFollowing`: the records of one person's project on one machine, since it was last read."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any, Final, NamedTuple

from khive_persist.store.postgres.pool import Database

_BATCH: Final = 500
# A record can have megabytes: so many characters end a batch, and so few rows come at once.
_BATCH_CHARACTERS: Final = 8 << 20
_FETCHED_AT_ONCE: Final = 50
# Numbers of transactions are larger than a bigint in theory alone.
_NOW: Final = (
    "SELECT format('%s/%s', oid, 'khive.team_records'::regclass::oid),"
    " pg_snapshot_xmin(snapshot)::text::bigint, snapshot::text"
    " FROM pg_current_snapshot() AS snapshot, pg_database WHERE datname = current_database()"
)
_OF_PROJECT: Final = "person = $1 AND machine = $2 AND project = $3"
_SINCE: Final = f"{_OF_PROJECT} AND written_by >= $4::text::xid8"
_ROWS: Final = (
    "SELECT purpose, id, coalesce(created_at, hour), content_text FROM khive.team_records"
    f" WHERE {_SINCE} ORDER BY version"
)
_COUNT: Final = f"SELECT count(*) FROM khive.team_records WHERE {_SINCE}"
_IS_THERE: Final = (
    f"SELECT EXISTS (SELECT FROM khive.team_records WHERE {_OF_PROJECT} AND records > 0)"
)


class Version(NamedTuple):
    """A moment of the records of a team.

    Attributes:
        tables: The identity of its tables: another where they were made anew.
        transaction: All transactions below this number had ended.
        snapshot: The transactions that had ended: two moments of the same have the same records.
    """

    tables: str
    transaction: int
    snapshot: str


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
    """Reads what is new, from below the oldest transaction that still runs.

    Numbers of transactions do not commit in order: what lies above is read, and read once more, as
    others may still come between. What it raises is a StoreError, as its subclasses say.
    """

    def __init__(self, database: Database) -> None:
        """Use a database that is open, and has the tables of a team."""
        self._database = database

    async def version(self) -> Version:
        """Return this moment."""

        async def once() -> Version:
            async with self._database.connection() as connection:
                return Version(*await connection.fetchrow(_NOW))

        return await self._database.attempt(once)

    async def has_records(self, project: tuple[str, str, str]) -> bool:
        """Return whether a project (person, machine, project) has records that were not purged."""

        async def once() -> bool:
            async with self._database.connection() as connection:
                return bool(await connection.fetchval(_IS_THERE, *project))

        return await self._database.attempt(once)

    async def count(self, project: tuple[str, str, str], start: int) -> int:
        """Return how many records `rows` yields now."""

        async def once() -> int:
            async with self._database.connection() as connection:
                return int(await connection.fetchval(_COUNT, *project, str(start)))

        return await self._database.attempt(once)

    async def rows(
        self, project: tuple[str, str, str], start: int
    ) -> AsyncGenerator[list[FollowedRow], None]:
        """Yield the records that transactions from `start` wrote, as of one moment, in batches.

        Those of the latest ones come with the next call, too.
        """
        values: list[Any] = [*project, str(start)]
        async with self._database.connection() as connection, connection.transaction():
            batch: list[FollowedRow] = []
            characters = 0
            async for fields in connection.cursor(_ROWS, *values, prefetch=_FETCHED_AT_ONCE):
                row = FollowedRow(*fields)
                batch.append(row)
                characters += len(row.content or "")
                if len(batch) == _BATCH or characters >= _BATCH_CHARACTERS:
                    yield batch
                    batch, characters = [], 0
            if batch:
                yield batch
