"""`Entry`: one entry of a session's timeline."""

from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, Literal, NamedTuple

Kind = Literal["plan", "prompt", "message", "thinking", "tool", "focus", "event", "gap"]

MAX_RECORDS: Final = 8
_ID_BYTES: Final = 6


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
        id: Its id in the session, which stays the same when more is recorded of it.
        model: The model that wrote it, or that made the call; None where it is unknown.
        files: The paths of the files that a call names.
        records: The ids of the records that it comes from, at most 8.
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
    id: str = ""
    model: str | None = None
    files: tuple[str, ...] = ()
    records: tuple[str, ...] = ()


def entry_id(*parts: str) -> str:
    """Return the id of the entry that these parts identify: short, and safe in a URL."""
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=_ID_BYTES).hexdigest()


def of_record(entry: Entry, record_id: str, part: str = "") -> Entry:
    """Return an entry with the id and the record of what it comes from."""
    return entry._replace(id=entry_id(record_id, part), records=(record_id,))


def text_entry(at: datetime, kind: Kind, text: str) -> Entry:
    """Return a text as an entry: its first line is the title."""
    first, *lines = text.strip().splitlines() or [""]
    return Entry(at, kind, first, tuple(lines))


def content_of(record: Any) -> dict[str, Any]:
    """Return the content of a record; empty where it is no object."""
    content: Any = record.content
    return content if isinstance(content, dict) else {}


def text_in(content: Mapping[str, Any], name: str) -> str | None:
    """Return a field of a content; None where it is no text, or an empty one."""
    value = content.get(name)
    return value if isinstance(value, str) and value else None
