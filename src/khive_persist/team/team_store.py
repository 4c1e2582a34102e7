"""`TeamStore`: a team's records in PostgreSQL, as a server, a sender and a collector store them."""

from collections.abc import Sequence
from typing import NamedTuple

from khive_persist.errors import InvalidRecordError, extra
from khive_persist.team.team_record import TeamRecord
from khive_persist.team.team_rows import TeamRows

with extra("postgres", "PostgreSQL"):
    from khive_persist.store.postgres.team_tables import Rejection as Rejection
    from khive_persist.store.postgres.team_tables import Stored, TeamTables

TIMEOUT_SECONDS = 30.0


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
        return self._tables.name

    async def open(self) -> None:
        """Connect, and make the tables that are missing.

        Raises:
            StoreError: As its subclasses say.
        """
        await self._tables.open()

    async def close(self) -> None:
        """Close the connections."""
        await self._tables.close()

    async def store(self, records: Sequence[TeamRecord]) -> tuple[Stored, list[Refused]]:
        """Store records, in any order, again or for the first time.

        On return all but the refused ones are committed, with their sums.

        Raises:
            StoreError: As its subclasses say; all may be stored again.
        """
        rows, refused = [], []
        for record in records:
            try:
                rows.append(self._rows.row(record))
            except InvalidRecordError as error:
                refused.append(Refused(record, str(error)))
        try:
            return await self._tables.store(rows), refused
        except InvalidRecordError as error:
            # Which of them it is PostgreSQL does not say.
            if len(records) == 1:
                return Stored(), [Refused(records[0], str(error))]
        middle = len(records) // 2
        first, second = await self.store(records[:middle]), await self.store(records[middle:])
        return first[0] + second[0], first[1] + second[1]

    async def reject(self, rejections: Sequence[Rejection]) -> None:
        """Keep what came and cannot be stored, beside the records.

        Raises:
            StoreError: As its subclasses say.
        """
        await self._tables.reject(rejections)
