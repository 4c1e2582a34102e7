"""`Entry`: one entry of a session's timeline."""

from datetime import datetime
from typing import Any, Literal, NamedTuple

Kind = Literal["plan", "prompt", "message", "thinking", "tool", "focus", "event", "gap"]


class Entry(NamedTuple):
    """One entry of a timeline.

    Attributes:
        at: Its time.
        kind: Its kind.
        title: Its summary, on one line.
        lines: Its details: text, a diff, the beginning of an output.
        depth: 0 for the session's own agent, 1 for one that it started, and so on.
        agent_id: Its agent; None for the session's own.
        is_failed: Whether it failed, was denied or was interrupted.
        duration_ms: The duration of a tool call; None where it is unknown.
        tokens: The tokens of the session so far, all classes together.
        cost: The cost of the session so far, in USD; None while no message has a price.
        unpriced: The number of messages so far that used tokens and have no price, and are not in
            `cost`.
    """

    at: datetime
    kind: Kind
    title: str
    lines: tuple[str, ...] = ()
    depth: int = 0
    agent_id: str | None = None
    is_failed: bool = False
    duration_ms: float | None = None
    tokens: int = 0
    cost: float | None = None
    unpriced: int = 0


def text_entry(at: datetime, kind: Kind, text: str) -> Entry:
    """Return a text as an entry: its first line is the title."""
    first, *lines = text.strip().splitlines() or [""]
    return Entry(at, kind, first, tuple(lines))


def content_of(record: Any) -> dict[str, Any]:
    """Return the content of a record; empty where it is no object."""
    content: Any = record.content
    return content if isinstance(content, dict) else {}
