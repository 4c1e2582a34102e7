"""Sessions: events, messages, the plan and the verdict of one `session_id`."""

from typing import Final, NamedTuple

from khive_persist.models.purposes import CONVERSATIONS, HOOK_EVENTS, OUTCOMES, PLANNER_SESSIONS
from khive_persist.models.query import checked_count
from khive_persist.sessions.call_ends import unreported
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
    """Which sessions are meant.

    `session_id` is an id, or the beginning of ids where it is not `is_exact`; times are text as
    `clock.to_text` writes it.
    """

    session_id: str | None = None
    is_exact: bool = False
    tool: str | None = None
    since: str | None = None
    until: str | None = None
    complexity: str | None = None
    min_confidence: float | None = None
    max_cost: float | None = None


class SessionSummary(NamedTuple):
    """One session.

    `started` and `last` are text in UTC; the plan's fields are None where there is no plan, `tool`
    where there are neither events nor messages, and `verdict`, the one that counts, where nobody
    gave one.
    """

    session_id: str
    tool: str | None
    started: str | None
    last: str | None
    events: int
    failures: int
    messages: int
    task_description: str | None
    complexity: str | None
    agent_count: int | None
    confidence: float | None
    planning_cost: float | None
    verdict: str | None


async def list_sessions(
    reader: Reader, wanted: SessionFilter, limit: int | None = None
) -> list[SessionSummary]:
    """The sessions that pass, the one with the latest event, message or plan first.

    Args:
        reader: Reads the files of events, messages, plans and verdicts, or some of them.
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
    plan_columns = ", ".join(f"p.{name}" for name in _PLAN_FIELDS)
    conditions, values = _conditions(wanted)
    return Statement(
        f"WITH e AS ({_events(source)}), m AS ({_messages(source)}), p AS ({_plans(source)}),"
        f" v AS ({_verdicts(source)}), s AS (SELECT session_id FROM e UNION"
        " SELECT session_id FROM m UNION SELECT session_id FROM p),"
        " found AS (SELECT s.session_id, coalesce(e.tool, m.tool) AS tool,"
        f" {_of_all('min', 'started')} AS started, {_of_all('max', 'last')} AS last,"
        " coalesce(e.events, 0), coalesce(e.failures, 0) + coalesce(m.failures, 0),"
        " coalesce(m.messages, 0),"
        f" {plan_columns}, v.verdict"
        " FROM s LEFT JOIN e ON e.session_id = s.session_id"
        " LEFT JOIN m ON m.session_id = s.session_id"
        " LEFT JOIN p ON p.session_id = s.session_id"
        " LEFT JOIN v ON v.session_id = s.session_id)"
        f" SELECT * FROM found WHERE {' AND '.join(conditions) or '1'}"
        " ORDER BY last DESC LIMIT ?",
        [*values, -1 if limit is None else limit],
    )


def _of_all(function: str, name: str) -> str:
    """The first or the last of three instants; SQLite's own functions give NULL for any NULL."""
    names = (f"e.{name}", f"m.{name}", "p.planned")
    each = [f"coalesce({', '.join(names[n:] + names[:n])})" for n in range(len(names))]
    return f"{function}({', '.join(each)})"


def _events(source: Source) -> str:
    session_id = source.extract("$.session_id")
    each = [
        f"SELECT {session_id} AS session_id, '{tool}' AS tool, min({source.created_at}) AS started,"
        f" max({source.created_at}) AS last, count(*) AS events,"
        f" count(CASE WHEN {source.extract('$.success')} = 0 THEN 1 END) AS failures"
        f" FROM {source.tables[purpose.name]} WHERE {session_id} IS NOT NULL GROUP BY {session_id}"
        for tool, purpose in HOOK_EVENTS.items()
        if purpose.name in source.tables
    ]
    names = ("session_id", "tool", "started", "last", "events", "failures")
    return " UNION ALL ".join(each) or _nothing(names)


def _messages(source: Source) -> str:
    if CONVERSATIONS.name not in source.tables:
        return _nothing(("session_id", "tool", "started", "last", "messages", "failures"))
    session_id = source.extract("$.session_id")
    return (
        f"SELECT {session_id} AS session_id, min({source.extract('$.tool')}) AS tool,"
        f" min({source.created_at}) AS started, max({source.created_at}) AS last,"
        f" count(CASE WHEN {source.extract('$.role')} IS NOT 'none' THEN 1 END) AS messages,"
        f" sum({unreported(source, 'failures')}) AS failures"
        f" FROM {source.tables[CONVERSATIONS.name]}"
        f" WHERE {session_id} IS NOT NULL GROUP BY {session_id}"
    )


def _plans(source: Source) -> str:
    if PLANNER_SESSIONS.name not in source.tables:
        return _nothing(("session_id", "planned", *_PLAN_FIELDS))
    session_id = source.extract("$.session_id")
    fields = ", ".join(f"{source.extract(f'$.{name}')} AS {name}" for name in _PLAN_FIELDS)
    return (
        f"SELECT {session_id} AS session_id, {source.created_at} AS planned, {fields}"
        f" FROM {source.tables[PLANNER_SESSIONS.name]} WHERE {session_id} IS NOT NULL"
    )


def _verdicts(source: Source) -> str:
    if OUTCOMES.name not in source.tables:
        return _nothing(("session_id", "verdict"))
    session_id = source.extract("$.session_id")
    # A person's counts before a rule's. SQLite gives the bare column of the row with the maximum.
    rank = f"({source.extract('$.source')} IS NOT 'rule') || {source.created_at}"
    return (
        f"SELECT session_id, verdict FROM (SELECT {session_id} AS session_id,"
        f" {source.extract('$.verdict')} AS verdict, max({rank})"
        f" FROM {source.tables[OUTCOMES.name]} GROUP BY {session_id})"
    )


def _nothing(names: tuple[str, ...]) -> str:
    return f"SELECT {', '.join(f'NULL AS {name}' for name in names)} LIMIT 0"


def _conditions(wanted: SessionFilter) -> tuple[list[str], list[object]]:
    of_session = "= ?" if wanted.is_exact else "BETWEEN ? AND ? || char(1114111)"
    tests = {
        f"session_id {of_session}": wanted.session_id,
        "tool = ?": wanted.tool,
        "last >= ?": wanted.since,
        "started < ?": wanted.until,
        "complexity = ?": wanted.complexity,
        # To SQLite any text is larger than any number.
        "confidence >= ? AND confidence < ''": wanted.min_confidence,
        "planning_cost <= ?": wanted.max_cost,
    }
    used = {test: value for test, value in tests.items() if value is not None}
    return list(used), [value for test, value in used.items() for _ in range(test.count("?"))]
