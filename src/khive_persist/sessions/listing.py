"""The list of sessions: events, messages, plan and verdict, by session id."""

from typing import Final, NamedTuple

from khive_persist import clock
from khive_persist.models.criteria import CRITERIA, OF_PLANS
from khive_persist.models.purposes import CONVERSATIONS, OUTCOMES, PLANNER_SESSIONS
from khive_persist.models.query import checked_count, field
from khive_persist.prices import PriceTable
from khive_persist.sessions.definitions import (
    PLAN_FIELDS,
    event_tables,
    has_session_sql,
    is_call_end_sql,
    is_failed_call_sql,
    is_message_sql,
    is_verdict_sql,
    plan_field_sql,
    plan_order_sql,
    plan_session_sql,
    ruled_sql,
    session_sql,
    text_sql,
    time_sql,
    tool_sql,
    unreported_sql,
    verdict_order_sql,
)
from khive_persist.sessions.event_facts import models, projects
from khive_persist.sessions.titles import read_titles
from khive_persist.sessions.token_totals import token_totals
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement

_AFTER_TIME: Final = clock.CREATED_AT_CHARACTERS + 1


class SessionFilter(NamedTuple):
    """The conditions that a listed session fulfils.

    `session_id` is an id, or the beginning of ids where it is not `is_exact`, also of the session
    that made the plan; `tool` is a tool in which something was done; `failed` tells whether a tool
    call in it failed. Times are text as `clock.to_text` writes it.
    """

    session_id: str | None = None
    is_exact: bool = False
    tool: str | None = None
    since: str | None = None
    until: str | None = None
    complexity: str | None = None
    min_confidence: float | None = None
    max_cost: float | None = None
    verdict: str | None = None
    failed: bool | None = None


class SessionSummary(NamedTuple):
    """One session, by the meanings of `sessions/definitions.py`.

    `title` is that of `sessions/titles.py`, `project` the directory that it began in. `started` and
    `last` are text in UTC. `cost` is of the messages that have a price, in USD; `unpriced` is the
    number of those that have none, and are not in it. The plan's fields are None where there is no
    plan, `tool` where there are neither events nor messages, and `verdict` where nobody gave one.
    `plans` is the number of plans, of which the latest is shown.
    """

    session_id: str
    title: str | None
    tool: str | None
    project: str | None
    model: str | None
    started: str | None
    last: str | None
    events: int
    failures: int
    messages: int
    cost: float | None
    unpriced: int
    task_description: str | None
    complexity: str | None
    agent_count: float | None
    confidence: float | None
    planning_cost: float | None
    verdict: str | None
    plans: int


async def list_sessions(
    reader: Reader,
    filters: SessionFilter,
    limit: int | None = None,
    rule: float | None = None,
    prices: PriceTable | None = None,
) -> list[SessionSummary]:
    """Return the sessions that pass the filter, the one that was at work last first.

    `rule` is the share of failures above which a session has failed that nobody has judged.
    Without `prices` tokens have their list prices.

    Raises:
        InvalidQueryError: The limit is no number from 0.
    """
    limit = checked_count("limit", limit)
    summaries = await reader.fetch_as(
        SessionSummary, lambda source: _statement(source, filters, limit, rule)
    )
    # Only of those that are listed: these are in the content of records.
    tasks = {summary.session_id: summary.task_description for summary in summaries}
    titles = await read_titles(reader, tasks)
    directories = await projects(reader, tasks)
    main_models = await models(reader, tasks)
    in_list = field("session_id").in_([*tasks])
    totals = await token_totals(reader, "session", prices or PriceTable(), in_list)
    spent = {total.group: total for total in totals}
    return [
        summary._replace(
            title=titles.get(id),
            project=directories.get(id),
            model=main_models.get(id),
            cost=spent[id].cost if id in spent else None,
            unpriced=spent[id].unpriced if id in spent else 0,
        )
        for id, summary in zip(tasks, summaries, strict=True)
    ]


async def count_sessions(reader: Reader) -> tuple[int, str | None]:
    """Return the number of all sessions, and the time of the latest; text in UTC."""

    def build(source: Source) -> Statement:
        listed = _statement(source, SessionFilter(), None, None)
        return listed._replace(sql=f"SELECT count(*), max(last) FROM ({listed.sql})")

    ((count, last),) = await reader.fetch(build)
    return count, last


def _statement(
    source: Source, filters: SessionFilter, limit: int | None, rule: float | None
) -> Statement:
    plan_columns = ", ".join(f"p.{name}" for name in PLAN_FIELDS)
    conditions, values = _conditions(filters)
    with_tool = "" if filters.tool is None else f", w AS ({_with_tool(source)})"
    return Statement(
        f"WITH r AS (SELECT ? AS rule){with_tool}, e AS ({_events(source, rule is not None)}),"
        f" m AS ({_messages(source)}), p AS ({_plans(source)}), v AS ({_verdicts(source)}),"
        " s AS (SELECT session_id FROM e UNION"
        " SELECT session_id FROM m UNION SELECT session_id FROM p),"
        " summed AS (SELECT s.session_id, NULL AS title, NULL AS project, NULL AS model,"
        " NULL AS cost, 0 AS unpriced, coalesce(e.tool, m.tool) AS tool,"
        f" {_of_work('min', 'started')} AS started, {_of_work('max', 'last')} AS last,"
        " coalesce(e.events, 0) AS events, coalesce(e.calls, 0) + coalesce(m.calls, 0) AS calls,"
        " coalesce(e.failures, 0) + coalesce(m.failures, 0) AS failures,"
        f" coalesce(m.messages, 0) AS messages, {plan_columns}, p.planned_by,"
        " coalesce(v.verdict, planned.verdict) AS given, coalesce(p.plans, 0) AS plans"
        " FROM s LEFT JOIN e ON e.session_id = s.session_id"
        " LEFT JOIN m ON m.session_id = s.session_id"
        " LEFT JOIN p ON p.session_id = s.session_id"
        " LEFT JOIN v ON v.session_id = s.session_id"
        " LEFT JOIN v AS planned ON planned.session_id = p.planned_by),"
        f" found AS (SELECT *, coalesce(given, {ruled_sql('calls', 'failures', 'rule')}) AS verdict"
        " FROM summed, r)"
        f" SELECT {', '.join(SessionSummary._fields)} FROM found"
        f" WHERE {' AND '.join(conditions) or '1'} ORDER BY last DESC, session_id DESC LIMIT ?",
        [
            rule,
            *([filters.tool] * with_tool.count("?")),
            *values,
            -1 if limit is None else limit,
        ],
    )


def _of_work(function: str, name: str) -> str:
    """Return the first or the last time of events and messages, else of plans.

    SQLite's own functions give NULL for any NULL.
    """
    of_both = f"{function}(coalesce(e.{name}, m.{name}), coalesce(m.{name}, e.{name}))"
    return f"coalesce({of_both}, p.{name})"


def _events(source: Source, with_calls: bool) -> str:
    session_id, at = source.extract("$.session_id"), source.created_at
    # Without the calls an index has it all, but for what failed: no content is read.
    calls = f"count(CASE WHEN {is_call_end_sql(source)} THEN 1 END)" if with_calls else "0"
    selects = [
        "SELECT *, coalesce(started, char(1114111)) ||"
        f" (SELECT {tool_sql(source, client)} AS tool FROM {table}"
        f" WHERE {session_id} = own.session_id ORDER BY {at}, tool LIMIT 1) AS first_tool"
        f" FROM (SELECT {session_id} AS session_id, min({at}) AS started, max({at}) AS last,"
        f" count(*) AS events, {calls} AS calls,"
        f" count(CASE WHEN {is_failed_call_sql(source)} THEN 1 END) AS failures"
        f" FROM {table} WHERE {has_session_sql(source)} GROUP BY {session_id}) AS own"
        for client, table in event_tables(source)
    ]
    tool = f"substr(min(first_tool), iif(min(started) IS NULL, 2, {_AFTER_TIME}))"
    return (
        f"SELECT session_id, {tool} AS tool, min(started) AS started, max(last) AS last,"
        " sum(events) AS events, sum(calls) AS calls, sum(failures) AS failures"
        f" FROM ({' UNION ALL '.join(selects)}) GROUP BY session_id"
    )


def _messages(source: Source) -> str:
    session_id = source.extract("$.session_id")
    return (
        f"SELECT {session_id} AS session_id,"
        f" nullif(substr(min({time_sql(source)} || {text_sql(source, 'tool')}), {_AFTER_TIME}), '')"
        f" AS tool, min({source.created_at}) AS started, max({source.created_at}) AS last,"
        f" count(CASE WHEN {is_message_sql(source)} THEN 1 END) AS messages,"
        f" sum({unreported_sql(source, 'calls')}) AS calls,"
        f" sum({unreported_sql(source, 'failures')}) AS failures"
        f" FROM {source.only(CONVERSATIONS.name).sql}"
        f" WHERE {has_session_sql(source)} GROUP BY {session_id}"
    )


def _plans(source: Source) -> str:
    session = plan_session_sql(source)
    fields = ", ".join(f"{plan_field_sql(source, name)} AS {name}" for name in PLAN_FIELDS)
    within = f"OVER (PARTITION BY {session})"
    return (
        f"SELECT * FROM (SELECT {session} AS session_id, {session_sql(source)} AS planned_by,"
        f" min({source.created_at}) {within} AS started, max({source.created_at}) {within} AS last,"
        f" count(*) {within} AS plans, {fields}, row_number()"
        f" OVER (PARTITION BY {session} ORDER BY {plan_order_sql(source)} DESC) AS number"
        f" FROM {source.only(PLANNER_SESSIONS.name).sql} WHERE {session} <> '') WHERE number = 1"
    )


def _verdicts(source: Source) -> str:
    session_id = source.extract("$.session_id")
    return (
        f"SELECT session_id, verdict FROM (SELECT {session_id} AS session_id,"
        f" {source.extract('$.verdict')} AS verdict, row_number()"
        f" OVER (PARTITION BY {session_id} ORDER BY {verdict_order_sql(source)} DESC) AS number"
        f" FROM {source.only(OUTCOMES.name).sql} WHERE {has_session_sql(source)}"
        f" AND {is_verdict_sql(source)}) WHERE number = 1"
    )


def _with_tool(source: Source) -> str:
    tools = [(tool_sql(source, client), table) for client, table in event_tables(source)]
    tools.append((text_sql(source, "tool"), source.only(CONVERSATIONS.name).sql))
    selects = [
        f"SELECT {source.extract('$.session_id')} AS session_id FROM {table} WHERE {tool} = ?"
        for tool, table in tools
    ]
    return " UNION ".join(selects)


def _conditions(filters: SessionFilter) -> tuple[list[str], list[object]]:
    of_session = "= ?" if filters.is_exact else "BETWEEN ? AND ? || char(1114111)"
    tests = {
        f"(session_id {of_session} OR planned_by {of_session})": filters.session_id,
        "last >= ?": filters.since,
        "started < ?": filters.until,
        **{CRITERIA[name].sql: getattr(filters, name) for name in (*OF_PLANS, "verdict")},
        "(failures > 0) = ?": filters.failed,
    }
    used = {test: value for test, value in tests.items() if value is not None}
    conditions = list(used)
    if filters.tool is not None:
        conditions.append("session_id IN (SELECT session_id FROM w)")
    return conditions, [value for test, value in used.items() for _ in range(test.count("?"))]
