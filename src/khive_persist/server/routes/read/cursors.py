"""Cursors: where a page ends, as text that a client gives back and need not read."""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from khive_persist.server.http.errors import HTTPError
from khive_persist.store import codec

_INT64: Final = range(-(2**63), 2**63)


def to_text(values: Sequence[Any]) -> str:
    """Return the cursor after the item with these values."""
    return base64.urlsafe_b64encode(codec.dump(list(values)).encode()).decode().rstrip("=")


def from_text(cursor: str, *kinds: type[Any] | tuple[type[Any], ...]) -> list[Any]:
    """Return the values of a cursor, which are of these types.

    Raises:
        HTTPError: 400; it is none of this list's.
    """
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        values = codec.load(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error) as error:
        raise _wrong() from error
    if not isinstance(values, list) or len(values) != len(kinds):
        raise _wrong()
    for value, kind in zip(values, kinds, strict=True):
        if not isinstance(value, kind) or not _is_storable(value):
            raise _wrong()
    return values


def instant(seconds: float) -> datetime:
    """Return the time of a cursor, as seconds since the epoch.

    Raises:
        HTTPError: 400; it is out of range.
    """
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise _wrong() from error


def _is_storable(value: Any) -> bool:
    if isinstance(value, int):
        return value in _INT64
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrong() -> HTTPError:
    return HTTPError(
        400, "bad_parameter", "cursor is none of this list", hint="send `next` of the page before"
    )
