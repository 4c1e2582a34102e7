"""The sessions of a rollup: by page, sorted and looked through, or one."""

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, get_args

from khive_persist.sessions.rollup.rollup import KEYS, Rollup
from khive_persist.store import codec

Sort = Literal["last", "started", "events", "failures", "cost", "duration"]

SORTS: Final[tuple[Sort, ...]] = get_args(Sort)

_COLUMNS: Final = (
    "session_id", "tool", "project", "model", "started", "last", "duration", "events", "failures",
    "messages", "tokens", "cost", "unpriced", "task_description", "complexity", "agent_count",
    "confidence", "planning_cost", "verdict", "title", "plans",
)  # fmt: skip


class SessionItem(NamedTuple):
    """One session, by the meanings of `sessions/definitions.py`. What is not known of it is None.

    Attributes:
        session_id: Its id.
        tool: Of its first event, else of its first message.
        project: The directory that it began in.
        model: The model that used most tokens.
        started: Its first event or message, else its first plan, text in UTC.
        last: Its last one.
        duration_seconds: From its first event or message to its last one, pauses included.
        events: How many there are.
        failures: Tool calls that failed or were refused.
        messages: How many its transcripts have.
        tokens: Of its messages, all classes together.
        cost: Of those that have a price, in USD.
        unpriced: How many have none, and are not in it.
        task_description: Of its latest plan, as are the four that follow.
        complexity: As in simple or complex.
        agent_count: How many agents were planned.
        confidence: 0 to 1 in a sound plan.
        planning_cost: In USD.
        verdict: That which counts: a person's before a rule's, the latest.
        title: The beginning of its first prompt.
        plans: How many there are, of which the latest is shown.
    """

    session_id: str
    tool: str | None
    project: str | None
    model: str | None
    started: str | None
    last: str | None
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


class SessionsWanted(NamedTuple):
    """Which sessions, and in which order. Times are text as `clock.to_text` writes it.

    Attributes:
        tool: In which this tool did something.
        since: That did something then or later.
        until: That began before.
        complexity: Of their plan.
        min_confidence: Of their plan, at least.
        max_cost: Of their plan, its `planning_cost` at most.
        verdict: That which counts.
        words: Each in the title, the task or the project, or what the id begins with; in whatever
            case.
        sort: What they are ordered by.
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
    rollup: Rollup, wanted: SessionsWanted, after: Sequence[Any] | None, limit: int
) -> tuple[list[SessionItem], Sequence[Any] | None]:
    """The sessions that pass, in order.

    Args:
        rollup: What is known.
        wanted: Which.
        after: Key and id of the last session of the page before; None for the first page.
        limit: At most so many.

    Returns:
        The sessions, and the key and id of the last one if there are more.
    """
    where, values = ["1"], []
    tests: dict[str, Any] = {
        "instr(tools, ?)": None if wanted.tool is None else f",{wanted.tool},",
        "last >= ?": wanted.since,
        "started < ?": wanted.until,
        "complexity = ?": wanted.complexity,
        "confidence >= ?": wanted.min_confidence,
        "planning_cost <= ?": wanted.max_cost,
        "verdict = ?": wanted.verdict,
    }
    for test, value in tests.items():
        if value is not None:
            where.append(test)
            values.append(value)
    if wanted.words:
        found = rollup.find(wanted.words)
        if found is None:
            where.append("has_words(session_id)")
        else:
            where.append("session_id IN (SELECT value FROM json_each(?))")
            values.append(codec.dump_lossy(found))
    key = KEYS[wanted.sort]
    order, beyond = ("DESC", "<") if wanted.descending else ("ASC", ">")
    if after is not None:
        # Both: the first lets the index begin there, the second leaves out what was shown.
        where.append(f"{key} {beyond}= ? AND ({key}, session_id) {beyond} (?, ?)")
        values += [after[0], *after]
    rows = rollup.ask(
        f"SELECT {', '.join(_COLUMNS)}, {key} FROM sessions WHERE {' AND '.join(where)}"
        f" ORDER BY {key} {order}, session_id {order} LIMIT ?",
        [*values, limit + 1],
        wanted.words,
    )
    items = [SessionItem(*row[:-1]) for row in rows[:limit]]
    if len(rows) <= limit:
        return items, None
    return items, (rows[limit - 1][-1], items[-1].session_id)


def session(rollup: Rollup, id: str) -> list[SessionItem]:
    """The session of this id, else those that carried out its plans, some at most."""
    return _found(rollup, "session_id = ?", id) or _found(rollup, "planned_by = ?", id)


def beginning(rollup: Rollup, begin: str) -> list[SessionItem]:
    """The sessions whose id begins so, some at most."""
    return _found(rollup, "session_id BETWEEN ?1 AND ?1 || char(1114111)", begin)


def _found(rollup: Rollup, where: str, value: str) -> list[SessionItem]:
    sql = f"SELECT {', '.join(_COLUMNS)} FROM sessions WHERE {where} LIMIT 5"
    return [SessionItem(*row) for row in rollup.ask(sql, [value])]
