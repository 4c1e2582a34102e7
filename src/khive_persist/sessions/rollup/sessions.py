"""The sessions of a rollup: by page, sorted and filtered, or one."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from khive_persist.models.criteria import CRITERIA, OF_PLANS
from khive_persist.models.purposes import CONVERSATIONS
from khive_persist.sessions.rollup.rollup import Rollup
from khive_persist.sessions.rollup.session_item import KEYS, SessionItem, Sort
from khive_persist.store import codec

_COLUMNS: Final = ", ".join(SessionItem._fields)


class SessionQuery(NamedTuple):
    """The conditions of sessions, and their order. Times are text as `clock.to_text` writes it.

    Attributes:
        tool: A tool that did something in them.
        since: The time at or after which they did something.
        until: The time before which they began.
        complexity: The complexity of their plan.
        min_confidence: The least confidence of their plan.
        max_cost: The largest `planning_cost` of their plan.
        project: The directory that they began in.
        model: The model that used most tokens.
        verdict: The verdict that counts.
        failed: Whether a tool call in them failed.
        words: Words of which each is in the title, the task or the project, or the id begins with
            it; in whatever case.
        sort: The key of the order.
        descending: Whether the largest comes first.
    """

    tool: str | None = None
    since: str | None = None
    until: str | None = None
    complexity: str | None = None
    min_confidence: float | None = None
    max_cost: float | None = None
    project: str | None = None
    model: str | None = None
    verdict: str | None = None
    failed: bool | None = None
    words: Sequence[str] = ()
    sort: Sort = "last"
    descending: bool = True


def sessions(
    rollup: Rollup, query: SessionQuery, previous: Sequence[Any] | None, limit: int
) -> tuple[list[SessionItem], Sequence[Any] | None]:
    """Return the sessions that fulfil a query, in order, up to a limit.

    `previous` is key and id of the last session of the page before; None for the first page.

    Returns:
        The sessions, and the key and id of the last one if there are more.
    """
    conditions, values = ["1"], []
    tests: dict[str, Any] = {
        "instr(tools, ?)": None if query.tool is None else f",{query.tool},",
        "last >= ?": query.since,
        "started < ?": query.until,
        **{CRITERIA[name].sql: getattr(query, name) for name in (*OF_PLANS, "verdict")},
        "project = ?": query.project,
        "model = ?": query.model,
        "(failures > 0) = ?": query.failed,
    }
    for test, value in tests.items():
        if value is not None:
            conditions.append(test)
            values.append(value)
    if query.words:
        ids = rollup.find(query.words)
        if ids is None:
            conditions.append("has_words(session_id)")
        else:
            conditions.append("session_id IN (SELECT value FROM json_each(?))")
            values.append(codec.dump_lossy(ids))
    key = KEYS[query.sort].sql
    order, beyond = ("DESC", "<") if query.descending else ("ASC", ">")
    if previous is not None:
        # Both: the first lets the index begin there, the second leaves out the page before.
        conditions.append(f"{key} {beyond}= ? AND ({key}, session_id) {beyond} (?, ?)")
        values += [previous[0], *previous]
    rows = rollup.query_by_key(
        "sort_key",
        SessionItem,
        f"SELECT {key} AS sort_key, {_COLUMNS} FROM sessions WHERE {' AND '.join(conditions)}"
        f" ORDER BY {key} {order}, session_id {order} LIMIT ?",
        [*values, limit + 1],
        query.words,
    )
    items = [item for _, item in rows[:limit]]
    if len(rows) <= limit:
        return items, None
    return items, (rows[limit - 1][0], items[-1].session_id)


def session(rollup: Rollup, id: str) -> list[SessionItem]:
    """Return the session of this id, else some of those that carried out its plans."""
    return _select(rollup, "session_id = ?", id) or _select(rollup, "planned_by = ?", id)


def sessions_of(rollup: Rollup, ids: Sequence[str]) -> dict[str, SessionItem]:
    """Return the sessions of these ids, by id; those that are not known are left out."""
    sql = f"SELECT {_COLUMNS} FROM sessions WHERE session_id IN (SELECT value FROM json_each(?))"
    items = rollup.query_as(SessionItem, sql, [codec.dump_lossy([*ids])])
    return {item.session_id: item for item in items}


def active_sessions(rollup: Rollup, since: str) -> list[SessionItem]:
    """Return the sessions with a message since then, which is text of `clock.to_text`."""
    sql = (
        f"SELECT {_COLUMNS} FROM sessions WHERE coalesce(last, '') >= ?1 AND EXISTS (SELECT 1"
        " FROM cells WHERE session = session_id AND file = ?2 AND cells.last >= ?1)"
    )
    return rollup.query_as(SessionItem, sql, [since, CONVERSATIONS.name])


def sessions_beginning(rollup: Rollup, prefix: str) -> list[SessionItem]:
    """Return some of the sessions whose ids begin so."""
    return _select(rollup, "session_id BETWEEN ?1 AND ?1 || char(1114111)", prefix)


def _select(rollup: Rollup, condition: str, value: str) -> list[SessionItem]:
    sql = f"SELECT {_COLUMNS} FROM sessions WHERE {condition} LIMIT 5"
    return rollup.query_as(SessionItem, sql, [value])
