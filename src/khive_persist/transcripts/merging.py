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
    `metadata.sessions` the other sessions that have the message, too.
    """
    if content is None:
        return piece.fields | {"metadata": {"parts": [piece.part]}}
    metadata = dict(content.get("metadata") or {})
    _note_session(metadata, content, piece)
    parts = list(metadata.get("parts", ()))
    fields = {n: v for n, v in piece.fields.items() if n not in (*_FIRST, "metadata")}
    if piece.is_whole:
        kept = {name: content[name] for name in _FIRST if name in content}
        made = content | fields | kept
    elif piece.part in parts:
        made = dict(content)
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


def _one(name: str, texts: Iterable[str]) -> dict[str, str]:
    joined = "\n".join(texts)
    return {name: joined} if joined else {}


def _note_session(metadata: dict[str, Any], content: dict[str, Any], piece: Piece) -> None:
    session = piece.fields.get("session_id")
    if session is None or session == content.get("session_id"):
        return
    sessions = list(metadata.get("sessions", ()))
    if session not in sessions:
        metadata["sessions"] = [*sessions, session]
