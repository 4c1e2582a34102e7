"""Payloads that are longer than is kept: their ends, and what can be read of them at little cost.

Of such a payload a row has the ends, the size, the digest, and fields that are short. So the middle
of its long strings is left out before anything is parsed, which takes up to twenty times the bytes.
"""

import json
import re
from typing import Final

KEPT_END_BYTES: Final = 65_536
# A character has at most four bytes; a secret that is cut lies in the rest, which is not kept.
REACH_BYTES: Final = 5 * KEPT_END_BYTES
MARGIN_BYTES: Final = 50_000_000
FACTOR: Final = 5
SECONDS: Final = 10.0
SECONDS_A_MEGABYTE: Final = 1.0
_LIGHT_BYTES: Final = 1 << 20
_LITERAL: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_WHOLE_ITEMS: Final = re.compile(rb'"(?:[^"\\]++|\\u[0-9a-fA-F]{4}|\\[^u])*+', re.DOTALL)
_HALF_PAIR_AT_END: Final = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\Z")
# With what is left of the other half, where the cut is inside of that.
_HALF_PAIR: Final = re.compile(rb"u?[0-9a-fA-F]{0,4}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_FOUR_BYTES: Final = re.compile(rb"[\xf0-\xf7]")


def shorten(raw: bytes) -> bytes:
    """Leave out the middle of long strings of a JSON document; it stays one.

    One that is not in UTF-8 stays as it is. Its first and last `KEPT_END_BYTES` characters stay.
    """
    if not json.detect_encoding(raw).startswith("utf-8"):
        return raw
    pieces: list[bytes] = []
    position = 0
    for literal in _LITERAL.finditer(raw):
        start, end = literal.span()
        if end - start > 2 * REACH_BYTES:
            pieces += raw[position:start], _head(raw[start : start + REACH_BYTES])
            position = _tail(raw, end - REACH_BYTES, end)
    return b"".join([*pieces, raw[position:]]) if pieces else raw


def is_heavy(raw: bytes) -> bool:
    """Return whether reading a payload may take more memory than `most_bytes`.

    The answer is quick, and careful.
    """
    if len(raw) < _LIGHT_BYTES:
        return False
    raw = shorten(raw)
    wide = 16 if _FOUR_BYTES.search(raw) else 4 if raw.isascii() else 8
    values = 90 * (raw.count(b",") + raw.count(b"[")) + 250 * raw.count(b"{")
    return values + wide * len(raw) > most_bytes(len(raw))


def most_bytes(size: int) -> int:
    """Return how much memory the reading of an event of some size may take."""
    return FACTOR * size + MARGIN_BYTES


def most_seconds(size: int) -> float:
    """Return how much of a processor's time the reading of an event of some size may take."""
    return SECONDS + SECONDS_A_MEGABYTE * size / 1e6


def ends(raw: bytes) -> tuple[bytes, bytes] | None:
    """Return the ends of bytes that are long, each longer than is kept; None for others."""
    if len(raw) <= 2 * REACH_BYTES:
        return None
    return _whole_characters(raw[:REACH_BYTES]), raw[_character(raw, len(raw) - REACH_BYTES) :]


def _head(start: bytes) -> bytes:
    items = _WHOLE_ITEMS.match(start)
    head = start if items is None else items[0]
    return _HALF_PAIR_AT_END.sub(b"", _whole_characters(head))


def _whole_characters(head: bytes) -> bytes:
    """Leave out the last character of UTF-8, which may be a part of one."""
    end = len(head)
    while end and len(head) - end < 4 and head[end - 1] & 0xC0 == 0x80:
        end -= 1
    return head[: end - 1] if end and head[end - 1] >= 0xC0 else head


def _character(raw: bytes, at: int) -> int:
    """Return where the next character of UTF-8 begins."""
    for index in range(at, min(at + 4, len(raw))):
        if raw[index] & 0xC0 != 0x80:
            return index
    return at


def _tail(raw: bytes, at: int, end: int) -> int:
    """Return where a string may go on: at no part of an escape or a character."""
    slashes = at
    while raw[slashes - 1] == ord("\\"):
        slashes -= 1
    at = _character(raw, at + (at - slashes) % 2)
    match = _HALF_PAIR.match(raw, at, end)
    return match.end() if match else at
