"""`GET /v1/application_sessions/{id}/check`: whether a session is there, in both copies."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import anyio.to_thread

from khive_persist.errors import NotFoundError
from khive_persist.mirror.session_copies import (
    PURPOSES,
    Disagreement,
    SessionCopies,
    compare_session,
)
from khive_persist.models.purposes import APPLICATION_SESSIONS
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store import codec

_LISTED: Final = 100


class LastSaved(NamedTuple):
    """The record of a session with the latest time of its own."""

    at: str
    kind: str
    id: str


class SessionCheck(NamedTuple):
    """Whether a session exists and can be restored, its last record, and its counts.

    Attributes:
        counts: The number of records of each kind.
        differences: The records in which the copies differ, at most 100.
    """

    session_id: str
    exists: bool
    is_restorable: bool
    status: Any
    version: Any
    last_saved: LastSaved | None
    counts: dict[str, int]
    differences: Sequence[Disagreement]


async def check(project: Project, settings: Settings, id: str) -> SessionCheck:
    """Return whether a session exists and can be restored, its last record, and its counts.

    Raises:
        NotFoundError: Neither copy has it.
        StoreError: As its subclasses say.
    """
    copies = await anyio.to_thread.run_sync(compare_session, project, id, settings)
    return _report(id, copies)


def _report(id: str, copies: SessionCopies) -> SessionCheck:
    name = APPLICATION_SESSIONS.name
    row = copies.rows[name].get(id)
    if row is None and id not in copies.copies[name]:
        raise NotFoundError(f"no session has the id {id!r}")
    content = codec.column(row[1]) if row is not None else None
    fields = content if isinstance(content, dict) else {}
    return SessionCheck(
        id,
        row is not None,
        not copies.disagreements,
        fields.get("status"),
        fields.get("version"),
        _last_saved(copies, fields),
        {purpose.table: len(copies.rows[purpose.name]) for purpose in PURPOSES[1:]},
        copies.disagreements[:_LISTED],
    )


def _last_saved(copies: SessionCopies, fields: dict[str, Any]) -> LastSaved | None:
    """Return the latest record; the time of the session itself is that of its last update."""
    records = [
        LastSaved(str(row[3]), purpose.table, id)
        for purpose in PURPOSES
        for id, row in copies.rows[purpose.name].items()
    ]
    if isinstance(at := fields.get("updated_at"), str):
        records.append(LastSaved(at, APPLICATION_SESSIONS.table, fields["session_id"]))
    return max(records, default=None)
