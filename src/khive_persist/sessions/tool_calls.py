"""How long tool calls took in a time, and which failed. A call counts by its end, once."""

from typing import Final, NamedTuple

from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.sessions.activity import Time
from khive_persist.sessions.definitions import (
    is_call_end_sql,
    is_failed_call_sql,
    text_sql,
    tool_sql,
)
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.statements import Source, Statement

EXAMPLE_CHARACTERS: Final = 2_000


class ToolTimes(NamedTuple):
    """The calls of one tool; of those whose length was told, how long they took, in ms.

    Percentiles are by nearest rank: the smallest length that so many percent of all do not exceed,
    which is a length that was measured.

    Attributes:
        tool: The AI tool.
        tool_name: What it called; None where it did not tell.
        calls: How many calls ended in the time.
        failures: Those of them that failed or were refused.
        median_ms: The 50th percentile; None where no length was told, as are the next three.
        p95_ms: The 95th percentile.
        longest_ms: The longest.
        total_ms: All together.
        before_median_ms: The 50th percentile of the time before.
    """

    tool: str
    tool_name: str | None
    calls: int
    failures: int
    median_ms: float | None
    p95_ms: float | None
    longest_ms: float | None
    total_ms: float | None
    before_median_ms: float | None


class ToolFailures(NamedTuple):
    """The calls of one tool that failed or were refused.

    Attributes:
        tool: The AI tool.
        tool_name: What it called; None where it did not tell.
        failed: How many in the time.
        before: How many in the time before.
        example: What was said of the latest, its first characters; None where nothing was.
    """

    tool: str
    tool_name: str | None
    failed: int
    before: int
    example: str | None


async def slowest_tools(reader: Reader, time: Time, before: Time, limit: int) -> list[ToolTimes]:
    """The tools that took most time together, at most so many; those that told no length last.

    Args:
        reader: Of the files of events.
        time: Which calls.
        before: The time just before it.
        limit: At most so many.

    Raises:
        StoreError: As its subclasses say.
    """
    rows = await reader.fetch(lambda source: _times(source, time, before, limit))
    return [ToolTimes(*row) for row in rows]


async def failing_tools(reader: Reader, time: Time, before: Time, limit: int) -> list[ToolFailures]:
    """The tools that failed most often, at most so many.

    Raises:
        StoreError: As its subclasses say.
    """
    rows = await reader.fetch(lambda source: _failures(source, time, before, limit))
    return [ToolFailures(*row) for row in rows]


def _times(source: Source, time: Time, before: Time, limit: int) -> Statement:
    length = source.extract("$.duration_ms")
    columns = (
        f"CASE WHEN typeof({length}) IN ('integer', 'real') THEN {length} END AS length,"
        f" {is_failed_call_sql(source)} AS failed"
    )
    calls, values = _calls(source, columns, time, before)
    rank = "CASE WHEN {period} AND position = (known * {percent} + 99) / 100 THEN length END"
    return Statement(
        "SELECT tool, nullif(name, ''), sum(is_now), coalesce(sum(is_now AND failed), 0),"
        f" max({rank.format(period='is_now', percent=50)}),"
        f" max({rank.format(period='is_now', percent=95)}),"
        " max(CASE WHEN is_now THEN length END), sum(CASE WHEN is_now THEN length END) AS total,"
        f" max({rank.format(period='NOT is_now', percent=50)})"
        " FROM (SELECT *, count(length) OVER (PARTITION BY tool, name, is_now) AS known,"
        " row_number() OVER (PARTITION BY tool, name, is_now ORDER BY length NULLS LAST)"
        " AS position"
        f" FROM ({calls})) GROUP BY tool, name HAVING sum(is_now) > 0"
        " ORDER BY total DESC NULLS LAST, 3 DESC, 1, 2 LIMIT ?",
        [*values, limit],
    )


def _failures(source: Source, time: Time, before: Time, limit: int) -> Statement:
    error = f"substr({text_sql(source, 'error')}, 1, {EXAMPLE_CHARACTERS}) AS error"
    failed = f" AND {is_failed_call_sql(source)}"
    calls, values = _calls(source, f"{error}, {source.created_at} AS at", time, before, failed)
    return Statement(
        # SQLite gives the error of the row that has the maximum.
        "SELECT tool, name, failed, before, error FROM ("
        "SELECT tool, nullif(name, '') AS name, sum(is_now) AS failed, sum(NOT is_now) AS before,"
        " nullif(error, '') AS error, max(CASE WHEN is_now THEN at END)"
        f" FROM ({calls}) GROUP BY tool, name HAVING sum(is_now) > 0)"
        " ORDER BY failed DESC, before DESC, tool, name LIMIT ?",
        [*values, limit],
    )


def _calls(
    source: Source, columns: str, time: Time, before: Time, where: str = ""
) -> tuple[str, list[str]]:
    """The ends of tool calls in a time and in the one just before it."""
    at = source.created_at
    each = [
        f"SELECT {tool_sql(source, tool)} AS tool, {text_sql(source, 'tool_name')} AS name,"
        f" {at} >= ? AS is_now,"
        f" {columns} FROM {source.tables[purpose.name]}"
        f" WHERE {is_call_end_sql(source)} AND {at} >= ? AND {at} < ?{where}"
        " LIMIT -1"
        for tool, purpose in HOOK_EVENTS.items()
        if purpose.name in source.tables
    ]
    if not each:
        nothing = "NULL AS tool, NULL AS name, 0 AS is_now, NULL AS length, 0 AS failed,"
        return f"SELECT {nothing} NULL AS error, NULL AS at LIMIT 0", []
    both = " UNION ALL ".join(f"SELECT * FROM ({one})" for one in each)
    return both, [time.since, before.since, time.until] * len(each)
