"""`TeamStore`: a team's records in PostgreSQL, as a server, a sender and a collector store them."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from khive_persist.errors import InvalidRecordError
from khive_persist.store import codec
from khive_persist.store.postgres.pool import Database
from khive_persist.store.postgres.team_tables import Rejection, Stored, TeamTables
from khive_persist.team.team_record import TeamRecord
from khive_persist.team.team_rows import TeamRows

TIMEOUT_SECONDS: Final = 30.0


class Refused(NamedTuple):
    """A record that the tables cannot hold.

    Attributes:
        record: The record.
        reason: The cause.
    """

    record: TeamRecord
    reason: str


class TeamStore:
    """Stores records with their sums; those that cannot be stored do not stop the others."""

    def __init__(self, url: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """Prepare to connect.

        Args:
            url: `postgresql://…`, as libpq takes it.
            timeout_seconds: The longest time of a statement, and of a wait for a connection.
        """
        self._tables = TeamTables(url, timeout_seconds)
        self._rows = TeamRows()

    @property
    def name(self) -> str:
        """The address, without its password."""
        return self._tables.database.name

    @property
    def database(self) -> Database:
        """The database, which has the tables of a team once this is open."""
        return self._tables.database

    async def open(self) -> None:
        """Connect, and make the tables that are missing.

        Raises:
            StoreError: As its subclasses say.
        """
        await self._tables.open()

    async def close(self) -> None:
        """Close the connections."""
        await self._tables.close()

    async def store(
        self, records: Sequence[TeamRecord], sender: str | None = None
    ) -> tuple[Stored, list[Refused]]:
        """Store records, in any order, again or for the first time.

        On return they are committed, with their sums; the refused ones lie in a table beside.

        Args:
            records: The records.
            sender: The person whose records alone may be replaced; None for those of anybody.

        Raises:
            ConflictError: A record is there and is of another person than the sender; its session
                is not stored.
            StoreError: As its subclasses say; all may be stored again.
        """
        counts, refused = await self._store(records, sender)
        if refused:
            await self.reject(map(_rejection, refused))
        return counts, refused

    async def reject(self, rejections: Iterable[Rejection]) -> None:
        """Keep what came and cannot be stored, in a table beside the records.

        Raises:
            StoreError: As its subclasses say.
        """
        await self._tables.reject([*rejections])

    async def _store(
        self, records: Sequence[TeamRecord], sender: str | None
    ) -> tuple[Stored, list[Refused]]:
        rows, refused = [], []
        for record in records:
            try:
                rows.append(self._rows.row(record))
            except InvalidRecordError as error:
                refused.append(Refused(record, str(error)))
        try:
            return await self._tables.store(rows, sender), refused
        except InvalidRecordError as error:
            # Which of them it is PostgreSQL does not say.
            if len(records) == 1:
                return Stored(), [Refused(records[0], str(error))]
        middle = len(records) // 2
        first = await self._store(records[:middle], sender)
        second = await self._store(records[middle:], sender)
        return first[0] + second[0], first[1] + second[1]


def _rejection(refused: Refused) -> Rejection:
    # Its names may be longer than a key, or have what no text of PostgreSQL has.
    body = codec.dump_line(list(refused.record))
    return Rejection(f"record {sha256(body).hexdigest()}", refused.reason, body)
