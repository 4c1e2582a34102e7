"""Merge the parts of a message, whatever order, file or session they come in."""

from typing import Any, Final

from khive_persist.tools.message_part import MessagePart

_JOINED: Final = ("text", "thinking")
# Where a message was first seen; a file that repeats it changes nothing of that.
_FIRST: Final = ("session_id", "line", "transcript_path")
_LISTED: Final = ("tool_calls", "tool_results", "blocks")
# What belongs to one count of tokens.
_USED: Final = ("usage", "tokens", "web_searches", "speed", "prompt_tokens")


def merged(content: dict[str, Any] | None, part: MessagePart) -> dict[str, Any]:
    """Return the content of a message with one more part of it.

    A part that it has already adds nothing, and so does one of another session or agent: of those
    that have a message, one said it, and the others repeat it. `metadata.parts` names the parts
    that it has, and `metadata.sessions` the other sessions that have the message, too. What is only
    known from a copy says so in `metadata.is_copy`, until the original comes: that is what counts
    then, but for the usage: the larger one is that of the whole answer.
    """
    if content is None:
        return _anew(part, {})
    metadata = dict(content.get("metadata") or {})
    session = part.fields.get("session_id")
    claim = _claim(content, is_copy=metadata.get("is_copy") is True)
    if _claim(part.fields, is_copy=part.is_copy) > claim:
        noted = _noted(metadata, content.get("session_id"), part.fields)
        return _anew(part, noted) | _larger_usage(content, part.fields)
    metadata = _noted(metadata, session, content)
    if _is_another(session, content.get("session_id")) or _is_another(
        part.fields.get("agent_id"), content.get("agent_id")
    ):
        return content | {"metadata": metadata} | _larger_usage(part.fields, content)
    part_ids = list(metadata.get("parts", ()))
    fields = {n: v for n, v in part.fields.items() if n not in (*_FIRST, "metadata")}
    if part.is_whole:
        first_seen = {name: content[name] for name in _FIRST if name in content}
        result = content | fields | first_seen
    elif part.is_reminder or part.part_id in part_ids:
        result = fields | content
    else:
        result = content | {n: v for n, v in fields.items() if n not in (*_JOINED, *_LISTED)}
        for name in _JOINED:
            if joined := "\n".join(filter(None, (content.get(name), fields.get(name)))):
                result[name] = joined
        for name in _LISTED:
            listed = [*content.get(name, ()), *fields.get(name, ())]
            if listed:
                result[name] = listed
    if part.part_id not in part_ids:
        part_ids.append(part.part_id)
    result |= _larger_usage(content, result) | _larger_usage(part.fields, result)
    result["metadata"] = metadata | {"parts": part_ids}
    return result


def _claim(fields: dict[str, Any], *, is_copy: bool) -> tuple[bool, bool, bool]:
    """Rank who has a message by how likely it is that it said it.

    A session that goes on in the background, and an agent that begins with what was said before it,
    repeat the lines of the other, and no line says so.
    """
    return not is_copy, not fields.get("session_kind"), not fields.get("agent_id")


def _is_another(value: Any, other: Any) -> bool:
    return value is not None and value != other


def _larger_usage(fields: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return the usage where it is more than the other's: a line may come before its end."""
    if _total(fields) <= _total(other):
        return {}
    return {name: fields[name] for name in _USED if name in fields}


def _total(fields: dict[str, Any]) -> int:
    tokens = fields.get("tokens")
    counts = tokens.items() if isinstance(tokens, dict) else ()
    return sum(n for name, n in counts if name != "reasoning" and isinstance(n, int))


def _anew(part: MessagePart, metadata: dict[str, Any]) -> dict[str, Any]:
    copied = {"is_copy": True} if part.is_copy else {}
    sessions = {"sessions": metadata["sessions"]} if metadata.get("sessions") else {}
    return part.fields | {"metadata": {"parts": [part.part_id]} | copied | sessions}


def _noted(metadata: dict[str, Any], session: Any, home: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata with one more session that has a message, unless that is its own."""
    home_session = home.get("session_id")
    sessions = [other for other in metadata.get("sessions", ()) if other != home_session]
    if session is not None and session != home_session and session not in sessions:
        sessions.append(session)
    other_metadata = {name: value for name, value in metadata.items() if name != "sessions"}
    return other_metadata | ({"sessions": sorted(sessions)} if sessions else {})
