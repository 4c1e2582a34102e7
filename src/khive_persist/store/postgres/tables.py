"""`PostgresTables`: the place of a class's records in a database of PostgreSQL."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from khive_persist.models.purposes import Purpose
from khive_persist.store.postgres.migrations import migrate
from khive_persist.store.postgres.pool import Database
from khive_persist.store.postgres.reader import PostgresReader
from khive_persist.store.postgres.tail import PostgresTail
from khive_persist.store.postgres.writer import PostgresWriter

FORMAT: Final = "postgresql"


class PostgresTables:
    """The tables of a class's purposes, each once: those of the tools' events are one."""

    format = FORMAT

    def __init__(
        self, purposes: Sequence[Purpose], url: str, timeout_seconds: float, *, read_only: bool
    ) -> None:
        """Prepare to open them."""
        self._database = Database(url, timeout_seconds, read_only=read_only)
        self._purposes = tuple({purpose.table: purpose for purpose in purposes}.values())
        self._read_only = read_only
        by_table = {
            purpose.table: PostgresWriter(self._database, purpose) for purpose in self._purposes
        }
        self.writers = {purpose: by_table[purpose.table] for purpose in purposes}
        self.reader = PostgresReader(self._database, purposes)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The address, without its password, as callbacks are told it."""
        return (Path(self._database.name),)

    async def open(self) -> None:
        """Connect, and make what is missing.

        Raises:
            StoreError: As its subclasses say.
        """
        await self._database.open()
        try:
            if not self._read_only:
                await migrate(self._database, self._purposes)
        except BaseException:
            await self._database.close()
            raise

    async def close(self) -> None:
        """Finish what was begun, and close the connections."""
        for writer in dict.fromkeys(self.writers.values()):
            await writer.close()
        await self._database.close()

    async def is_behind(self) -> bool:
        """Return False: there is no second copy."""
        return False

    def existing_writers(self) -> list[PostgresWriter]:
        """Return one of each table."""
        return list(dict.fromkeys(self.writers.values()))

    def tails(self, _: object) -> list[PostgresTail]:
        """Return the ends of the tables."""
        return [PostgresTail(self.reader)]

    def changes(self) -> tuple[object, ...]:
        """Return another value each time: nobody can tell without asking the server."""
        return (object(),)

    async def changes_of_others(self) -> tuple[object, ...]:
        """Return another value each time, as `changes` does."""
        return (object(),)
