"""Plans, and the facts of the sessions that carried them out.

Each query reads its own file, for some sessions at a time, which the indexes serve: a join of all
files would hold all sessions at once.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple

from khive_persist import clock
from khive_persist.models.purposes import (
    CONVERSATIONS,
    EVENT_FILES,
    FOCUS_CHAINS,
    OUTCOMES,
    PLANNER_SESSIONS,
)
from khive_persist.models.query import LAST_CHARACTER, AnyOf, Filter, checked_count, column, field
from khive_persist.prices import TOKEN_CLASSES
from khive_persist.sessions.definitions import (
    ModelUse,
    event_tables,
    is_call_end_sql,
    is_failed_call_sql,
    is_verdict_sql,
    main_model,
    plan_field_sql,
    plan_order_sql,
    plan_session_sql,
    text_sql,
    time_sql,
    tool_sql,
    unreported_sql,
    used_sql,
    verdict_order_sql,
)
from khive_persist.store import codec
from khive_persist.store.reader import Reader
from khive_persist.store.source import NO_ROWS, Source, Statement, select, union_all

PURPOSES: Final = (
    PLANNER_SESSIONS,
    *EVENT_FILES.values(),
    CONVERSATIONS,
    FOCUS_CHAINS,
    OUTCOMES,
)
_PLAN_FIELDS: Final = (
    "task_description", "complexity", "workflow_pattern", "confidence", "agent_count",
    "planning_cost",
)  # fmt: skip
_AFTER_TIME: Final = clock.CREATED_AT_CHARACTERS + 1


class Plan(NamedTuple):
    """A plan as it was saved. A field that it lacks, or has of another type, is None.

    Attributes:
        agent_session_id: The session that carried it out: its `agent_session_id`, else its own.
        planned_at: Text in UTC.
        is_superseded: Whether a later plan is linked to the same agent session.
    """

    plan_id: str
    session_id: str | None
    agent_session_id: str | None
    planned_at: str | None
    task_description: str | None
    complexity: str | None
    workflow_pattern: str | None
    confidence: float | None
    agent_count: float | None
    planning_cost: float | None
    is_superseded: bool


class EventFacts(NamedTuple):
    """The facts of one session's events: `tool` is that of the first, `failures` of the calls."""

    tool: str
    started: str | None
    last: str | None
    tool_calls: int
    failures: int
    subagents: int


class MessageFacts(NamedTuple):
    """The facts of one session's messages; of its calls, those that no event tells of."""

    tool: str | None
    started: str | None
    last: str | None
    subagents: int
    unreported_calls: int
    unreported_failures: int


class TodoFacts(NamedTuple):
    """The to-dos that were ever on a session's lists, and those of them that were finished."""

    todos: int
    finished: int


class SessionVerdict(NamedTuple):
    """The verdict on a session, recorded or by the rule."""

    verdict: str
    source: str
    note: str | None


def plans(
    filters: Sequence[Filter] = (), limit: int | None = None
) -> Callable[[Source], Statement]:
    """Return a builder of a statement whose rows are `Plan`s, the latest first.

    Raises:
        InvalidQueryError: The limit is no number from 0.
    """
    checked_count("limit", limit)

    def build(source: Source) -> Statement:
        plans_source = source.only(PLANNER_SESSIONS.name)
        table = plans_source.sql
        link = f"nullif({plan_session_sql(source)}, '')"
        order = plan_order_sql(source)
        # SQLite gives the id of the row that has the maximum.
        latest = f"SELECT id FROM (SELECT id, max({order}) FROM {table} GROUP BY {link})"
        columns = [
            "id AS plan_id",
            f"{plan_field_sql(source, 'session_id')} AS session_id",
            f"{link} AS agent_session_id",
            f"{source.created_at} AS planned_at",
            *(f"{plan_field_sql(source, name)} AS {name}" for name in _PLAN_FIELDS),
            f"{link} IS NOT NULL AND id NOT IN ({latest}) AS is_superseded",
        ]
        order_by = -column("created_at"), -column("id")
        return select(plans_source, filters, order_by, limit, columns=", ".join(columns))

    return build


class Task(NamedTuple):
    """The task that a plan was made for."""

    id: str
    task_description: str | None
    complexity: str | None
    workflow_pattern: str | None


def tasks(source: Source) -> Statement:
    """Select the `Task`s of all plans, the latest first."""
    names = Task._fields[1:]
    columns = ", ".join(["id", *(f"{plan_field_sql(source, name)} AS {name}" for name in names)])
    plans_source = source.only(PLANNER_SESSIONS.name)
    return select(plans_source, (), (-column("created_at"), -column("id")), columns=columns)


def linked_to(prefix: str, *, is_exact: bool) -> Filter:
    """Match plans of a session, or carried out by one, by its id or, if not exact, a prefix."""
    names = ("session_id", "agent_session_id")
    if is_exact:
        return AnyOf(tuple(field(name) == prefix for name in names))
    return AnyOf(tuple((field(n) >= prefix) & (field(n) <= prefix + LAST_CHARACTER) for n in names))


async def event_facts(reader: Reader, sessions: Iterable[str]) -> dict[str, EventFacts]:
    """Return the facts of events, by session; a session without events is missing."""
    of_tools = await reader.fetch_by_key("session", EventFacts, partial(_events, sessions))
    result: dict[str, EventFacts] = {}
    for session, facts in of_tools:
        if (other := result.get(session)) is not None:
            facts = EventFacts(
                min((part.started or LAST_CHARACTER, part.tool) for part in (facts, other))[1],
                min(filter(None, (other.started, facts.started)), default=None),
                max(filter(None, (other.last, facts.last)), default=None),
                other.tool_calls + facts.tool_calls,
                other.failures + facts.failures,
                other.subagents + facts.subagents,
            )
        result[session] = facts
    return result


def with_unreported(events: EventFacts | None, messages: MessageFacts | None) -> EventFacts | None:
    """Add the calls that no event tells of; None where neither tells of a call."""
    if messages is None or not (messages.unreported_calls or messages.unreported_failures):
        return events
    calls, failures = messages.unreported_calls, messages.unreported_failures
    if events is None:
        tool, started, last = messages.tool or "", messages.started, messages.last
        return EventFacts(tool, started, last, calls, failures, messages.subagents)
    return events._replace(
        tool_calls=events.tool_calls + calls, failures=events.failures + failures
    )


async def message_facts(reader: Reader, sessions: Iterable[str]) -> dict[str, MessageFacts]:
    """Return the facts of messages, by session; a session without messages is missing."""
    build = partial(_messages, sessions)
    return dict(await reader.fetch_by_key("session", MessageFacts, build))


async def todo_facts(reader: Reader, sessions: Iterable[str]) -> dict[str, TodoFacts]:
    """Count the to-dos, by session; a session without lists is missing.

    Agent and text identify a to-do, over all snapshots: a list may be emptied once it is done, and
    its items' ids used again.
    """
    return dict(await reader.fetch_by_key("session", TodoFacts, partial(_todos, sessions)))


async def verdicts(reader: Reader, sessions: Iterable[str]) -> dict[str, SessionVerdict]:
    """Return the verdict that counts, by session; a session without one is missing."""
    return dict(await reader.fetch_by_key("session", SessionVerdict, partial(_verdicts, sessions)))


async def models(reader: Reader, sessions: Iterable[str]) -> dict[str, str]:
    """Return the model, by session; a session that names none is missing."""
    uses_by_session: dict[str, list[ModelUse]] = {}
    build = partial(_models, sessions)
    for session, use in await reader.fetch_by_key("session", ModelUse, build):
        uses_by_session.setdefault(session, []).append(use)
    models_by_session = {session: main_model(uses) for session, uses in uses_by_session.items()}
    return {session: model for session, model in models_by_session.items() if model is not None}


async def projects(reader: Reader, sessions: Iterable[str]) -> dict[str, str]:
    """Return the directory that it began in, by session; a session that names none is missing."""
    return {row[0]: row[1] for row in await reader.fetch(partial(_projects, sessions))}


async def session_ids(reader: Reader, prefix: str, limit: int) -> list[str]:
    """Return the sessions of any record whose ids begin with a prefix, in order, up to a limit."""

    def build(source: Source) -> Statement:
        names = {PLANNER_SESSIONS.name: ("session_id", "agent_session_id")}
        id_columns = [
            (table, source.extract(f"$.{name}"))
            for purpose, table in source.tables.items()
            for name in names.get(purpose, ("session_id",))
        ]
        if not id_columns:
            return NO_ROWS
        selects = [
            f"SELECT * FROM (SELECT DISTINCT {id} FROM {table} WHERE {id} >= ? AND {id} <= ?"
            f" ORDER BY {id} LIMIT ?)"
            for table, id in id_columns
        ]
        values = [prefix, prefix + LAST_CHARACTER, limit] * len(selects)
        return Statement(f"{' UNION '.join(selects)} ORDER BY 1 LIMIT ?", [*values, limit])

    return [str(row[0]) for row in await reader.fetch(build)]


def _events(sessions: Iterable[str], source: Source) -> Statement:
    session_id = source.extract("$.session_id")
    selects = [
        f"SELECT {session_id} AS session,"
        f" substr(min({time_sql(source)} || {tool_sql(source, tool)}), {_AFTER_TIME}) AS tool,"
        f" min({source.created_at}) AS started, max({source.created_at}) AS last,"
        f" count(CASE WHEN {is_call_end_sql(source)} THEN 1 END) AS tool_calls,"
        f" count(CASE WHEN {is_failed_call_sql(source)} THEN 1 END) AS failures,"
        f" count(DISTINCT {source.extract('$.agent_id')}) AS subagents"
        f" FROM {table}"
        f" WHERE {session_id} IN (SELECT value FROM json_each(?)) GROUP BY {session_id}"
        for tool, table in event_tables(source)
    ]
    return union_all(selects, [codec.dump(sorted(sessions))])


def _messages(sessions: Iterable[str], source: Source) -> Statement:
    table = source.only(CONVERSATIONS.name).sql
    session_id = source.extract("$.session_id")
    return Statement(
        f"SELECT {session_id} AS session,"
        f" nullif(substr(min({time_sql(source)} || {text_sql(source, 'tool')}), {_AFTER_TIME}), '')"
        f" AS tool, min({source.created_at}) AS started, max({source.created_at}) AS last,"
        f" count(DISTINCT {source.extract('$.agent_id')}) AS subagents,"
        f" sum({unreported_sql(source, 'calls')}) AS unreported_calls,"
        f" sum({unreported_sql(source, 'failures')}) AS unreported_failures FROM {table}"
        f" WHERE {session_id} IN (SELECT value FROM json_each(?)) GROUP BY {session_id}",
        [codec.dump(sorted(sessions))],
    )


def _todos(sessions: Iterable[str], source: Source) -> Statement:
    table = source.only(FOCUS_CHAINS.name).sql
    session_id = source.extract("$.session_id")
    items = f"{source.content}, '$.items'"
    # `value` of json_each is no JSON where an item is no object.
    text, status = (
        f"CASE WHEN item.type = 'object' THEN json_extract(item.value, '$.{name}') END"
        for name in ("text", "status")
    )
    return Statement(
        "SELECT session, count(DISTINCT agent || ' ' || said) AS todos,"
        " count(DISTINCT CASE WHEN status = 'completed' THEN agent || ' ' || said END) AS finished"
        f" FROM (SELECT {session_id} AS session,"
        f" coalesce({source.extract('$.agent_id')}, '') AS agent,"
        f" {text} AS said, {status} AS status FROM {table}"
        f" LEFT JOIN json_each({items}) AS item"
        f" WHERE {session_id} IN (SELECT value FROM json_each(?))) GROUP BY session",
        [codec.dump(sorted(sessions))],
    )


def _verdicts(sessions: Iterable[str], source: Source) -> Statement:
    table = source.only(OUTCOMES.name).sql
    session_id = source.extract("$.session_id")
    return Statement(
        "SELECT session, verdict, source, note FROM ("
        f"SELECT {session_id} AS session, {source.extract('$.verdict')} AS verdict,"
        f" coalesce({source.extract('$.source')}, 'person') AS source,"
        f" {source.extract('$.note')} AS note,"
        f" row_number() OVER (PARTITION BY {session_id} ORDER BY {verdict_order_sql(source)} DESC)"
        f" AS number FROM {table} WHERE {session_id} IN (SELECT value FROM json_each(?))"
        f" AND {is_verdict_sql(source)}) WHERE number = 1",
        [codec.dump(sorted(sessions))],
    )


def _models(sessions: Iterable[str], source: Source) -> Statement:
    session_id, model = source.extract("$.session_id"), source.extract("$.model")
    tokens = " + ".join(used_sql(source, name) for name in TOKEN_CLASSES)
    selects = [
        f"SELECT {session_id} AS session,"
        f" {f'sum({tokens})' if purpose == CONVERSATIONS else '0'} AS tokens,"
        f" max({time_sql(source)}) AS last, {model} AS model FROM {source.only(purpose.name).sql}"
        f" WHERE {session_id} IN (SELECT value FROM json_each(?))"
        f" AND typeof({model}) = 'text' AND {model} <> '' GROUP BY {session_id}, {model}"
        for purpose in (*EVENT_FILES.values(), CONVERSATIONS)
    ]
    return union_all(selects, [codec.dump(sorted(sessions))])


def _projects(sessions: Iterable[str], source: Source) -> Statement:
    id, project = source.extract("$.session_id"), text_sql(source, "cwd")
    selects = [
        f"SELECT {id} AS id, min({time_sql(source)} || {project}) AS first"
        f" FROM {source.only(purpose.name).sql}"
        f" WHERE {id} IN (SELECT value FROM json_each(?)) AND {project} <> '' GROUP BY {id}"
        for purpose in (CONVERSATIONS, *EVENT_FILES.values())
    ]
    beginning = f"substr(min(first), {clock.CREATED_AT_CHARACTERS + 1})"
    within = f"SELECT id, {beginning} FROM ({{}}) GROUP BY id"
    return union_all(selects, [codec.dump(sorted(sessions))], within)
