"""The counts of `stats` over the events of all tools, and over calls that no event tells of."""

from dataclasses import replace
from typing import NamedTuple

from khive_persist.models.purposes import CONVERSATIONS
from khive_persist.models.query import Filter
from khive_persist.sessions.definitions import (
    event_tables,
    is_failed_call_sql,
    session_sql,
    tool_sql,
    unreported_sql,
)
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, select


class EventCount(NamedTuple):
    """The events of one type of one tool, or other client.

    Attributes:
        failures: The number of ends of tool calls that failed.
        sessions: The number of sessions with such events: a session counts for each type.
    """

    tool: str
    event_type: str | None
    events: int
    failures: int
    sessions: int


async def count_events(reader: Reader, *filters: Filter) -> list[EventCount]:
    """Count the events of each tool and type, the most frequent first.

    Raises:
        StoreError: As its subclasses say.
    """
    return await reader.fetch_as(EventCount, lambda source: _statement(source, filters))


async def count_unreported_failures(reader: Reader, *filters: Filter) -> int:
    """Count the tool calls that failed and that no event tells of, by messages that pass filters.

    Raises:
        StoreError: As its subclasses say.
    """

    def build(source: Source) -> Statement:
        columns = f"coalesce(sum({unreported_sql(source, 'failures')}), 0)"
        return select(source.only(CONVERSATIONS.name), filters, columns=columns)

    return int((await reader.fetch(build))[0][0])


def _statement(source: Source, filters: tuple[Filter, ...]) -> Statement:
    selects, values = [], []
    event_type = source.extract("$.event_type")
    for tool, table in event_tables(source):
        columns = (
            f"{tool_sql(source, tool)} AS tool,"
            f" {event_type} AS event_type, count(*) AS events,"
            f" count(CASE WHEN {is_failed_call_sql(source)} THEN 1 END) AS failures,"
            f" count(DISTINCT nullif({session_sql(source)}, '')) AS sessions"
        )
        statement = select(replace(source, sql=table), filters, columns=columns)
        selects.append(f"{statement.sql} GROUP BY 1, 2")
        values += statement.values
    return Statement(" UNION ALL ".join(selects) + " ORDER BY events DESC, 1, 2", values)
