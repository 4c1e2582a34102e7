"""The events of clients other than the tools that we register for, who run their hooks, too."""

from typing import NamedTuple

from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.statements import Source, Statement


class ClientEvents(NamedTuple):
    """How many events a client has sent, and how many of them have no session."""

    client: str
    events: int
    without_session: int


async def count_other_clients(reader: Reader) -> list[ClientEvents]:
    """The clients that are none of the tools, by name.

    Raises:
        StoreError: As its subclasses say.
    """
    return [ClientEvents(*row) for row in await reader.fetch(_statement)]


def _statement(source: Source) -> Statement:
    tool, session_id = source.extract("$.tool"), source.extract("$.session_id")
    tools = ", ".join(f"'{name}'" for name in HOOK_EVENTS)
    each = [
        f"SELECT {tool} AS client, {session_id} AS session_id FROM {table} WHERE {tool} NOT IN"
        f" ({tools})"
        for table in source.tables.values()
    ]
    if not each:
        return Statement("SELECT 0, 0, 0 LIMIT 0", [])
    return Statement(
        "SELECT client, count(*), count(*) - count(session_id)"
        f" FROM ({' UNION ALL '.join(each)}) GROUP BY client ORDER BY client",
        [],
    )
