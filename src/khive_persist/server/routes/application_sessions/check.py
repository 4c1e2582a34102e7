"""`GET /v1/application_sessions/{id}/check`: whether a session is there, in both copies."""

from typing import Any, Final

import anyio.to_thread

from khive_persist.errors import NotFoundError
from khive_persist.mirror.session_copies import PURPOSES, SessionCopies, compare_session
from khive_persist.models.purposes import APPLICATION_SESSIONS
from khive_persist.project import Project
from khive_persist.server.routes.read.schemas import shape
from khive_persist.settings import Settings
from khive_persist.store import codec

_LISTED: Final = 100
CHECKED: Final = shape(
    {
        "type": "object",
        "required": ["session_id", "exists", "is_restorable", "counts", "differences"],
        "properties": {
            "session_id": {"type": "string"},
            "exists": {"type": "boolean"},
            "is_restorable": {"type": "boolean"},
            "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
            "differences": {"type": "array", "items": {"type": "object"}},
        },
    }
)


async def check(project: Project, settings: Settings, id: str) -> dict[str, Any]:
    """Return whether a session exists and can be restored, its last record, and its counts.

    Raises:
        NotFoundError: Neither copy has it.
        StoreError: As its subclasses say.
    """
    copies = await anyio.to_thread.run_sync(compare_session, project, id, settings)
    return _report(id, copies)


def _report(id: str, copies: SessionCopies) -> dict[str, Any]:
    name = APPLICATION_SESSIONS.name
    row = copies.rows[name].get(id)
    if row is None and id not in copies.copies[name]:
        raise NotFoundError(f"no session has the id {id!r}")
    content = codec.column(row[1]) if row is not None else None
    fields = content if isinstance(content, dict) else {}
    return {
        "session_id": id,
        "exists": row is not None,
        "is_restorable": not copies.disagreements,
        "status": fields.get("status"),
        "version": fields.get("version"),
        "last_saved": _last_saved(copies, fields),
        "counts": {p.table: len(copies.rows[p.name]) for p in PURPOSES[1:]},
        "differences": [disagreement._asdict() for disagreement in copies.disagreements[:_LISTED]],
    }


def _last_saved(copies: SessionCopies, fields: dict[str, Any]) -> dict[str, str] | None:
    """Return the record with the latest time of its own; of the session itself, its last update."""
    records = [
        (str(row[3]), purpose.table, id)
        for purpose in PURPOSES
        for id, row in copies.rows[purpose.name].items()
    ]
    if isinstance(at := fields.get("updated_at"), str):
        records.append((at, APPLICATION_SESSIONS.table, fields["session_id"]))
    if not records:
        return None
    at, kind, id = max(records)
    return {"at": at, "kind": kind, "id": id}
