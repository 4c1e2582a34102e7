"""A session as a rollup lists it, and what lists of them are sorted by."""

from typing import Final, Literal, NamedTuple, get_args

from khive_persist.clock import InstantText

Sort = Literal[
    "last", "started", "events", "failures", "cost", "duration", "title", "tool", "project",
    "model", "messages", "tokens", "complexity", "agent_count", "confidence", "planning_cost",
    "verdict", "plans",
]  # fmt: skip

SORTS: Final[tuple[Sort, ...]] = get_args(Sort)


# By which lists are sorted most: for each more, all sessions are compared.
INDEXED: Final[tuple[Sort, ...]] = ("last", "started", "events", "failures", "cost", "duration")
# A cursor has the key in it, which must not become longer than a request may be.
_KEY_CHARACTERS: Final = 200


class SortKey(NamedTuple):
    """A column by which sessions are sorted.

    Attributes:
        column: The column.
        null: The value that counts for NULL: less than any other.
        is_name: Whether it is a text to be read, whose case is no matter.
    """

    column: str
    null: str | int
    is_name: bool = False

    @property
    def sql(self) -> str:
        """The expression, which the index has."""
        if self.is_name:
            return f"substr(coalesce({self.column}, ''), 1, {_KEY_CHARACTERS}) COLLATE NOCASE"
        return f"coalesce({self.column}, {self.null!r})"


# The order keys of sessions. One without a value comes last where the largest come first.
KEYS: Final[dict[Sort, SortKey]] = {
    "last": SortKey("last", ""),
    "started": SortKey("started", ""),
    "events": SortKey("events", 0),
    "failures": SortKey("failures", 0),
    "cost": SortKey("cost", -1),
    "duration": SortKey("duration_seconds", -1),
    **{
        name: SortKey(name, "", is_name=True)
        for name in ("title", "tool", "project", "model", "complexity", "verdict")
    },
    **{
        name: SortKey(name, -1)
        for name in ("messages", "tokens", "agent_count", "confidence", "planning_cost", "plans")
    },
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
        title: Of an application's session participant and scenario, else the beginning of its first
            prompt, else of its task.
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
