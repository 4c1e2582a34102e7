"""All sessions that any record names, and the plans that belong to some of them."""

from collections import deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from functools import partial
from typing import Any, Final

from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.sessions.activity import Time
from khive_persist.sessions.definitions import (
    plan_order_sql,
    plan_session_sql,
    text_sql,
)
from khive_persist.store import codec
from khive_persist.store.reader import Reader
from khive_persist.store.source import NO_ROWS, Source, Statement

_SESSIONS_AT_ONCE: Final = 512


async def session_pages(
    readers: Sequence[Reader], time: Time | None = None
) -> AsyncGenerator[list[str], None]:
    """Yield the sessions of all records that the readers read, in order of their ids, by page.

    Plans are the first reader's.
    """
    rows = await readers[0].fetch(partial(_agent_sessions, time))
    # No index has the sessions that only plans name, as that of their agent.
    agent_sessions = deque(str(row[0]) for row in rows)
    previous = ""
    while True:
        build = partial(_ids_above, previous, time)
        found = {str(row[0]) for reader in readers for row in await reader.fetch(build)}
        ids = set(sorted(found)[:_SESSIONS_AT_ONCE])
        # Ids after the last one of a full page belong to a later page.
        last = max(ids) if len(ids) == _SESSIONS_AT_ONCE else None
        while agent_sessions and (last is None or agent_sessions[0] <= last):
            ids.add(agent_sessions.popleft())
        if not ids:
            return
        page = sorted(ids)
        yield page
        if last is None:
            return
        previous = last


async def linked_plans(reader: Reader) -> dict[str, str]:
    """Return the latest plan that names each agent's session, by that session."""
    return dict(map(tuple, await reader.fetch(_linked_plans)))


async def plan_contents(
    reader: Reader, sessions: Iterable[str], linked: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Return the content of the plan that counts, by session; a session without one is missing.

    `linked` is the result of `linked_plans`, as no index has the session of a plan's agent.
    """
    ids = list(sessions)
    plan_ids = [linked[session] for session in ids if session in linked]
    rows = await reader.fetch(lambda source: _plans(source, ids, plan_ids))
    contents: dict[str, dict[str, Any]] = {}
    for session, text, _ in rows:
        content = codec.column(text)
        if isinstance(content, dict):
            # Rows come in the order in which they count: the last one stays.
            contents[session] = content
    return contents


def _ids_above(previous: str, time: Time | None, source: Source) -> Statement:
    id = source.extract("$.session_id")
    at = source.created_at
    # The plus keeps SQLite from the index of times, of which each page would sort all rows.
    within = "" if time is None else f" AND +{at} >= ? AND +{at} < ?"
    selects = [
        f"SELECT * FROM (SELECT DISTINCT {id} AS id FROM {table} WHERE {id} > ? AND"
        f" typeof({id}) = 'text'{within} ORDER BY {id} LIMIT {_SESSIONS_AT_ONCE})"
        for table in source.tables.values()
    ]
    if not selects:
        return NO_ROWS
    sql = f"{' UNION '.join(selects)} ORDER BY 1 LIMIT {_SESSIONS_AT_ONCE}"
    return Statement(sql, [previous, *(time or ())] * len(selects))


def _agent_sessions(time: Time | None, source: Source) -> Statement:
    table = source.only(PLANNER_SESSIONS.name).sql
    session, at = text_sql(source, "agent_session_id"), source.created_at
    within = "" if time is None else f" AND {at} >= ? AND {at} < ?"
    sql = f"SELECT DISTINCT {session} FROM {table} WHERE {session} <> ''{within} ORDER BY 1"
    return Statement(sql, [*(time or ())])


def _linked_plans(source: Source) -> Statement:
    table = source.only(PLANNER_SESSIONS.name).sql
    session = text_sql(source, "agent_session_id")
    order = plan_order_sql(source)
    sql = f"SELECT {session}, id FROM {table} WHERE {session} <> '' ORDER BY {order}"
    return Statement(sql, [])


def _plans(source: Source, sessions: list[str], plans: list[str]) -> Statement:
    table = source.only(PLANNER_SESSIONS.name).sql
    own_session, session = source.extract("$.session_id"), plan_session_sql(source)
    select = (
        f"SELECT {session} AS session, {source.content}, {plan_order_sql(source)} AS place"
        f" FROM {table} WHERE"
    )
    return Statement(
        f"{select} {own_session} IN (SELECT value FROM json_each(?)) AND {session} = {own_session}"
        f" UNION ALL {select} id IN (SELECT value FROM json_each(?)) ORDER BY place",
        [codec.dump(sessions), codec.dump(plans)],
    )
