"""Rows of ours as those of PostgreSQL."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from khive_persist import clock
from khive_persist.errors import InvalidRecordError
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.postgres.documents import document, no_document

COLUMNS: Final = (
    "id", "session", "content", "content_text", "node_metadata", "created_at", "created_at_text",
    "embedding",
)  # fmt: skip
TYPES: Final = ("text", "text", "jsonb", "text", "json", "timestamptz", "text", "json")
_OURS: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}")
# Of what is no JSON in a column that holds JSON alone.
_NO_SESSION: Final = ""

PostgresRow = tuple[
    str, str, str | None, str | None, str | None, datetime | None, str | None, str | None
]


def to_postgres(row: StoredRow) -> PostgresRow:
    """Return the columns of a row.

    Raises:
        InvalidRecordError: Its text has a NUL that no escape of JSON spells.
    """
    id, content, metadata, created_at, embedding = row
    if content is not None and "\0" in content:
        raise InvalidRecordError("content has a NUL, which PostgreSQL cannot hold")
    instant, is_ours = _instant(created_at)
    spelled = created_at if isinstance(created_at, str) else repr(created_at)
    session, queried = _of_content(content)
    return (
        id,
        session,
        queried,
        content,
        _json(metadata),
        instant,
        None if is_ours or created_at is None else spelled,
        _json(embedding),
    )


def by_id(rows: Sequence[PostgresRow]) -> list[PostgresRow]:
    """Return the last row of each id, in the order of ids: so two writers do not await each other.

    The time of the first stays.
    """
    last: dict[str, PostgresRow] = {}
    for row in rows:
        if (first := last.get(row[0])) is not None:
            row = (*row[:5], *first[5:7], row[7])
        last[row[0]] = row
    return [last[id] for id in sorted(last)]


def columns(rows: Sequence[PostgresRow]) -> list[list[Any]]:
    """Return rows as arrays, one a column."""
    return [list(column) for column in zip(*rows, strict=True)]


def _instant(created_at: Any) -> tuple[datetime | None, bool]:
    """Return the instant of a `created_at`, and whether it is spelled as ours."""
    if isinstance(created_at, str) and _OURS.fullmatch(created_at):
        try:
            return datetime.fromisoformat(created_at).replace(tzinfo=UTC), True
        except ValueError:
            pass
    return clock.from_column(created_at), False


def _of_content(content: str | None) -> tuple[str, str | None]:
    """Return the session that a content names, and the document to query it by."""
    if content is None:
        return _NO_SESSION, None
    try:
        value = codec.load(content)
    except ValueError:
        return _NO_SESSION, no_document(content)
    session = value.get("session_id") if isinstance(value, dict) else None
    name = session.replace("\0", "�") if isinstance(session, str) else _NO_SESSION
    return name, document(content)


def _json(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        codec.load(text)
    except ValueError:
        return json.dumps(text)
    return text
