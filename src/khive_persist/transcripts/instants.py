"""When a line of a transcript was written: its own time, else that of its neighbours."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from khive_persist import clock
from khive_persist.tools.message_part import Piece

# Where lines have their time, the likeliest name first.
_NAMES: Final = ("timestamp", "time", "created_at", "createdAt", "ts", "at")
_NESTED: Final = ("snapshot", "payload", "data", "message")
# Larger numbers are milliseconds: in seconds that is the year 5138.
_MAX_SECONDS: Final = 100_000_000_000
# A smaller number is no time: a count, or that of a clock that was not set.
_FIRST_YEAR: Final = 2000


def instant_of(document: Any) -> str | None:
    """Give the time that a line has of itself, as UTC text; None where it has none."""
    if not isinstance(document, Mapping):
        return None
    within = (document.get(name) for name in _NESTED)
    for one in (document, *(one for one in within if isinstance(one, Mapping))):
        for name in _NAMES:
            if (at := _text(one.get(name))) is not None:
                return at
    return None


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    if isinstance(value, (int, float)) and value > _MAX_SECONDS:
        value /= 1_000
    found = clock.from_column(value)
    return None if found is None or found.year < _FIRST_YEAR else clock.to_text(found)


class Neighbours:
    """Gives lines without a time that of the line before them; at the beginning, of the next.

    Attributes:
        latest: The time of the last line that had one; empty before the first.
    """

    def __init__(self, latest: str = "") -> None:
        self.latest = latest

    def dated(self, pieces: Iterable[Piece], at: str | None) -> list[Piece]:
        """Date the pieces of a line; None stays where no line before had a time.

        Args:
            pieces: What the line says.
            at: Its own time.
        """
        self.latest = at or self.latest
        own = [(piece, _text(piece.created_at)) for piece in pieces]
        return [piece._replace(created_at=told or self.latest or None) for piece, told in own]

    def date_first(self, pieces: list[Piece], otherwise: str) -> None:
        """Date those that no line before them dates.

        Args:
            pieces: In the order of their lines; changed in place.
            otherwise: For lines among which none has a time.
        """
        following = otherwise
        for number in range(len(pieces) - 1, -1, -1):
            at = pieces[number].created_at
            if at is None:
                pieces[number] = pieces[number]._replace(created_at=following)
            else:
                following = at
