"""`Entry`: one thing that happened in a session."""

from datetime import datetime
from typing import Any, Literal, NamedTuple

Kind = Literal[
    "plan", "prompt", "message", "thinking", "tool", "focus", "event", "gap"
]  # fmt: skip


class Entry(NamedTuple):
    """One thing that happened.

    Attributes:
        created_at: When.
        kind: What it is.
        title: It on one line.
        lines: More of it: text, a diff, the beginning of an output.
        depth: 0 for the session's own agent, 1 for one that it started, and so on.
        agent_id: Which agent; None for the session's own.
        is_failed: Whether it failed, was denied or was interrupted.
        duration_ms: How long a tool call took; None where that is not known.
        tokens: Of the session so far: all classes together.
        cost: Of the session so far, in USD; None while no message has a price.
        unpriced: How many messages so far used tokens and have no price: they are not in `cost`.
    """

    created_at: datetime
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


def said(at: datetime, kind: Kind, text: str) -> Entry:
    """Text as an entry: its first line is the title."""
    first, *rest = text.strip().splitlines() or [""]
    return Entry(at, kind, first, tuple(rest))


def content_of(record: Any) -> dict[str, Any]:
    """The content of a record; empty where it is no object."""
    content: Any = record.content
    return content if isinstance(content, dict) else {}
