"""All sessions that any record names, and the plans that belong to some of them."""

from collections import deque
from collections.abc import AsyncGenerator, Iterable
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
from khive_persist.store.sqlite.statements import Source, Statement

_SESSIONS_AT_ONCE: Final = 512


async def session_pages(
    reader: Reader, time: Time | None = None
) -> AsyncGenerator[list[str], None]:
    """The sessions of all records that the reader reads, in order of their ids, some at a time.

    Args:
        reader: Of which records.
        time: Only of those of this time.

    Raises:
        StoreError: As its subclasses say.
    """
    rows = await reader.fetch(partial(_named, time))
    # Sessions that plans alone name, as that of their agent, have no index.
    named = deque(str(row[0]) for row in rows)
    after = ""
    while True:
        rows = await reader.fetch(partial(_after, after, time))
        found = {str(row[0]) for row in rows}
        # Of a page that is full, what comes after its last one is of a later page.
        last = max(found) if len(rows) >= _SESSIONS_AT_ONCE else None
        while named and (last is None or named[0] <= last):
            found.add(named.popleft())
        if not found:
            return
        page = sorted(found)
        yield page
        if last is None:
            return
        after = last


async def linked_plans(reader: Reader) -> dict[str, str]:
    """The latest plan that names each agent's session, by that session.

    Raises:
        StoreError: As its subclasses say.
    """
    return dict(map(tuple, await reader.fetch(_naming)))


async def plan_contents(
    reader: Reader, sessions: Iterable[str], linked: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """The content of the plan that counts, by session; a session without one is missing.

    Args:
        reader: Of the file of plans.
        sessions: Which.
        linked: As `linked_plans` gives it: what names the session of an agent has no index.

    Raises:
        StoreError: As its subclasses say.
    """
    wanted = list(sessions)
    named = [linked[session] for session in wanted if session in linked]
    rows = await reader.fetch(lambda source: _plans(source, wanted, named))
    found: dict[str, dict[str, Any]] = {}
    for session, text, _ in rows:
        content = codec.column(text)
        if isinstance(content, dict):
            # In the order in which they count: the last one stays.
            found[session] = content
    return found


def _after(after: str, time: Time | None, source: Source) -> Statement:
    id = source.extract("$.session_id")
    at = source.created_at
    # The plus keeps SQLite from the index of times, of which each page would sort all rows.
    within = "" if time is None else f" AND +{at} >= ? AND +{at} < ?"
    each = [
        f"SELECT * FROM (SELECT DISTINCT {id} AS id FROM {table} WHERE {id} > ? AND"
        f" typeof({id}) = 'text'{within} ORDER BY {id} LIMIT {_SESSIONS_AT_ONCE})"
        for table in source.tables.values()
    ]
    if not each:
        return Statement("SELECT NULL LIMIT 0", [])
    sql = f"{' UNION '.join(each)} ORDER BY 1 LIMIT {_SESSIONS_AT_ONCE}"
    return Statement(sql, [after, *(time or ())] * len(each))


def _named(time: Time | None, source: Source) -> Statement:
    table = source.tables.get(PLANNER_SESSIONS.name)
    if table is None:
        return Statement("SELECT NULL LIMIT 0", [])
    named, at = text_sql(source, "agent_session_id"), source.created_at
    within = "" if time is None else f" AND {at} >= ? AND {at} < ?"
    sql = f"SELECT DISTINCT {named} FROM {table} WHERE {named} <> ''{within} ORDER BY 1"
    return Statement(sql, [*(time or ())])


def _naming(source: Source) -> Statement:
    table = source.tables.get(PLANNER_SESSIONS.name)
    if table is None:
        return Statement("SELECT NULL, NULL LIMIT 0", [])
    named = text_sql(source, "agent_session_id")
    order = plan_order_sql(source)
    return Statement(f"SELECT {named}, id FROM {table} WHERE {named} <> '' ORDER BY {order}", [])


def _plans(source: Source, sessions: list[str], plans: list[str]) -> Statement:
    table = source.tables.get(PLANNER_SESSIONS.name)
    if table is None:
        return Statement("SELECT NULL, NULL, NULL LIMIT 0", [])
    own, session = source.extract("$.session_id"), plan_session_sql(source)
    select = (
        f"SELECT {session} AS session, {source.content}, {plan_order_sql(source)} AS place"
        f" FROM {table} WHERE"
    )
    return Statement(
        f"{select} {own} IN (SELECT value FROM json_each(?)) AND {session} = {own}"
        f" UNION ALL {select} id IN (SELECT value FROM json_each(?)) ORDER BY place",
        [codec.dump(sessions), codec.dump(plans)],
    )
