"""The counts of `stats` over the events of all tools."""

from typing import Any

from khive_persist.models.query import Filter
from khive_persist.sessions.definitions import (
    event_tables,
    is_failed_call_sql,
    session_sql,
    tool_sql,
)
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.statements import Source, Statement, select


async def count_events(reader: Reader, *filters: Filter) -> list[dict[str, Any]]:
    """Count the events of each tool, or other client, and type.

    Returns:
        The most frequent first: `tool`, `event_type`, `events`, `failures` (ends of tool calls that
        failed) and `sessions`: the number of sessions with such events, so that a session counts
        for each type that it has.
    """
    names = ("tool", "event_type", "events", "failures", "sessions")
    rows = await reader.fetch(lambda source: _statement(source, filters))
    return [dict(zip(names, row, strict=True)) for row in rows]


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
        statement = select(source._replace(sql=table), filters, columns=columns)
        selects.append(f"{statement.sql} GROUP BY 1, 2")
        values += statement.values
    return Statement(" UNION ALL ".join(selects) + " ORDER BY events DESC, 1, 2", values)
