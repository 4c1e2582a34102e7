"""`TeamAudit`: the list of who was shown texts of a team, written before they were."""

from datetime import datetime
from typing import Final, NamedTuple

from khive_persist.store.postgres.pool import Database

_FIELDS: Final = ("reader", "role", "person", "machine", "project", "route", "session")
_WRITE: Final = (
    f"INSERT INTO khive.team_reads (minute, {', '.join(_FIELDS)})"
    f" VALUES (date_trunc('minute', now()), {', '.join(f'${n + 1}' for n in range(7))})"
    " ON CONFLICT DO NOTHING"
)


class TeamRead(NamedTuple):
    """An answer that may have texts of a person.

    Attributes:
        reader: The name of the reader's token.
        role: Their role.
        person: The person whose records it is of.
        machine: The machine.
        project: The project.
        route: The path of the route, with its parameters in braces.
        session: The session that the request names; empty for none.
    """

    reader: str
    role: str
    person: str
    machine: str
    project: str
    route: str
    session: str


class AuditedRead(NamedTuple):
    """A read as it lies in the audit, with the minute of it."""

    minute: datetime
    read: TeamRead


class TeamAudit:
    """Writes and reads the audit. What it raises is a StoreError, as its subclasses say."""

    def __init__(self, database: Database) -> None:
        """Use a database that is open, and has the tables of a team."""
        self._database = database

    async def write(self, read: TeamRead) -> None:
        """Write a read down: committed on return, once for a reader, route and session a minute."""

        async def once() -> None:
            async with self._database.connection() as connection:
                await connection.execute(_WRITE, *read)

        await self._database.attempt(once)

    async def reads(self, limit: int, previous: AuditedRead | None = None) -> list[AuditedRead]:
        """Return the latest so many reads, or those before one, the latest first."""
        names = ", ".join(("minute", *_FIELDS))
        condition, values = "", []
        if previous is not None:
            values = [previous.minute, *previous.read]
            condition = f" WHERE ({names}) < ({', '.join(f'${n + 1}' for n in range(8))})"
        order = ", ".join(f"{name} DESC" for name in ("minute", *_FIELDS))
        sql = f"SELECT {names} FROM khive.team_reads{condition} ORDER BY {order} LIMIT {limit:d}"
        async with self._database.connection() as connection:
            rows = await connection.fetch(sql, *values)
        return [AuditedRead(row[0], TeamRead(*row[1:])) for row in rows]
