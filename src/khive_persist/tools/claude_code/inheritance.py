"""The lines of its session that an agent's file begins with: it was started with all that was said.

They may have other ids there, but they have their instants and what they say.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from khive_persist.store import codec
from khive_persist.tools.message_part import text_of

_MAX_CANDIDATES: Final = 16
_CHUNK_BYTES: Final = 1 << 20


def session_transcript(agent: Path) -> Path | None:
    """Return the transcript of the session that an agent's transcript lies under."""
    for folder in agent.parents:
        if folder.name == "subagents":
            return folder.parent.with_suffix(".jsonl")
    return None


def end_of_original(session: Path, search_start: int, document: Mapping[str, Any]) -> int | None:
    """Return where the line of a session ends that a line of its agent repeats; None without one.

    It is looked for from a byte on: an agent's lines come in the session's order.
    """
    at = text_of(document.get("timestamp"))
    if at is None:
        return None
    with suppress(OSError), session.open("rb") as file:
        for start in _lines_with(file, f'"{at}"'.encode(), search_start):
            file.seek(start)
            line = file.readline()
            original = codec.column(line)
            is_whole = line.endswith(b"\n") and isinstance(original, dict)
            if is_whole and _is_same(original, document):
                return file.tell()
    return None


def _lines_with(file: IO[bytes], word: bytes, search_start: int) -> Iterator[int]:
    """Yield the starts of the first lines that have a word; the word has no newline."""
    start = at = search_start
    overlap = b""
    count = 0
    while count < _MAX_CANDIDATES:
        file.seek(at)
        if not (chunk := file.read(_CHUNK_BYTES)):
            return
        at += len(chunk)
        text, offset = overlap + chunk, at - len(chunk) - len(overlap)
        index = text.find(word)
        while index >= 0 and count < _MAX_CANDIDATES:
            newline = text.rfind(b"\n", 0, index)
            start = offset + newline + 1 if newline >= 0 else start
            yield start
            count += 1
            index = text.find(word, index + 1)
        if (newline := text.rfind(b"\n")) >= 0:
            start = offset + newline + 1
        overlap = text[1 - len(word) :]


def _is_same(original: Mapping[str, Any], repetition: Mapping[str, Any]) -> bool:
    if any(original.get(name) != repetition.get(name) for name in ("type", "timestamp")):
        return False
    message, repeated = original.get("message"), repetition.get("message")
    if isinstance(message, Mapping) and isinstance(repeated, Mapping):
        return all(message.get(name) == repeated.get(name) for name in ("role", "content"))
    return all(
        original.get(name) == repetition.get(name) for name in ("attachment", "content", "subtype")
    )
