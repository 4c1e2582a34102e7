"""The facts of each session, from all kinds of records that tell of it."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import Any, NamedTuple

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.models.purposes import (
    APPLICATION_SESSIONS,
    ASSIGNMENTS,
    CONVERSATIONS,
    MEASUREMENTS,
    SCORES,
    Purpose,
)
from khive_persist.models.query import field
from khive_persist.opening import reading
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions import event_facts as facts
from khive_persist.sessions.activity import Time
from khive_persist.sessions.definitions import ruled
from khive_persist.sessions.pages import linked_plans, plan_contents, session_pages
from khive_persist.sessions.token_totals import token_totals
from khive_persist.store import codec
from khive_persist.store.reader import Reader
from khive_persist.store.source import NO_ROWS, Source, Statement
from khive_persist.store.sqlite.statements import aggregate


class Assigned(NamedTuple):
    """The variant that a session has in an experiment; `method` is random or named."""

    variant: str
    method: str
    is_late: bool


class _AssignmentRow(NamedTuple):
    session_id: str
    experiment: object
    variant: object
    method: object
    is_late: object


class SessionFacts(NamedTuple):
    """The facts of one session; an unknown one is None.

    Attributes:
        session_id: Its id.
        tool: The AI tool, or `application`.
        model: The model whose messages used most tokens.
        project: The directory in which it was at work.
        started: The time of the first event or message, else of its application; text in UTC.
        duration_seconds: The time from the first event or message to the last, pauses included.
        tool_calls: The number of calls that ended, each once.
        failures: The number of those that failed or were refused.
        agents: The number of agents that it started, its own not among them.
        todos_finished: The number of to-dos that were ever completed.
        tokens: The tokens of all classes together.
        cost: The cost in USD; None also where one message has no known price.
        verdict: success, partial or failure.
        plan: The content of its plan; empty without one.
        application: The content of the application's session; empty where it is none.
        scores: The mean of its scores of each name.
        measurements: The mean of its measurements of each name.
        assignments: The variant that it was assigned, by experiment.
    """

    session_id: str
    tool: str | None = None
    model: str | None = None
    project: str | None = None
    started: str | None = None
    duration_seconds: float | None = None
    tool_calls: int | None = None
    failures: int | None = None
    agents: int | None = None
    todos_finished: int | None = None
    tokens: int | None = None
    cost: float | None = None
    verdict: str | None = None
    plan: Mapping[str, Any] = {}
    application: Mapping[str, Any] = {}
    scores: Mapping[str, float] = {}
    measurements: Mapping[str, float] = {}
    assignments: Mapping[str, Assigned] = {}


async def session_facts(
    project: Project, time: Time | None = None
) -> AsyncGenerator[SessionFacts, None]:
    """Yield every session that a record, of a period, tells of, by id, in flat memory.

    The facts are of all its records.
    """
    settings = configuration.load(project.config)
    prices, rule = PriceTable(settings.cost_prices), settings.verdict_rule
    async with AsyncExitStack() as stack:
        reader = await stack.enter_async_context(reading(project, *facts.PURPOSES))
        messages = await stack.enter_async_context(reading(project, CONVERSATIONS))
        # In other readers, as SQLite reads at most ten files together.
        of_applications = await stack.enter_async_context(
            reading(project, APPLICATION_SESSIONS, SCORES, MEASUREMENTS)
        )
        assigned = await stack.enter_async_context(reading(project, ASSIGNMENTS))
        pages = await stack.enter_async_context(
            aclosing(session_pages([reader, of_applications], time))
        )
        linked = await linked_plans(reader)
        async for sessions in pages:
            assignments = await _assignments(assigned, sessions)
            readers = reader, messages, of_applications
            for session in await _page(sessions, linked, readers, prices, rule):
                yield session._replace(assignments=assignments.get(session.session_id, {}))


async def _page(
    sessions: list[str],
    linked: dict[str, str],
    readers: tuple[Reader, Reader, Reader],
    prices: PriceTable,
    rule: float | None,
) -> list[SessionFacts]:
    reader, messages, of_applications = readers
    plans = await plan_contents(reader, sessions, linked)
    events = await facts.event_facts(reader, sessions)
    message_facts = await facts.message_facts(reader, sessions)
    todos = await facts.todo_facts(reader, sessions)
    verdicts = await facts.verdicts(reader, {*sessions, *map(_own_session, plans.values())})
    of_sessions = field("session_id").in_(sessions)
    totals = await token_totals(messages, "session", prices, of_sessions)
    tokens = {total.group: total for total in totals}
    models = await facts.models(reader, sessions)
    applications = await _applications(of_applications, sessions)
    scores = await _means(of_applications, sessions, SCORES)
    measurements = await _means(of_applications, sessions, MEASUREMENTS)
    projects = await facts.projects(reader, sessions)
    page = []
    for session in sessions:
        of_messages = message_facts.get(session)
        of_events = facts.with_unreported(events.get(session), of_messages)
        parts = [part for part in (of_events, of_messages) if part is not None]
        started = min((part.started for part in parts if part.started), default=None)
        first = clock.from_column(started)
        last = clock.from_column(max((part.last for part in parts if part.last), default=None))
        total, plan = tokens.get(session), plans.get(session, {})
        application = applications.get(session, {})
        verdict = verdicts.get(session) or verdicts.get(_own_session(plan))
        if verdict is None and of_events is not None:
            by_rule = ruled(of_events.tool_calls, of_events.failures, rule)
            verdict = facts.SessionVerdict(by_rule, "rule", None) if by_rule else None
        todo = todos.get(session)
        page.append(
            SessionFacts(
                session,
                tool=next((part.tool for part in parts if part.tool), None),
                model=models.get(session),
                project=projects.get(session),
                started=started or application.get("started_at"),
                duration_seconds=(last - first).total_seconds() if first and last else None,
                tool_calls=of_events.tool_calls if of_events else None,
                failures=of_events.failures if of_events else None,
                agents=max((part.subagents for part in parts), default=None),
                todos_finished=todo.finished if todo else None,
                tokens=total.tokens if total else None,
                cost=total.whole_cost if total else None,
                verdict=verdict.verdict if verdict else None,
                plan=plan,
                application=application,
                scores=scores.get(session, {}),
                measurements=measurements.get(session, {}),
            )
        )
    return page


def _own_session(plan: Mapping[str, Any]) -> str:
    return str(plan.get("session_id", ""))


async def _applications(reader: Reader, sessions: list[str]) -> dict[str, dict[str, Any]]:
    def build(source: Source) -> Statement:
        table = source.only(APPLICATION_SESSIONS.name).sql
        id = source.extract("$.session_id")
        return Statement(
            f"SELECT {id}, {source.content} FROM {table}"
            f" WHERE {id} IN (SELECT value FROM json_each(?))",
            [codec.dump(sessions)],
        )

    contents = {row[0]: codec.column(row[1]) for row in await reader.fetch(build)}
    return {id: content for id, content in contents.items() if isinstance(content, dict)}


async def _means(
    reader: Reader, sessions: list[str], purpose: Purpose
) -> dict[str, dict[str, float]]:
    """Return the mean of all values of a name, by session and name."""

    def build(source: Source) -> Statement:
        table = source.only(purpose.name).sql
        id, name = source.extract("$.session_id"), source.extract("$.name")
        return Statement(
            f"SELECT {id}, {name}, {aggregate('avg', source.extract('$.value'))} FROM {table}"
            f" WHERE {id} IN (SELECT value FROM json_each(?)) GROUP BY {id}, {name}",
            [codec.dump(sessions)],
        )

    means: dict[str, dict[str, float]] = {}
    for session, name, value in await reader.fetch(build):
        if isinstance(name, str) and value is not None:
            means.setdefault(session, {})[name] = value
    return means


async def _assignments(reader: Reader, sessions: list[str]) -> dict[str, dict[str, Assigned]]:
    def build(source: Source) -> Statement:
        table = source.tables.get(ASSIGNMENTS.name)
        if table is None:
            return NO_ROWS
        columns = [f"{source.extract(f'$.{n}')} AS {n}" for n in _AssignmentRow._fields]
        return Statement(
            f"SELECT {', '.join(columns)} FROM {table}"
            f" WHERE {source.extract('$.session_id')} IN (SELECT value FROM json_each(?))"
            f" ORDER BY {source.created_at} DESC, rowid DESC",
            [codec.dump(sessions)],
        )

    assignments: dict[str, dict[str, Assigned]] = {}
    for row in await reader.fetch_as(_AssignmentRow, build):
        if isinstance(row.experiment, str) and isinstance(row.variant, str):
            # Of several, as from an import, the earliest counts: it comes last.
            assignment = Assigned(row.variant, str(row.method), bool(row.is_late))
            assignments.setdefault(row.session_id, {})[row.experiment] = assignment
    return assignments
