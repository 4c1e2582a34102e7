"""Date the lines of a transcript: by their own time, else by that of their neighbours."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from khive_persist import clock
from khive_persist.tools.message_part import MessagePart

# Where lines have their time, the likeliest name first.
_NAMES: Final = ("timestamp", "time", "created_at", "createdAt", "ts", "at")
_NESTED: Final = ("snapshot", "payload", "data", "message")
# Larger numbers are milliseconds: in seconds that is the year 5138.
_MAX_SECONDS: Final = 100_000_000_000
# A smaller number is no time: a count, or that of a clock that was not set.
_FIRST_YEAR: Final = 2000


def instant_of(document: Any) -> str | None:
    """Return the time that a line has itself, as UTC text; None where it has none."""
    if not isinstance(document, Mapping):
        return None
    within = (document.get(name) for name in _NESTED)
    for mapping in (document, *(mapping for mapping in within if isinstance(mapping, Mapping))):
        for name in _NAMES:
            if (at := _text(mapping.get(name))) is not None:
                return at
    return None


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    if isinstance(value, (int, float)) and value > _MAX_SECONDS:
        value /= 1_000
    instant = clock.from_column(value)
    return None if instant is None or instant.year < _FIRST_YEAR else clock.to_text(instant)


class Neighbours:
    """Gives lines without a time that of the line before them; at the beginning, of the next.

    Attributes:
        latest: The time of the last line that had one; empty before the first.
    """

    def __init__(self, latest: str = "") -> None:
        self.latest = latest

    def dated(self, parts: Iterable[MessagePart], at: str | None) -> list[MessagePart]:
        """Date the parts of a line; None stays where no line before had a time."""
        self.latest = at or self.latest
        timed = [(part, _text(part.created_at)) for part in parts]
        return [part._replace(created_at=time or self.latest or None) for part, time in timed]

    def date_first(self, parts: list[MessagePart], otherwise: str) -> None:
        """Date, in place, those that no line before them dates: by the next, else otherwise."""
        following = otherwise
        for number in range(len(parts) - 1, -1, -1):
            at = parts[number].created_at
            if at is None:
                parts[number] = parts[number]._replace(created_at=following)
            else:
                following = at
