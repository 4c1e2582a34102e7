"""One session of an application in both copies, and the differences between them.

Where a copy cannot be read, a StoreError is raised, as its subclasses say, or an OSError.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from khive_persist.mirror import names, scan
from khive_persist.mirror.document import digest
from khive_persist.mirror.mirror import Mirror
from khive_persist.mirror.write_locks import turn
from khive_persist.models.purposes import (
    APPLICATION_SESSIONS,
    CONVERSATIONS,
    MEASUREMENTS,
    SCORES,
    Purpose,
)
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite import rows

PURPOSES: Final = (APPLICATION_SESSIONS, CONVERSATIONS, MEASUREMENTS, SCORES)

Rows = dict[str, StoredRow]


class Disagreement(NamedTuple):
    """One record in which the copies differ: `kind` is as `verify` says it."""

    kind: str
    purpose: str
    id: str


class SessionCopies(NamedTuple):
    """A session in both copies.

    Attributes:
        rows: Its records in the databases, by the name of the purpose and by id.
        copies: The same records in the mirror.
        disagreements: The differences; none where the mirror can restore all of the session.
    """

    rows: dict[str, Rows]
    copies: dict[str, Rows]
    disagreements: tuple[Disagreement, ...]


def compare_session(project: Project, session_id: str, settings: Settings) -> SessionCopies:
    """Compare all that is recorded of one session, while others write.

    What differs is looked at again in the turn of the writers, so that every difference is one.
    """
    mirror = Mirror(project, settings)
    copies = _compare(project, session_id, mirror)
    if not copies.disagreements:
        return copies
    with turn(project, PURPOSES):
        return _compare(project, session_id, mirror)


def is_copied(project: Project, session_id: str, settings: Settings) -> bool:
    """Return whether the mirror has a session, its own record alone, as the database has it.

    Who was killed between a commit and its copy has left the copy as it was before.
    """
    mirror = Mirror(project, settings)
    if not mirror.has(APPLICATION_SESSIONS):
        return True
    path = project.database(APPLICATION_SESSIONS.file)
    rows_by_id = {
        row[0]: row for row in rows.read_ids(path, APPLICATION_SESSIONS.table, [session_id])
    }
    if session_id not in rows_by_id:
        return True
    copies = _copies(project, APPLICATION_SESSIONS, session_id, rows_by_id, mirror)
    return not _difference(rows_by_id[session_id], copies.get(session_id))


def _compare(project: Project, session_id: str, mirror: Mirror) -> SessionCopies:
    rows_by_purpose: dict[str, Rows] = {}
    copies_by_purpose: dict[str, Rows] = {}
    disagreements: list[Disagreement] = []
    for purpose in PURPOSES:
        path = project.database(purpose.file)
        records: list[StoredRow] = []
        if path.exists():
            read_rows = rows.read_sessions if purpose.is_stream else rows.read_ids
            records = read_rows(path, purpose.table, [session_id])
        rows_by_id = rows_by_purpose[purpose.name] = {row[0]: row for row in records}
        copies = copies_by_purpose[purpose.name] = _copies(
            project, purpose, session_id, rows_by_id, mirror
        )
        disagreements += [
            Disagreement(kind, purpose.name, id)
            for id in rows_by_id.keys() | copies.keys()
            if (kind := _difference(rows_by_id.get(id), copies.get(id)))
        ]
    return SessionCopies(rows_by_purpose, copies_by_purpose, tuple(sorted(disagreements)))


def _difference(row: StoredRow | None, copy: StoredRow | None) -> str:
    if row is None:
        return "missing_in_database"
    if copy is None:
        return "missing_in_mirror"
    return "" if digest(row) == digest(copy) else "differs"


def _copies(
    project: Project, purpose: Purpose, session_id: str, rows_by_id: Rows, mirror: Mirror
) -> Rows:
    copies: Rows = {}
    for file in _files(project, purpose, session_id, rows_by_id, mirror):
        for copy in scan.read(project.sessions, file):
            if copy.problem or copy.purpose != purpose.name:
                continue
            if copy.row is None:
                copies.pop(copy.id, None)
            elif purpose.is_stream or copy.id == session_id:
                copies[copy.id] = copy.row
    return copies


def _files(
    project: Project, purpose: Purpose, session_id: str, rows_by_id: Rows, mirror: Mirror
) -> Iterator[str]:
    if not purpose.is_stream and session_id not in rows_by_id:
        # The day in its name is not known: it is looked for.
        endings = names.endings(session_id, purpose.name)
        for file in scan.files(project.sessions):
            if names.split(file, purpose) is not None and names.fits(file, endings):
                yield file
        return
    of_session = codec.dump({"session_id": session_id})
    path = mirror.path(
        purpose, rows_by_id.get(session_id, (session_id, of_session, None, None, None))
    )
    if path is not None:
        yield path.name
