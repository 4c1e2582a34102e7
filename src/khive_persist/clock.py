"""Time and identity: UTC instants as the files spell them, and ids that sort by time."""

import os
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

# What `to_text` gives.
InstantText = Annotated[str, "instant"]
CREATED_AT_CHARACTERS: Final = len("YYYY-MM-DD HH:MM:SS.ffffff")
MOMENTS: Final = "write 2h, 3d, 2026-11-01 or 2026-11-01T10:00+01:00"
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
# Python takes such a number for a date without dashes and the time after it.
_SECONDS: Final = re.compile(r"\s*[-+]?[0-9]+\.[0-9]+\s*\Z")
_AGE: Final = re.compile(r"([0-9]{1,9})([smhdw])\Z")


def now() -> datetime:
    """Return the present instant, aware, in UTC."""
    return datetime.now(UTC)


def from_ns(nanoseconds: int) -> datetime:
    """Return the instant so many nanoseconds after the Unix epoch, cut to microseconds."""
    seconds, remainder = divmod(nanoseconds, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=remainder // 1000)


def as_utc(instant: datetime) -> datetime:
    """Return the same instant in UTC; a naive one is taken as UTC."""
    if instant.tzinfo is UTC:
        return instant
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def to_text(instant: datetime) -> str:
    """Return `YYYY-MM-DD HH:MM:SS.ffffff` in UTC, the spelling of every `created_at` we write."""
    # isoformat takes a quarter of the time of strftime, and pads years below 1000.
    return as_utc(instant).isoformat(sep=" ", timespec="microseconds")[:CREATED_AT_CHARACTERS]


def from_column(value: object) -> datetime | None:
    """Read a `created_at` of any age.

    Args:
        value: Text of ours; naive ISO text, with a space or a `T`; ISO text with an offset; epoch
            seconds as a number or as text.

    Returns:
        The instant in UTC, or None where the value is none of these.
    """
    try:
        if isinstance(value, str):
            if _SECONDS.match(value):
                return datetime.fromtimestamp(float(value), UTC)
            try:
                return as_utc(datetime.fromisoformat(value.strip()))
            except ValueError:
                return datetime.fromtimestamp(float(value), UTC)
        if isinstance(value, (int, float)):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def moment(text: str) -> datetime:
    """Return the instant that a person means: an age as in `2h`, or a date or time in ISO form.

    Without an offset it is in UTC.

    Raises:
        ValueError: It is neither, or out of range.
    """
    try:
        if age := _AGE.match(text):
            return now() - timedelta(**{_UNITS[age[2]]: int(age[1])})
        return as_utc(datetime.fromisoformat(text))
    except OverflowError as error:
        raise ValueError(f"{text!r} is out of range") from error


def duration(text: str) -> timedelta:
    """Return the time that a person means by `30m`, `2h`, `3d` or `1w`.

    Raises:
        ValueError: It is none of these, or no time at all.
    """
    age = _AGE.match(text)
    try:
        time = timedelta(**{_UNITS[age[2]]: int(age[1])}) if age else timedelta()
        now() + time
    except OverflowError as error:
        raise ValueError(f"{text!r} is out of range") from error
    if not time:
        raise ValueError(f"{text!r} is no time: write 30m, 2h, 3d or 1w")
    return time


def unreadable() -> datetime:
    """Return the instant for a `created_at` that could not be read: the Unix epoch."""
    return _EPOCH


def new_id(nanoseconds: int | None = None) -> str:
    """Return a new UUID of version 7 (RFC 9562 §5.7): time in ms, then 74 random bits.

    Ids made in order sort in order, which keeps the index on `id` dense.
    """
    milliseconds = (time.time_ns() if nanoseconds is None else nanoseconds) // 1_000_000
    tail = int.from_bytes(os.urandom(10)) & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62
    digits = f"{milliseconds:012x}{tail:020x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
