"""A text with every level of escaping undone, and the way back to the text as it was.

A secret in tool output can be escaped once (JSON), twice (JSON in a JSON string), or be cut in two
by the colours of `grep`. All levels are undone at once, so that each rule is written once; what is
found is then replaced in the text as it was, so that all else stays as it was.
"""

import re
from bisect import bisect_right
from functools import cache

_PLACEHOLDER = r"\[REDACTED:[a-z0-9_]+:[0-9a-f]{4}\]"
# Stands for a placeholder: a noncharacter, which no secret contains. What is redacted stays so.
MARK = "\ufdd0"

_ESCAPE = (
    r"((?:\\++u001[bB]|\x1b)\[[0-9;]*+[mGHJK])"
    rf"|({_PLACEHOLDER})"
    r"|\\++(?:u([0-9a-fA-F]{4})|([\"'/bfnrt]))?+"
)
_PLAIN = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
# What can hide the letters of a secret. Other escapes (\n, \") only stand beside them.
_HIDING = r"\\(?:/|u00)"


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern when it is first used: importing this package must cost little."""
    return re.compile(pattern)


def _resolve(escape: re.Match[str]) -> str:
    match escape.lastindex:
        case 1:
            return ""
        case 2:
            return MARK
        case 3:
            return chr(int(escape[3], 16))
        case 4:
            return _PLAIN.get(escape[4], escape[4])
    return "\\"


def unescape(text: str) -> str:
    """The text with escapes of every level undone, terminal colours and placeholders folded."""
    if "\\" in text or "\x1b" in text or "[REDACTED:" in text:
        return compiled(_ESCAPE).sub(_resolve, text)
    return text


def may_hide(text: str) -> bool:
    r"""Whether an ASCII character may be spelt `\u00xx` or `\/`, or be followed by a colour."""
    return "\x1b" in text or ("\\" in text and compiled(_HIDING).search(text) is not None)


class Unescaped:
    """The text that rules are searched in, with the place of each character in the original.

    Attributes:
        raw: The text as it was.
        flat: `unescape(raw)`.
        low: `flat` in lower case, character for character.
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
        """Start and end in `raw` of the character of `flat` at this index."""
        if not self._flats and self.flat is not self.raw:
            self._index()
        last = bisect_right(self._flats, at) - 1
        if last < 0:
            return at, at + 1
        kept = self._starts[last] >= 0
        if kept and self._flats[last] == at:
            return self._starts[last], self._ends[last]
        start = self._ends[last] + at - self._flats[last] - kept
        return start, start + 1

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Start and end in `raw` of a non-empty slice of `flat`."""
        return self.locate(start)[0], self.locate(end - 1)[1]

    def _index(self) -> None:
        shift = 0
        for escape in compiled(_ESCAPE).finditer(self.raw):
            start, end = escape.span()
            kept = escape.lastindex != 1
            self._flats.append(start - shift)
            self._starts.append(start if kept else -1)
            self._ends.append(end)
            shift += end - start - kept


def lower(text: str) -> str:
    """The text in lower case, each character in its place: only U+0130 would become two."""
    low = text.lower()
    return low if len(low) == len(text) else text.replace("\u0130", "i").lower()
