"""Sessions: the events of an agent's session, and the plan of the same `session_id`."""

from typing import Final, NamedTuple

from khive_persist.purposes import HOOK_EVENTS, PLANNER_SESSIONS
from khive_persist.query import checked_count
from khive_persist.store.reader import Reader
from khive_persist.store.sqlite.statements import Source, Statement

_PLAN_FIELDS: Final = (
    "task_description",
    "complexity",
    "agent_count",
    "confidence",
    "planning_cost",
)


class SessionFilter(NamedTuple):
    """Which sessions are meant: `session_id` is the beginning of an id, times are text as
    `clock.to_text` writes it."""

    session_id: str | None = None
    tool: str | None = None
    since: str | None = None
    until: str | None = None
    complexity: str | None = None
    min_confidence: float | None = None
    max_cost: float | None = None


class SessionSummary(NamedTuple):
    """One session.

    `started` and `last` are text in UTC; the plan's fields are None where there is no plan, `tool`
    where there are no events.
    """

    session_id: str
    tool: str | None
    started: str | None
    last: str | None
    events: int
    failures: int
    task_description: str | None
    complexity: str | None
    agent_count: int | None
    confidence: float | None
    planning_cost: float | None


async def list_sessions(
    reader: Reader, wanted: SessionFilter, limit: int | None = None
) -> list[SessionSummary]:
    """The sessions that pass, the one with the latest event or plan first.

    Args:
        reader: Reads the event files and the plan file.
        wanted: Which.
        limit: At most so many.

    Raises:
        InvalidQueryError: The limit is no number from 0.
        StoreError: As its subclasses say.
    """
    limit = checked_count("limit", limit)
    rows = await reader.fetch(lambda source: _statement(source, wanted, limit))
    return [SessionSummary(*row) for row in rows]


def _statement(source: Source, wanted: SessionFilter, limit: int | None) -> Statement:
    session_id = source.extract("$.session_id")
    each = [
        f"SELECT {session_id} AS session_id, '{tool}' AS tool, min({source.created_at}) AS started,"
        f" max({source.created_at}) AS last, count(*) AS events,"
        f" count(CASE WHEN {source.extract('$.success')} = 0 THEN 1 END) AS failures"
        f" FROM {source.tables[purpose.name]} WHERE {session_id} IS NOT NULL GROUP BY {session_id}"
        for tool, purpose in HOOK_EVENTS.items()
        if purpose.name in source.tables
    ] or [
        "SELECT NULL AS session_id, NULL AS tool, NULL AS started, NULL AS last,"
        " 0 AS events, 0 AS failures LIMIT 0"
    ]
    fields = ", ".join(f"{source.extract(f'$.{name}')} AS {name}" for name in _PLAN_FIELDS)
    plans = (
        f"SELECT {session_id} AS session_id, {source.created_at} AS planned, {fields}"
        f" FROM {source.tables[PLANNER_SESSIONS.name]} WHERE {session_id} IS NOT NULL"
        if PLANNER_SESSIONS.name in source.tables
        else "SELECT NULL AS session_id, NULL AS planned, "
        + ", ".join(f"NULL AS {name}" for name in _PLAN_FIELDS)
        + " LIMIT 0"
    )
    conditions, values = _conditions(wanted)
    columns = ", ".join(f"p.{name}" for name in _PLAN_FIELDS)
    return Statement(
        f"WITH e AS ({' UNION ALL '.join(each)}), p AS ({plans}),"
        " s AS (SELECT session_id FROM e UNION SELECT session_id FROM p),"
        " found AS (SELECT s.session_id, e.tool, coalesce(e.started, p.planned) AS started,"
        " max(coalesce(e.last, p.planned), coalesce(p.planned, e.last)) AS last,"
        f" coalesce(e.events, 0), coalesce(e.failures, 0), {columns}"
        " FROM s LEFT JOIN e ON e.session_id = s.session_id"
        " LEFT JOIN p ON p.session_id = s.session_id)"
        f" SELECT * FROM found WHERE {' AND '.join(conditions) or '1'}"
        " ORDER BY last DESC LIMIT ?",
        [*values, -1 if limit is None else limit],
    )


def _conditions(wanted: SessionFilter) -> tuple[list[str], list[object]]:
    tests = {
        "session_id >= ?": wanted.session_id,
        "session_id <= ? || char(1114111)": wanted.session_id,
        "tool = ?": wanted.tool,
        "last >= ?": wanted.since,
        "started < ?": wanted.until,
        "complexity = ?": wanted.complexity,
        "confidence >= ?": wanted.min_confidence,
        "planning_cost <= ?": wanted.max_cost,
    }
    used = {test: value for test, value in tests.items() if value is not None}
    return list(used), list(used.values())
