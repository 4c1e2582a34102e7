"""The hook events of tool calls, completed by what the tool's transcript knows of their ends.

Each raises a StoreError, as its subclasses say, where the file cannot be read.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.models.event_types import POST
from khive_persist.models.purposes import Purpose
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.source import COLUMNS
from khive_persist.store.sqlite.connection import opened_reader
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.mirror_progress import Mirroring
from khive_persist.store.sqlite.sync_writer import FileWriter
from khive_persist.store.sqlite.words import quoted

_USE_ID: Final = "json_extract(content, '$.tool_use_id')"
_SESSION: Final = "json_extract(content, '$.session_id')"
_POST: Final = ", ".join(f"'{name}'" for name in POST)
_TRANSCRIPT: Final = "transcript"
_NO_END: Final = "has_no_end_event"
_FIELDS: Final = ("event_type", "success", "error", "duration_ms", "file_paths", "metadata")


class CallEnd(NamedTuple):
    """The end of a tool call, from a transcript; what that does not say is None or empty."""

    success: bool | None = None
    exit_code: int | None = None
    duration_ms: float | None = None
    ended_at: datetime | None = None
    file_paths: Sequence[str] = ()
    error: str = ""


def calls_with_events(path: Path, purpose: Purpose, ids: Iterable[str]) -> set[str]:
    """Return those of some calls, by the tool's own id, of which a hook event is recorded."""
    sql = f"SELECT DISTINCT {_USE_ID} FROM {quoted(purpose.table)} WHERE {_of_ids()}"
    with opened_reader(path) as connection, translated(path):
        return {row[0] for row in connection.execute(sql, [codec.dump_lossy([*ids])])}


def inputs_with_events(path: Path, purpose: Purpose, session: str) -> list[tuple[str, Any]]:
    """Return name and input of the calls of a session that have an event after them.

    They are for a tool whose events have no id of their call.
    """
    sql = (
        "SELECT json_extract(content, '$.tool_name'),"
        f" json_extract(content, '$.payload.tool_input') FROM {quoted(purpose.table)}"
        f" WHERE {_SESSION} = ? AND json_extract(content, '$.event_type') IN ({_POST})"
    )
    with opened_reader(path) as connection, translated(path):
        rows = connection.execute(sql, [session]).fetchall()
    return [(str(name), codec.column(text)) for name, text in rows]


def complete_events(
    path: Path,
    purpose: Purpose,
    ends: Mapping[str, CallEnd],
    busy_timeout_seconds: float,
    mirror: Mirroring,
) -> int:
    """Put into the events of calls how they ended; how many events changed.

    It is the event after the call; where there is none, the one before it. The payload stays as it
    came, and `metadata.completed_by` says where the rest is from. Committed, synced and copied on
    return; where nothing is to be changed nothing is opened for writing.

    Raises:
        StoreError: As its subclasses say; nothing was written.
        MirrorError: The second copy cannot be written.
    """
    with opened_reader(path) as connection, translated(path):
        if not _changed_rows(connection, purpose, ends):
            return 0
    with FileWriter(path, purpose, busy_timeout_seconds, mirror) as writer:
        with writer.transaction() as writing:
            rows = _changed_rows(writing.connection, purpose, ends)
            writing.upsert(rows)
        return len(rows)


def _changed_rows(
    connection: sqlite3.Connection, purpose: Purpose, ends: Mapping[str, CallEnd]
) -> list[StoredRow]:
    fields = ", ".join(f"json_extract(content, '$.{name}')" for name in _FIELDS)
    sql = (
        f"SELECT id, {_USE_ID}, created_at, {fields} FROM {quoted(purpose.table)}"
        f" WHERE {_of_ids()} ORDER BY created_at"
    )
    latest: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    stand_ins: dict[str, list[str]] = {}
    has_post: set[str] = set()
    for id, call, created_at, *values in connection.execute(sql, [codec.dump_lossy([*ends])]):
        event = dict(zip(_FIELDS, values, strict=True))
        is_post = event["event_type"] in POST
        if is_post or call not in has_post:
            latest[call] = (id, _assignments(event, created_at, ends[call], is_post=is_post))
        if is_post:
            has_post.add(call)
        elif _NO_END in str(event["metadata"]):
            stand_ins.setdefault(call, []).append(id)
    changed_rows = [
        _assigned(connection, purpose, id, assignments)
        for id, assignments in latest.values()
        if assignments
    ]
    # The event after the call has come since.
    stand_in_ids = [id for call in has_post for id in stand_ins.get(call, ())]
    return changed_rows + [_without_end(connection, purpose, id) for id in stand_in_ids]


def _assignments(
    event: Mapping[str, Any], created_at: Any, end: CallEnd, *, is_post: bool
) -> list[tuple[str, str]]:
    """Return the fields to set, each with its value as JSON."""
    updates: dict[str, Any] = {}
    recorded = codec.column(event["metadata"])
    metadata = dict(recorded) if isinstance(recorded, dict) else {}
    marks: dict[str, Any] = {}
    # What failed is never taken for a success.
    if end.success is False and event["success"] != 0:
        updates["success"] = False
        if end.error and not event["error"]:
            updates["error"] = end.error
    elif end.success is True and event["success"] is None:
        updates["success"] = True
    if end.exit_code and metadata.get("exit_code") != end.exit_code:
        marks["exit_code"] = end.exit_code
    duration = _duration_ms(event, created_at, end, is_launch=metadata.get("background") is True)
    if duration is not None and duration != event["duration_ms"]:
        updates["duration_ms"] = duration
    listed = codec.column(event["file_paths"])
    paths = listed if isinstance(listed, list) else []
    if new := [path for path in end.file_paths if path not in paths]:
        updates["file_paths"] = [*paths, *new]
    if not updates and not marks:
        return []
    marks["completed_by"] = _TRANSCRIPT
    if not is_post:
        marks[_NO_END] = True
    updates["metadata"] = metadata | marks
    return [(f"$.{name}", codec.dump_lossy(value)) for name, value in updates.items()]


def _duration_ms(
    event: Mapping[str, Any], created_at: Any, end: CallEnd, *, is_launch: bool
) -> float | None:
    """Return how long the call took; None where the event says it already, or nobody does."""
    recorded_ms = event["duration_ms"]
    if recorded_ms is not None and not is_launch:
        return None
    if end.duration_ms is not None or not is_launch or end.ended_at is None:
        return end.duration_ms
    launched_at = clock.from_column(created_at)
    if launched_at is None or end.ended_at < launched_at:
        return None
    # The event came when the call went into the background: its own time is what led there.
    seconds = (end.ended_at - launched_at).total_seconds()
    return round(seconds * 1_000 + (recorded_ms or 0), 3)


def _assigned(
    connection: sqlite3.Connection, purpose: Purpose, id: str, assignments: list[tuple[str, str]]
) -> StoredRow:
    # SQLite sets them in the text: the payload keeps the spelling that it came with.
    places = ", ".join("?, json(?)" for _ in assignments)
    values = [value for assignment in assignments for value in assignment]
    return _row_with(connection, purpose, f"json_set(content, {places})", [*values, id])


def _without_end(connection: sqlite3.Connection, purpose: Purpose, id: str) -> StoredRow:
    names = ("success", "error", "duration_ms", f"metadata.{_NO_END}", "metadata.completed_by")
    paths = ", ".join(f"'$.{name}'" for name in (*names, "metadata.exit_code"))
    return _row_with(connection, purpose, f"json_remove(content, {paths})", [id])


def _row_with(
    connection: sqlite3.Connection, purpose: Purpose, content: str, values: list[str]
) -> StoredRow:
    columns = COLUMNS.replace("content", content, 1)
    sql = f"SELECT {columns} FROM {quoted(purpose.table)} WHERE id = ?"
    return codec.as_text(connection.execute(sql, values).fetchone())


def _of_ids() -> str:
    return f"{_USE_ID} IN (SELECT value FROM json_each(?))"
