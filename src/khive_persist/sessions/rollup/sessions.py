"""The sessions of a rollup: by page, sorted and filtered, or one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

from khive_persist.clock import InstantText
from khive_persist.models.criteria import CRITERIA, OF_PLANS
from khive_persist.store import codec

if TYPE_CHECKING:
    from khive_persist.sessions.rollup.rollup import Rollup

Sort = Literal["last", "started", "events", "failures", "cost", "duration"]

SORTS: Final[tuple[Sort, ...]] = get_args(Sort)


class SortKey(NamedTuple):
    """A column by which sessions are sorted, and what counts for NULL: less than any value."""

    column: str
    null: str | int

    @property
    def sql(self) -> str:
        """The expression that the index has."""
        return f"coalesce({self.column}, {self.null!r})"


# The order keys of sessions. One without a value comes last where the largest come first.
KEYS: Final[dict[Sort, SortKey]] = {
    "last": SortKey("last", ""),
    "started": SortKey("started", ""),
    "events": SortKey("events", 0),
    "failures": SortKey("failures", 0),
    "cost": SortKey("cost", -1),
    "duration": SortKey("duration_seconds", -1),
}


class SessionItem(NamedTuple):
    """One session, by the meanings of `sessions/definitions.py`; an unknown field is None.

    Attributes:
        session_id: Its id.
        tool: The tool of its first event, else of its first message.
        project: The directory that it began in.
        model: The model that used most tokens.
        started: The time of its first event or message, else of its first plan.
        last: The time of its last one.
        duration_seconds: The time from its first event or message to its last, pauses included.
        events: The number of its events.
        failures: The number of tool calls that failed or were refused.
        messages: The number of messages in its transcripts.
        tokens: The tokens of its messages, all classes together.
        cost: The cost of those that have a price, in USD.
        unpriced: The number of those that have none, and are not in `cost`.
        task_description: The task of its latest plan, as are the four that follow.
        complexity: A word, as simple or complex.
        agent_count: The number of planned agents.
        confidence: A number, 0 to 1 in a sound plan.
        planning_cost: The cost of planning, in USD.
        verdict: The verdict that counts: a person's before a rule's, the latest.
        title: The beginning of its first prompt.
        plans: The number of its plans, of which the latest is shown.
    """

    session_id: str
    tool: str | None
    project: str | None
    model: str | None
    started: InstantText | None
    last: InstantText | None
    duration_seconds: float | None
    events: int
    failures: int
    messages: int
    tokens: int
    cost: float | None
    unpriced: int
    task_description: str | None
    complexity: str | None
    agent_count: float | None
    confidence: float | None
    planning_cost: float | None
    verdict: str | None
    title: str | None
    plans: int


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
        verdict: The verdict that counts.
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
    verdict: str | None = None
    words: Sequence[str] = ()
    sort: Sort = "last"
    descending: bool = True


def sessions(
    rollup: "Rollup", query: SessionQuery, previous: Sequence[Any] | None, limit: int
) -> tuple[list[SessionItem], Sequence[Any] | None]:
    """Return the sessions that fulfil a query, in order.

    Args:
        rollup: The sums.
        query: The conditions and the order.
        previous: Key and id of the last session of the page before; None for the first page.
        limit: The most sessions.

    Returns:
        The sessions, and the key and id of the last one if there are more.
    """
    conditions, values = ["1"], []
    tests: dict[str, Any] = {
        "instr(tools, ?)": None if query.tool is None else f",{query.tool},",
        "last >= ?": query.since,
        "started < ?": query.until,
        **{CRITERIA[name].sql: getattr(query, name) for name in OF_PLANS},
        "verdict = ?": query.verdict,
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
    sort_key = KEYS[query.sort]
    key = sort_key.sql
    order, beyond = ("DESC", "<") if query.descending else ("ASC", ">")
    if previous is not None:
        # Both: the first lets the index begin there, the second leaves out the page before.
        conditions.append(f"{key} {beyond}= ? AND ({key}, session_id) {beyond} (?, ?)")
        values += [previous[0], *previous]
    items = rollup.query_as(
        SessionItem,
        f"SELECT {_COLUMNS} FROM sessions WHERE {' AND '.join(conditions)}"
        f" ORDER BY {key} {order}, session_id {order} LIMIT ?",
        [*values, limit + 1],
        query.words,
    )
    if len(items) <= limit:
        return items, None
    last = items[limit - 1]
    value = getattr(last, sort_key.column)
    return items[:limit], (sort_key.null if value is None else value, last.session_id)


def session(rollup: "Rollup", id: str) -> list[SessionItem]:
    """Return the session of this id, else some of those that carried out its plans."""
    return _select(rollup, "session_id = ?", id) or _select(rollup, "planned_by = ?", id)


def sessions_beginning(rollup: "Rollup", prefix: str) -> list[SessionItem]:
    """Return some of the sessions whose ids begin so."""
    return _select(rollup, "session_id BETWEEN ?1 AND ?1 || char(1114111)", prefix)


def _select(rollup: "Rollup", condition: str, value: str) -> list[SessionItem]:
    sql = f"SELECT {_COLUMNS} FROM sessions WHERE {condition} LIMIT 5"
    return rollup.query_as(SessionItem, sql, [value])
