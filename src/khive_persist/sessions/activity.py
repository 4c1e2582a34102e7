"""The activity of a period: its events by session, its plans, its verdicts, the latest record."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import NamedTuple

from khive_persist.models.purposes import OUTCOMES, PLANNER_SESSIONS, Purpose
from khive_persist.sessions.definitions import (
    event_tables,
    has_session_sql,
    is_call_end_sql,
    is_failed_call_sql,
    is_verdict_sql,
    session_sql,
    text_sql,
    tool_sql,
    verdict_order_sql,
)
from khive_persist.store.numbers import LARGEST
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, union_all

DAY_CHARACTERS = len("YYYY-MM-DD")


class Time(NamedTuple):
    """A period from `since` on and before `until`: text in UTC, as `clock.to_text` writes it."""

    since: str
    until: str


class EventPart(NamedTuple):
    """The events of one day that have session, project and model in common.

    Attributes:
        session: Their session's id; an empty text stands for none, here and in what follows.
        day: The day in UTC.
        tool: The AI tool.
        project: The directory that it worked in.
        model: The model.
        events: Their number.
        calls: The number of those that end a tool call, so that each call counts once.
        failures: The ends of tool calls that failed or were refused.
        first: The time of the first.
        last: The time of the last.
    """

    session: str
    day: str
    tool: str
    project: str
    model: str
    events: int
    calls: int
    failures: int
    first: str
    last: str


class PlanTotals(NamedTuple):
    """The plans that were saved in a period; `cost` sums those that have a finite one, in USD."""

    plans: int
    cost: float | None


async def event_parts(reader: Reader, time: Time) -> AsyncGenerator[EventPart, None]:
    """Yield the events of all tools in a period, in order of their session, in flat memory."""
    async with aclosing(reader.stream_as(EventPart, lambda source: _events(source, time))) as parts:
        async for part in parts:
            yield part


async def plan_totals(reader: Reader, time: Time) -> PlanTotals:
    """Count the plans of a period and sum their costs."""

    def build(source: Source) -> Statement:
        kind = f"json_type({source.content}, '$.planning_cost')"
        cost = source.extract("$.planning_cost")
        # One that is infinite would be the sum of all.
        counts = f"{kind} IN ('integer', 'real') AND {cost} BETWEEN -{LARGEST} AND {LARGEST}"
        table = source.only(PLANNER_SESSIONS.name)
        at = source.created_at
        return Statement(
            f"SELECT count(*) AS plans, sum(CASE WHEN {counts} THEN {cost} END) AS cost"
            f" FROM {table.sql} WHERE {at} >= ? AND {at} < ?",
            [*time],
        )

    (totals,) = await reader.fetch_as(PlanTotals, build)
    return totals


async def verdict_counts(reader: Reader, time: Time) -> dict[str, int]:
    """Count the sessions that were judged in a period, by verdict.

    Each session counts once: by the latest verdict of a person in that period, else of a rule.
    """
    rows = await reader.fetch(lambda source: _verdicts(source, time))
    return {str(verdict): count for verdict, count in rows}


async def latest(reader: Reader, purposes: Sequence[Purpose], until: str) -> str | None:
    """Return the time of the last record of some purposes before `until`; None without one."""

    def build(source: Source) -> Statement:
        at = source.created_at
        tables = [source.only(purpose.name).sql for purpose in purposes]
        selects = [f"SELECT max({at}) AS at FROM {table} WHERE {at} < ?" for table in tables]
        return union_all(selects, [until], "SELECT max(at) FROM ({})")

    return (await reader.fetch(build))[0][0]  # type: ignore[no-any-return]


def _events(source: Source, time: Time) -> Statement:
    at = source.created_at
    keys = "session, day, tool, project, model"
    selects = [
        # With a limit SQLite makes the columns first: it would sort the whole of content otherwise.
        f"SELECT {keys}, count(*) AS events, count(ends) AS calls,"
        " count(failed) AS failures, min(at) AS first, max(at) AS last"
        f" FROM (SELECT {session_sql(source)} AS session, substr({at}, 1, {DAY_CHARACTERS}) AS day,"
        f" {tool_sql(source, tool)} AS tool, {text_sql(source, 'cwd')} AS project,"
        f" {text_sql(source, 'model')} AS model, {at} AS at,"
        f" CASE WHEN {is_call_end_sql(source)} THEN 1 END AS ends,"
        f" CASE WHEN {is_failed_call_sql(source)} THEN 1 END AS failed"
        f" FROM {table} WHERE {at} >= ? AND {at} < ? LIMIT -1)"
        f" GROUP BY {keys}"
        for tool, table in event_tables(source)
    ]
    return union_all(selects, time, "SELECT * FROM ({}) ORDER BY session")


def _verdicts(source: Source, time: Time) -> Statement:
    table, at = source.only(OUTCOMES.name).sql, source.created_at
    return Statement(
        f"SELECT verdict, count(*) FROM (SELECT {source.extract('$.verdict')} AS verdict,"
        f" row_number() OVER (PARTITION BY {session_sql(source)}"
        f" ORDER BY {verdict_order_sql(source)} DESC) AS number"
        f" FROM {table} WHERE {at} >= ? AND {at} < ? AND {has_session_sql(source)}"
        f" AND {is_verdict_sql(source)}) WHERE number = 1 GROUP BY verdict",
        [*time],
    )
