"""`PostgresDestination`: a team's tables in PostgreSQL, into which a sender stores by itself."""

from collections.abc import Sequence

from khive_persist.errors import DestinationError, StoreError
from khive_persist.team.postgres_address import address_of
from khive_persist.team.team_record import TeamRecord
from khive_persist.team.team_store import TeamStore


class PostgresDestination:
    """The tables of a team, as `collect` and the team's server write them, too."""

    def __init__(self, url: str, token: str = "") -> None:
        """Read the address; see `address_of` for what it may be. The token is the password."""
        self._store = TeamStore(address_of(url, token))
        self._is_open = False

    async def send(self, records: Sequence[TeamRecord]) -> None:
        """Send records; see `Destination.send`."""
        try:
            if not self._is_open:
                await self._store.open()
                self._is_open = True
            await self._store.store(records)
        except StoreError as error:
            raise DestinationError(str(error.args[0]), hint=error.hint) from error

    async def close(self) -> None:
        """Close the connections, if there are any."""
        if self._is_open:
            self._is_open = False
            await self._store.close()
