"""All sessions that any record names, and the plans that belong to some of them."""

from collections.abc import AsyncGenerator, Iterable
from functools import partial
from typing import Any, Final

from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.sessions.activity import Time
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
    after = ""
    while True:
        found = await reader.fetch(partial(_after, after, time))
        if not found:
            return
        page = [str(row[0]) for row in found]
        yield page
        after = page[-1]


async def linked_plans(reader: Reader) -> dict[str, str]:
    """The latest plan that names each agent session, by that session; plans that name none aside.

    Raises:
        StoreError: As its subclasses say.
    """
    rows = await reader.fetch(_naming)
    return dict(map(tuple, rows))


async def plan_contents(
    reader: Reader, sessions: Iterable[str], linked: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """The content of the plan of each session: the latest that names it, else its own latest.

    Raises:
        StoreError: As its subclasses say.
    """
    wanted = list(sessions)
    by_plan = {linked[session]: session for session in wanted if session in linked}
    rows = await reader.fetch(lambda source: _plans(source, wanted, list(by_plan)))
    found: dict[str, dict[str, Any]] = {}
    for is_linked, key, text, *_ in rows:
        content = codec.column(text)
        session = by_plan.get(key) if is_linked else key
        if isinstance(content, dict) and session is not None:
            # In order of time, those that name a session last.
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


def _naming(source: Source) -> Statement:
    table = source.tables.get(PLANNER_SESSIONS.name)
    if table is None:
        return Statement("SELECT NULL, NULL LIMIT 0", [])
    named = source.extract("$.agent_session_id")
    return Statement(
        f"SELECT {named}, id FROM {table} WHERE typeof({named}) = 'text' AND {named} <> ''"
        f" ORDER BY {source.created_at}, rowid",
        [],
    )


def _plans(source: Source, sessions: list[str], plans: list[str]) -> Statement:
    table = source.tables.get(PLANNER_SESSIONS.name)
    if table is None:
        return Statement("SELECT NULL, NULL, NULL LIMIT 0", [])
    id = source.extract("$.session_id")
    named = source.extract("$.agent_session_id")
    return Statement(
        f"SELECT 0 AS linked, {id}, {source.content}, {source.created_at} AS at, rowid AS r"
        f" FROM {table} WHERE {id} IN (SELECT value FROM json_each(?))"
        f" AND coalesce({named}, '') IN ('', {id})"
        f" UNION ALL SELECT 1, id, {source.content}, {source.created_at}, rowid FROM {table}"
        " WHERE id IN (SELECT value FROM json_each(?)) ORDER BY linked, at, r",
        [codec.dump(sessions), codec.dump(plans)],
    )
