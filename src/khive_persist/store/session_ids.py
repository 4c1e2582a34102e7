"""The session of a row, also where its content is damaged, or spells the id in another way."""

import base64
import re
from typing import Any, Final

from khive_persist.store import codec
from khive_persist.store.codec import StoredRow

UNPARSED: Final = "unparsed"
# Shorter ids stand in nearly every text: such a one counts only where it is named as the session.
SHORTEST_WORD: Final = 4
# Not within a string, where its quotes would be escaped. A value without an end may be half an id.
_NAMED: Final = re.compile(
    rb'(?<!\\)"session_id"\s*:\s*(?:("(?:[^"\\]|\\.)*")|(-?\d[\d.eE+-]*)(?=[\s,}\]]))', re.DOTALL
)
_ESCAPES: Final = {
    '"': '"', "\\": "\\", "/": "/", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t",
}  # fmt: skip
_NUMBER: Final = re.compile(r"-?\d")


def session_id(value: Any) -> str | None:
    """Return an id as `sessions` lists it: text, or a number as JSON spells it; None for none."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return codec.dump_lossy(value)
    return None


def named_in(raw: bytes) -> str | None:
    """Return the session that damaged JSON names first as its own; None where it names none."""
    # UTF-16 and UTF-32 of ASCII are that with zeros between.
    match = _NAMED.search(raw) or (_NAMED.search(raw.replace(b"\0", b"")) if b"\0" in raw else None)
    return None if match is None else _id_of(match)


def session_of(row: StoredRow) -> str | None:
    """Return the session that a row belongs to, as far as it names one."""
    content = codec.column(row[1])
    if not isinstance(content, dict):
        return None if row[1] is None else named_in(_encoded(row[1]))
    own_id = session_id(content.get("session_id"))
    if own_id is None and content.get("event_type") == UNPARSED:
        return named_in(_kept_bytes(content.get("payload")))
    return own_id


class SessionMatch:
    """Tells what belongs to one session.

    Attributes:
        id: The session's.
    """

    def __init__(self, id: str) -> None:
        """Take the id, as `sessions` lists it."""
        self.id = id
        self._bytes = _encoded(id)
        spelled = b"".join(map(_spelled, id))
        self._spelled = re.compile(spelled)
        self._word = re.compile(rb"(?<![\w\x80-\xff-])" + spelled + rb"(?![\w\x80-\xff-])")
        # What JSON escapes, and a number, may stand in many spellings.
        self._is_odd = _NUMBER.match(id) is not None or any(c in _ESCAPES or c < " " for c in id)

    def owns(self, row: StoredRow) -> bool:
        """Return whether a row is the session's.

        Of what could not be parsed, and names no session, it is where the id stands in it.
        """
        if not self._may_own(row[1] or ""):
            return False
        content = codec.column(row[1])
        if not isinstance(content, dict):
            return self.owns_bytes(_encoded(row[1] or ""))
        own_id = session_id(content.get("session_id"))
        if own_id is None and content.get("event_type") == UNPARSED:
            return self.owns_bytes(_kept_bytes(content.get("payload")))
        return own_id == self.id

    def owns_bytes(self, raw: bytes) -> bool:
        """Return whether damaged JSON is the session's: a line, a file or a payload."""
        named_id = named_in(raw)
        if named_id is not None:
            return named_id == self.id
        return len(self.id) >= SHORTEST_WORD and self._is_word_in(raw)

    def is_named_in(self, raw: bytes) -> bool:
        """Return whether a text of any form names the session, or has its id as a word."""
        if any(_id_of(match) == self.id for match in _NAMED.finditer(raw)):
            return True
        return len(self.id) >= SHORTEST_WORD and self._is_word_in(raw)

    def is_in(self, raw: bytes) -> bool:
        """Return whether the id stands in a text, in any spelling, also as a part of another."""
        if self._bytes in raw:
            return True
        return b"\\" in raw and self._spelled.search(raw) is not None

    def _is_word_in(self, raw: bytes) -> bool:
        return self._word.search(raw) is not None or (
            b"\0" in raw and self._word.search(raw.replace(b"\0", b"")) is not None
        )

    def _may_own(self, text: str) -> bool:
        """Return whether it is worth to parse a content."""
        return self._is_odd or self.id in text or "\\u" in text or '"base64"' in text


def _id_of(match: re.Match[bytes]) -> str | None:
    return session_id(codec.column((match[1] or match[2]).decode("utf-8", "replace")))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _spelled(character: str) -> bytes:
    """Return the ways in which JSON may spell a character, as a pattern."""
    units = character.encode("utf-16-be", "surrogatepass").hex()
    hexadecimal = b"".join(
        rb"\\u(?i:" + units[at : at + 4].encode() + rb")" for at in range(0, len(units), 4)
    )
    ways = [re.escape(_encoded(character)), hexadecimal]
    if character in _ESCAPES:
        ways.append(re.escape(b"\\" + _ESCAPES[character].encode()))
    return b"(?:" + b"|".join(ways) + b")"


def _kept_bytes(payload: Any) -> bytes:
    """Return the bytes of a payload that could not be parsed, as far as they were kept."""
    if not isinstance(payload, dict):
        return _encoded(payload if isinstance(payload, str) else codec.dump_lossy(payload))
    ends = payload.get("truncated")
    parts = [ends.get("head"), ends.get("tail")] if isinstance(ends, dict) else []
    texts = [text for text in (payload.get("data"), *parts) if isinstance(text, str)]
    if payload.get("encoding") != "base64":
        return b"\n".join(map(_encoded, texts)) if texts else _encoded(codec.dump_lossy(payload))
    return b"\n".join(map(_decoded, texts))


def _decoded(text: str) -> bytes:
    # What is cut off is cut at any character.
    try:
        return base64.b64decode(text[: len(text) // 4 * 4], validate=True)
    except ValueError:
        return b""
