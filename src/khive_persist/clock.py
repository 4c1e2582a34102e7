"""Time and identity: UTC instants as the files spell them, and ids that sort by time."""

import os
import time
from datetime import UTC, datetime
from typing import Final

CREATED_AT_CHARACTERS: Final = len("YYYY-MM-DD HH:MM:SS.ffffff")
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


def now() -> datetime:
    """The present instant, aware, in UTC."""
    return datetime.now(UTC)


def from_ns(nanoseconds: int) -> datetime:
    """The instant so many nanoseconds after the Unix epoch, cut to microseconds."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)


def as_utc(instant: datetime) -> datetime:
    """The same instant in UTC; a naive one is taken as UTC."""
    if instant.tzinfo is UTC:
        return instant
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def to_text(instant: datetime) -> str:
    """`YYYY-MM-DD HH:MM:SS.ffffff` in UTC: the spelling of every `created_at` that we write."""
    # isoformat takes a quarter of the time of strftime, and pads years below 1000.
    return as_utc(instant).isoformat(sep=" ", timespec="microseconds")[:CREATED_AT_CHARACTERS]


def from_column(value: object) -> datetime | None:
    """Read a `created_at` of any age.

    Args:
        value: Our own text; naive ISO text, with a space or a `T`; ISO text with an offset; epoch
            seconds as a number or as text.

    Returns:
        The instant in UTC, or None where the value is none of these.
    """
    try:
        if isinstance(value, str):
            try:
                return as_utc(datetime.fromisoformat(value.strip()))
            except ValueError:
                return datetime.fromtimestamp(float(value), UTC)
        if isinstance(value, (int, float)):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def unreadable() -> datetime:
    """The instant that stands for a `created_at` that could not be read: the Unix epoch."""
    return _EPOCH


def new_id(nanoseconds: int | None = None) -> str:
    """A new UUID of version 7 (RFC 9562 §5.7): time in ms, then 74 random bits.

    Ids made in order sort in order, which keeps the index on `id` dense.
    """
    milliseconds = (time.time_ns() if nanoseconds is None else nanoseconds) // 1_000_000
    tail = int.from_bytes(os.urandom(10)) & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62
    digits = f"{milliseconds:012x}{tail:020x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
