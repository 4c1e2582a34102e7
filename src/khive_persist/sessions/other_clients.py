"""The events of clients that run a tool's hooks and are none of the tools that we register for."""

from typing import NamedTuple

from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, union_all


class ClientEvents(NamedTuple):
    """The numbers of events that a client has sent, and of those that have no session."""

    client: str
    events: int
    without_session: int


async def count_other_clients(reader: Reader) -> list[ClientEvents]:
    """Count the events of clients that are none of the tools, by client name."""
    return await reader.fetch_as(ClientEvents, _statement)


def _statement(source: Source) -> Statement:
    tool, session_id = source.extract("$.tool"), source.extract("$.session_id")
    tools = ", ".join(f"'{name}'" for name in HOOK_EVENTS)
    selects = [
        f"SELECT {tool} AS client, {session_id} AS session_id FROM {table} WHERE {tool} NOT IN"
        f" ({tools})"
        for table in source.tables.values()
    ]
    return union_all(
        selects,
        within="SELECT client, count(*) AS events, count(*) - count(session_id) AS without_session"
        " FROM ({}) GROUP BY client ORDER BY client",
    )
