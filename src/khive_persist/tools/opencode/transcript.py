"""The sessions of OpenCode and its forks: rows of a SQLite database, `session`, `message`, `part`.

A line is a message as JSON, with its parts; it comes again as it goes on. A tool call stands with
its result in one part. A subagent has a session of its own, that names its parent.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from khive_persist import clock
from khive_persist.store.sqlite.session_database import Row, SessionDatabase
from khive_persist.tools.injected import PROMPT
from khive_persist.tools.message_part import (
    Line,
    MessagePart,
    count_in,
    mapping_of,
    mappings_in,
    present,
    text_of,
)
from khive_persist.tools.opencode.hooks import INVALID
from khive_persist.tools.transcript_files import in_database

# What no path of parents in sound data is longer than.
_MOST_PARENTS: Final = 64
_MOST_MS: Final = 1e14
# Its words for how a call stands, in ours.
_STATUSES: Final = {
    "pending": "scheduled",
    "running": "executing",
    "completed": "success",
    "error": "error",
}
# What the client says in a part while it gets ready, and takes back.
_LIFECYCLE: Final = "kilocode.lifecycle"


def state_of(path: Path) -> dict[str, Any]:
    """Return what a session's row tells: the session that it belongs to, and whose subagent it is.

    Raises:
        OSError: There is no such database.
        StoreError: It cannot be read.
    """
    place = in_database(path)
    if place is None:
        return {}
    with SessionDatabase(place.database) as database:
        ancestors = _ancestors(database, place.session_id)
    own, parents = ancestors[0], ancestors[1:]
    is_agent = bool(parents)
    return present(
        session_id=str(ancestors[-1].get("id")),
        agent_id=place.session_id if is_agent else None,
        agent_type=text_of(own.get("agent")) if is_agent else None,
        parent_agent_id=str(parents[0].get("id")) if len(parents) > 1 else None,
        parent_is_session=True if len(parents) == 1 else None,
        cwd=text_of(own.get("directory")),
    )


def _ancestors(database: SessionDatabase, session_id: str) -> list[Row]:
    """Return a session, its parent, and so on, as far as they are there."""
    rows = [database.session(session_id) or {"id": session_id}]
    while len(rows) < _MOST_PARENTS and (parent := text_of(rows[-1].get("parent_id"))):
        row = database.session(parent)
        rows.append(row or {"id": parent})
    return rows


class Reader:
    """Reads the messages of one session.

    Attributes:
        state: The session, and whose subagent it is.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def read(self, document: Mapping[str, Any]) -> Line:
        kind = str(document.get("type"))
        id = text_of(document.get("id"))
        if kind != "message":
            return Line(kind, is_known=False)
        if id is None:
            # It was taken back.
            return Line(kind)
        data = mapping_of(document.get("data"))
        parts = mappings_in(document.get("parts"))
        fields = self._common() | _fields(data, [mapping_of(part.get("data")) for part in parts])
        fields["message_id"] = id
        at = _instant(mapping_of(data.get("time")).get("created"))
        at = at or _instant(document.get("time_created"))
        is_known = data.get("role") in ("user", "assistant")
        return Line(kind, (MessagePart(id, id, fields, at, is_whole=True),), is_known)

    def _common(self) -> dict[str, Any]:
        names = ("session_id", "agent_id", "agent_type", "parent_agent_id", "parent_is_session")
        return {name: self.state[name] for name in (*names, "cwd") if name in self.state}


def _fields(data: Mapping[str, Any], parts: list[Mapping[str, Any]]) -> dict[str, Any]:
    role = str(data.get("role"))
    steps = [part for part in parts if part.get("type") == "step-finish"]
    counts = [mapping_of(step.get("tokens")) for step in steps]
    # A message of several steps has the tokens of the last.
    counts = counts or [mapping_of(data.get("tokens"))]
    is_answer = role == "assistant"
    error = mapping_of(data.get("error"))
    model = text_of(data.get("modelID")) or text_of(mapping_of(data.get("model")).get("modelID"))
    return present(
        role=role,
        kind=_kind(data, parts),
        text=_text(parts),
        thinking="\n".join(filter(None, map(_text_in, _of_type(parts, "reasoning")))),
        tool_calls=[_call(part) for part in _of_type(parts, "tool")],
        model=model if is_answer else None,
        provider=text_of(data.get("providerID")),
        mode=text_of(data.get("agent")) or text_of(data.get("mode")),
        parent_id=text_of(data.get("parentID")),
        stop_reason=text_of(data.get("finish")) or text_of(error.get("name")),
        error=text_of(mapping_of(error.get("data")).get("message")),
        usage=_usage(data) if is_answer else None,
        tokens=_tokens(counts) if is_answer else None,
    )


def _kind(data: Mapping[str, Any], parts: list[Mapping[str, Any]]) -> str:
    if data.get("summary") is True or _of_type(parts, "compaction"):
        return "compaction"
    texts = _of_type(parts, "text")
    is_injected = data.get("role") == "user" and texts and all(map(_is_synthetic, texts))
    return "context" if is_injected else PROMPT


def _text(parts: list[Mapping[str, Any]]) -> str:
    """Return what was said, without what the client adds for the model where there is other."""
    texts = [part for part in _of_type(parts, "text") if not _is_transient(part)]
    said = [part for part in texts if not _is_synthetic(part)] or texts
    return "\n".join(filter(None, map(_text_in, said)))


def _text_in(part: Mapping[str, Any]) -> str:
    return text_of(part.get("text")) or ""


def _is_synthetic(part: Mapping[str, Any]) -> bool:
    return part.get("synthetic") is True


def _is_transient(part: Mapping[str, Any]) -> bool:
    return _LIFECYCLE in mapping_of(part.get("metadata"))


def _of_type(parts: list[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    return [part for part in parts if part.get("type") == kind]


def _call(part: Mapping[str, Any]) -> dict[str, Any]:
    state = mapping_of(part.get("state"))
    metadata = mapping_of(state.get("metadata"))
    status = _STATUSES.get(str(state.get("status")), "executing")
    is_ended = status in ("success", "error")
    output = state.get("error") if status == "error" else state.get("output")
    path = mapping_of(state.get("input")).get("filePath")
    call = {
        "tool_use_id": part.get("callID"),
        "name": part.get("tool"),
        "input": state.get("input"),
        "status": status,
    }
    if is_ended:
        code = metadata.get("exit")
        has_code = isinstance(code, int) and not isinstance(code, bool)
        is_failed = status == "error" or part.get("tool") == INVALID or (has_code and code != 0)
        call |= {"result": output, "is_error": is_failed} | (
            {"exit_code": code} if has_code else {}
        )
    return call | present(
        **_times(mapping_of(state.get("time"))),
        file_paths=[path] if isinstance(path, str) and path else None,
        spawned_agent_id=text_of(metadata.get("sessionId")),
    )


def _times(time: Mapping[str, Any]) -> dict[str, Any]:
    start, end = time.get("start"), time.get("end")
    ended_at = _instant(end)
    if ended_at is None or _instant(start) is None:
        return {"ended_at": ended_at}
    return {"ended_at": ended_at, "duration_ms": max(0, end - start)}  # type: ignore[operator]


def _usage(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the client's own numbers: its tokens, and what it takes for the cost in USD."""
    tokens, cost = data.get("tokens"), data.get("cost")
    has_cost = isinstance(cost, int | float) and not isinstance(cost, bool)
    usage = dict(tokens) if isinstance(tokens, Mapping) else {}
    return usage | ({"cost": cost} if has_cost else {})


def _tokens(counts: list[Mapping[str, Any]]) -> dict[str, int]:
    """Sum the tokens of each kind: its output is without the reasoning."""
    caches = [mapping_of(count.get("cache")) for count in counts]
    reasoning = sum(count_in(count, "reasoning") for count in counts)
    return {
        "input": sum(count_in(count, "input") for count in counts),
        "cache_read": sum(count_in(cache, "read") for cache in caches),
        "cache_write": sum(count_in(cache, "write") for cache in caches),
        "output": sum(count_in(count, "output") for count in counts) + reasoning,
        "reasoning": reasoning,
    }


def _instant(milliseconds: Any) -> str | None:
    is_number = isinstance(milliseconds, int | float) and not isinstance(milliseconds, bool)
    if not is_number or not 0 < milliseconds < _MOST_MS:
        return None
    return clock.to_text(clock.from_ns(int(milliseconds) * 1_000_000))
