"""Undo every level of escaping in a text, and map its characters back to the original.

A secret in tool output can be escaped once (JSON), twice (JSON in a JSON string), or be cut in two
by the colours of `grep`. All levels are undone at once, so that each rule is written once. A secret
is then replaced in the original, so that all else stays as it was.
"""

import re
from bisect import bisect_right
from functools import cache

_PLACEHOLDER = r"\[(REDACTED:[a-z0-9_]+:[0-9a-f]{4}\])"
# Stands for a placeholder: a noncharacter, which no secret contains. What is redacted stays so.
MARK = "\ufdd0"

_COLOUR = r"(\[[0-9;]*+[mGHJK])"
# Each alternative begins with a literal: `re` skips to those, where it would try every character.
_ESCAPE = (
    rf"\\\\*+(?:u001[bB]{_COLOUR}|u([0-9a-fA-F]{{4}})|([\"'/bfnrt]))?+"
    rf"|\x1b{_COLOUR}|{_PLACEHOLDER}"
)
# Those that are an ASCII letter in lower case.
_FOLDING = "0130|212[aA]"
# What can hide the letters of a secret, or set it too far from its name. Other escapes (\n, \")
# only stand beside them.
_HIDING = (
    rf"\\\\*+(?:u001[bB]{_COLOUR}|u(00[0-9a-fA-F]{{2}}|{_FOLDING})|(/))|\x1b{_COLOUR}|\\\\\\*+"
)
_UNICODE, _LETTER, _FOLDED, _COLOURS = 2, 3, 5, (1, 4)
_PLAIN = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
# A text with none of these hides nothing.
HIDING = ("\\/", "\\u00", "\\u0130", "\\u212a", "\x1b", "\\" * 8)


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern when it is first used: importing this package must cost little."""
    return re.compile(pattern)


@cache
def compiled_ascii(pattern: str) -> re.Pattern[str]:
    """Compile a pattern whose classes are of ASCII, when it is first used."""
    return re.compile(pattern, re.ASCII)


def _resolve(escape: re.Match[str]) -> str:
    group = escape.lastindex
    if group == _LETTER:
        letter = escape[_LETTER]
        return _PLAIN.get(letter, letter)
    if group is None:
        return "\\"
    if group == _UNICODE:
        return chr(int(escape[_UNICODE], 16))
    return MARK if group == _FOLDED else ""


def unescape(text: str) -> str:
    """Return the text with escapes of every level undone, colours and placeholders folded."""
    if "\\" in text or "\x1b" in text or "[REDACTED:" in text:
        return compiled(_ESCAPE).sub(_resolve, text)
    return text


def reveal(text: str) -> str:
    r"""Return the text without `\u00xx` or `\/` for ASCII, colours and many backslashes."""
    return compiled(_HIDING).sub(_resolve, text)


class Unescaped:
    """The text that rules search, with the position of each character in the original.

    Attributes:
        raw: The text as it was.
        flat: `unescape(raw)`.
        low: `lower(flat)`.
    """

    __slots__ = ("_ends", "_flats", "_starts", "flat", "low", "raw")

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self.flat = unescape(raw)
        self.low = lower(self.flat)
        # Of each escape: its place in `flat`, and start and end in `raw`; start is -1 where it left
        # nothing. Filled when first needed, as most texts that are looked at have no secret.
        self._flats: list[int] = []
        self._starts: list[int] = []
        self._ends: list[int] = []

    def locate(self, at: int) -> tuple[int, int]:
        """Return the span in `raw` of the character of `flat` at this index."""
        if not self._flats and self.flat is not self.raw:
            self._index()
        last = bisect_right(self._flats, at) - 1
        if last < 0:
            return at, at + 1
        has_character = self._starts[last] >= 0
        if has_character and self._flats[last] == at:
            return self._starts[last], self._ends[last]
        start = self._ends[last] + at - self._flats[last] - has_character
        return start, start + 1

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the span in `raw` of a non-empty slice of `flat`."""
        return self.locate(start)[0], self.locate(end - 1)[1]

    def _index(self) -> None:
        shift = 0
        for escape in compiled(_ESCAPE).finditer(self.raw):
            start, end = escape.span()
            has_character = escape.lastindex not in _COLOURS
            self._flats.append(start - shift)
            self._starts.append(start if has_character else -1)
            self._ends.append(end)
            shift += end - start - has_character


def lower(text: str) -> str:
    """Return the text with ASCII letters in lower case, each character at its index.

    The two other characters with such a lower case are folded, too: U+0130 and U+212A.
    """
    if text.isascii():
        return text.lower()
    text = text.replace("\u0130", "i").replace("\u212a", "k")
    # Six times as fast as to look up the case of every other letter.
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")
