"""Tool calls that began and of which no end was recorded."""

from collections.abc import Iterable
from typing import NamedTuple

from khive_persist.clock import InstantText
from khive_persist.models.event_types import POST, PRE
from khive_persist.models.query import field
from khive_persist.sessions.definitions import event_tables, stands_for_end_sql, tool_sql
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, select, union_all
from khive_persist.tools import TOOLS


class Unmatched(NamedTuple):
    """Tool calls without an end: still running, interrupted, refused, or not recorded.

    `tool_use_id` is None for a tool that gives none; then `calls` of this name lack an end.
    """

    tool: str
    session_id: str | None
    tool_name: str | None
    tool_use_id: str | None
    calls: int
    last: InstantText | None


async def find_unmatched(reader: Reader) -> list[Unmatched]:
    """Return the tool calls without an end, the latest first."""
    return await reader.fetch_as(Unmatched, _statement)


async def ended_calls(reader: Reader, tool_use_ids: Iterable[str]) -> set[str]:
    """Return which of these tool calls an event tells the end of."""

    def build(source: Source) -> Statement:
        ended = [field("tool_use_id").in_(ids), field("event_type").in_(POST)]
        return select(source, ended, columns=f"DISTINCT {source.extract('$.tool_use_id')}")

    ids = [*tool_use_ids]
    return {str(row[0]) for row in await reader.fetch(build)} if ids else set()


def _statement(source: Source) -> Statement:
    use_id, event_type = source.extract("$.tool_use_id"), source.extract("$.event_type")
    session_id, tool_name = source.extract("$.session_id"), source.extract("$.tool_name")
    pre = ", ".join(f"'{name}'" for name in PRE)
    post = ", ".join(f"'{name}'" for name in POST)
    end_id = use_id.replace("content", "ended.content")
    end_type = event_type.replace("content", "ended.content")
    start_id = use_id.replace("content", "begun.content")
    columns = f"{session_id} AS session_id, {tool_name} AS tool_name"
    # Only the events that were made of their transcripts have ids.
    without_ids = ", ".join(f"'{tool.name}'" for tool in TOOLS.values() if not tool.has_call_ids)
    selects = []
    for client, table in event_tables(source):
        tool = tool_sql(source, client)
        has_id = f"({use_id} IS NOT NULL AND {tool} NOT IN ({without_ids}))"
        selects.append(
            f"SELECT {tool} AS tool, {columns}, {use_id} AS tool_use_id, 1 AS calls,"
            f" {source.created_at} AS last"
            # Where a transcript knew how the call ended, the event before it says so.
            f" FROM {table} AS begun WHERE {event_type} IN ({pre}) AND {has_id}"
            f" AND NOT {stands_for_end_sql(source)}"
            f" AND NOT EXISTS (SELECT 1 FROM {table} AS ended"
            f" WHERE {end_id} = {start_id} AND {end_type} IN ({post}))"
        )
        selects.append(
            f"SELECT {tool} AS tool, {columns}, NULL AS tool_use_id,"
            f" sum(CASE WHEN {event_type} IN ({pre}) THEN 1 ELSE -1 END) AS calls,"
            f" max({source.created_at}) AS last FROM {table}"
            f" WHERE {event_type} IN ({pre}, {post}) AND NOT {has_id}"
            f" GROUP BY 1, {session_id}, {tool_name} HAVING calls > 0"
        )
    return union_all(selects, within="SELECT * FROM ({}) ORDER BY last DESC")
