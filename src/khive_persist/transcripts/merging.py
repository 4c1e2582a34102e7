"""A message from its parts, whatever order, file or session they come in."""

from collections.abc import Iterable
from typing import Any, Final

from khive_persist.transcripts.piece import Piece

_JOINED: Final = ("text", "thinking")
# Where a message was first seen; a file that repeats it changes nothing of that.
_FIRST: Final = ("session_id", "line", "transcript_path")
_LISTED: Final = ("tool_calls", "tool_results", "blocks")


def merged(content: dict[str, Any] | None, piece: Piece) -> dict[str, Any]:
    """The content of a message with one more part of it.

    A part that it has already adds nothing. `metadata.parts` names those that it has, and
    `metadata.sessions` the other sessions that have the message, too. What is only known from a
    copy says so in `metadata.is_copy`, until the original comes: that is what counts then.
    """
    if content is None:
        return _anew(piece, {})
    metadata = dict(content.get("metadata") or {})
    was_copy = metadata.get("is_copy") is True
    if was_copy and not piece.is_copy:
        return _anew(piece, _noted(metadata, content.get("session_id"), piece.fields))
    session = piece.fields.get("session_id")
    metadata = _noted(metadata, session, content)
    # Not every fork's line says that it is a copy; then the session that was read first has it.
    is_elsewhere = piece.is_whole and session != content.get("session_id")
    if not was_copy and (piece.is_copy or is_elsewhere):
        return content | {"metadata": metadata}
    parts = list(metadata.get("parts", ()))
    fields = {n: v for n, v in piece.fields.items() if n not in (*_FIRST, "metadata")}
    if piece.is_whole:
        kept = {name: content[name] for name in _FIRST if name in content}
        made = content | fields | kept
    elif piece.is_reminder or piece.part in parts:
        made = fields | content
    else:
        made = content | {n: v for n, v in fields.items() if n not in (*_JOINED, *_LISTED)}
        for name in _JOINED:
            made |= _one(name, filter(None, (content.get(name), fields.get(name))))
        for name in _LISTED:
            listed = [*content.get(name, ()), *fields.get(name, ())]
            if listed:
                made[name] = listed
    if piece.part not in parts:
        parts.append(piece.part)
    made["metadata"] = metadata | {"parts": parts}
    return made


def _anew(piece: Piece, metadata: dict[str, Any]) -> dict[str, Any]:
    copied = {"is_copy": True} if piece.is_copy else {}
    sessions = {"sessions": metadata["sessions"]} if metadata.get("sessions") else {}
    return piece.fields | {"metadata": {"parts": [piece.part]} | copied | sessions}


def _one(name: str, texts: Iterable[str]) -> dict[str, str]:
    joined = "\n".join(texts)
    return {name: joined} if joined else {}


def _noted(metadata: dict[str, Any], session: Any, home: dict[str, Any]) -> dict[str, Any]:
    """The metadata with one more session that has a message, unless that is its own."""
    own = home.get("session_id")
    sessions = [one for one in metadata.get("sessions", ()) if one != own]
    if session is not None and session != own and session not in sessions:
        sessions.append(session)
    rest = {name: value for name, value in metadata.items() if name != "sessions"}
    return rest | ({"sessions": sorted(sessions)} if sessions else {})
