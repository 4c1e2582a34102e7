"""The durations and failures of tool calls in a period. A call counts once, by its end."""

from typing import Final, NamedTuple

from khive_persist.clock import InstantText
from khive_persist.sessions.activity import Time
from khive_persist.sessions.definitions import (
    event_tables,
    is_call_end_sql,
    is_failed_call_sql,
    session_sql,
    text_sql,
    tool_sql,
)
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement

EXAMPLE_CHARACTERS: Final = 2_000
LINE_CHARACTERS: Final = 300


class ToolTimes(NamedTuple):
    """The calls of one tool, with the durations of those that have one, in ms.

    Percentiles are by nearest rank: the smallest duration that so many percent of all do not
    exceed, which is a duration that was measured.

    Attributes:
        tool: The AI tool.
        tool_name: The tool that it called; None where it did not name it.
        calls: The number of calls that ended in the period.
        failures: The number of those that failed or were refused.
        median_ms: The 50th percentile; None where no call has a duration, as are the next three.
        p95_ms: The 95th percentile.
        longest_ms: The longest.
        total_ms: All together.
        before_median_ms: The 50th percentile of the period before.
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
        tool_name: The tool that it called; None where it did not name it.
        failed: Their number in the period.
        previously_failed: Their number in the period before.
        example: The first characters of the latest error; None where there is none.
    """

    tool: str
    tool_name: str | None
    failed: int
    previously_failed: int
    example: str | None


class FailedCall(NamedTuple):
    """A tool call that failed or was refused.

    Attributes:
        at: The time of its end.
        tool: The AI tool.
        tool_name: The tool that it called; None where it did not name it.
        session_id: Its session; None where it has none.
        project: The directory that the AI tool worked in; None where it did not name it.
        command: The command, or the first of the files; None where it has neither.
        error: The first characters of what was said of it; None for nothing.
    """

    at: InstantText
    tool: str
    tool_name: str | None
    session_id: str | None
    project: str | None
    command: str | None
    error: str | None


async def slowest_tools(reader: Reader, time: Time, previous: Time, limit: int) -> list[ToolTimes]:
    """Return the tools that took most time together; those without a duration come last.

    `previous` is the period just before.
    """
    return await reader.fetch_as(ToolTimes, lambda source: _times(source, time, previous, limit))


async def failing_tools(
    reader: Reader, time: Time, previous: Time, limit: int
) -> list[ToolFailures]:
    """Return the tools that failed most often, up to a limit."""
    return await reader.fetch_as(
        ToolFailures, lambda source: _failures(source, time, previous, limit)
    )


async def latest_failures(reader: Reader, time: Time, limit: int) -> list[FailedCall]:
    """Return the calls of a period that failed or were refused, the latest first, up to a limit."""
    return await reader.fetch_as(FailedCall, lambda source: _latest_failures(source, time, limit))


def _times(source: Source, time: Time, previous: Time, limit: int) -> Statement:
    length = source.extract("$.duration_ms")
    columns = (
        # Below 0 a clock was set back.
        f"CASE WHEN typeof({length}) IN ('integer', 'real') AND {length} >= 0"
        f" THEN {length} END AS length,"
        f" {is_failed_call_sql(source)} AS failed"
    )
    calls, values = _calls(source, columns, time, previous)
    rank = "CASE WHEN {period} AND position = (known * {percent} + 99) / 100 THEN length END"
    return Statement(
        "SELECT tool, nullif(name, '') AS tool_name, sum(is_now) AS calls,"
        " coalesce(sum(is_now AND failed), 0) AS failures,"
        f" max({rank.format(period='is_now', percent=50)}) AS median_ms,"
        f" max({rank.format(period='is_now', percent=95)}) AS p95_ms,"
        " max(CASE WHEN is_now THEN length END) AS longest_ms,"
        " sum(CASE WHEN is_now THEN length END) AS total_ms,"
        f" max({rank.format(period='NOT is_now', percent=50)}) AS before_median_ms"
        " FROM (SELECT *, count(length) OVER (PARTITION BY tool, name, is_now) AS known,"
        " row_number() OVER (PARTITION BY tool, name, is_now ORDER BY length NULLS LAST)"
        " AS position"
        f" FROM ({calls})) GROUP BY tool, name HAVING sum(is_now) > 0"
        " ORDER BY total_ms DESC NULLS LAST, calls DESC, tool, tool_name LIMIT ?",
        [*values, limit],
    )


def _failures(source: Source, time: Time, previous: Time, limit: int) -> Statement:
    error = f"substr({text_sql(source, 'error')}, 1, {EXAMPLE_CHARACTERS}) AS error"
    failed = f" AND {is_failed_call_sql(source)}"
    calls, values = _calls(source, f"{error}, {source.created_at} AS at", time, previous, failed)
    return Statement(
        # SQLite gives the error of the row that has the maximum.
        "SELECT tool, tool_name, failed, previously_failed, example FROM ("
        "SELECT tool, nullif(name, '') AS tool_name, sum(is_now) AS failed,"
        " sum(NOT is_now) AS previously_failed, nullif(error, '') AS example,"
        " max(CASE WHEN is_now THEN at END)"
        f" FROM ({calls}) GROUP BY tool, name HAVING sum(is_now) > 0)"
        " ORDER BY failed DESC, previously_failed DESC, tool, tool_name LIMIT ?",
        [*values, limit],
    )


def _latest_failures(source: Source, time: Time, limit: int) -> Statement:
    at = source.created_at
    file = source.extract("$.file_paths[0]")
    subject = f"coalesce(nullif({text_sql(source, 'command')}, ''), {file})"
    selects = [
        f"SELECT {at} AS at, {tool_sql(source, tool)} AS tool,"
        f" nullif({text_sql(source, 'tool_name')}, '') AS tool_name,"
        f" nullif({session_sql(source)}, '') AS session_id,"
        f" nullif({text_sql(source, 'cwd')}, '') AS project,"
        f" substr({subject}, 1, {LINE_CHARACTERS}) AS command,"
        f" nullif(substr({text_sql(source, 'error')}, 1, {LINE_CHARACTERS}), '') AS error"
        f" FROM {table} WHERE {at} >= ? AND {at} < ? AND {is_failed_call_sql(source)} LIMIT -1"
        for tool, table in event_tables(source)
    ]
    union = " UNION ALL ".join(f"SELECT * FROM ({select})" for select in selects)
    return Statement(
        f"SELECT * FROM ({union}) ORDER BY at DESC LIMIT ?", [*time] * len(selects) + [limit]
    )


def _calls(
    source: Source, columns: str, time: Time, previous: Time, condition: str = ""
) -> tuple[str, list[str]]:
    """Select the ends of tool calls in a period and in the one just before it."""
    at = source.created_at
    selects = [
        f"SELECT {tool_sql(source, tool)} AS tool, {text_sql(source, 'tool_name')} AS name,"
        f" {at} >= ? AS is_now,"
        f" {columns} FROM {table}"
        f" WHERE {is_call_end_sql(source)} AND {at} >= ? AND {at} < ?{condition}"
        " LIMIT -1"
        for tool, table in event_tables(source)
    ]
    union = " UNION ALL ".join(f"SELECT * FROM ({select})" for select in selects)
    return union, [time.since, previous.since, time.until] * len(selects)
