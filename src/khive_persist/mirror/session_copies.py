"""One session of an application in both copies: what there is of it, and whether they agree."""

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
        copies: The same in the mirror.
        disagreements: Where they differ; none where all of it can be made again from the mirror.
    """

    rows: dict[str, Rows]
    copies: dict[str, Rows]
    disagreements: tuple[Disagreement, ...]


def compare_session(project: Project, session_id: str, settings: Settings) -> SessionCopies:
    """Compare all that is recorded of one session, while others write.

    What differs is looked at again in the turn of the writers, so that every difference is one.

    Raises:
        StoreError: As its subclasses say.
        OSError: The mirror cannot be read.
    """
    mirror = Mirror(project, settings)
    found = _look(project, session_id, mirror)
    if not found.disagreements:
        return found
    with turn(project, PURPOSES):
        return _look(project, session_id, mirror)


def is_copied(project: Project, session_id: str, settings: Settings) -> bool:
    """Whether the mirror has a session, its own record alone, as the database has it.

    Who was killed between a commit and its copy has left the copy as it was before.

    Raises:
        StoreError: As its subclasses say.
        OSError: The mirror cannot be read.
    """
    mirror = Mirror(project, settings)
    if not mirror.has(APPLICATION_SESSIONS):
        return True
    path = project.database(APPLICATION_SESSIONS.file)
    own = {row[0]: row for row in rows.read_ids(path, APPLICATION_SESSIONS.table, [session_id])}
    if session_id not in own:
        return True
    copies = _copies(project, APPLICATION_SESSIONS, session_id, own, mirror)
    return not _difference(own[session_id], copies.get(session_id))


def _look(project: Project, session_id: str, mirror: Mirror) -> SessionCopies:
    stored: dict[str, Rows] = {}
    copied: dict[str, Rows] = {}
    disagreements: list[Disagreement] = []
    for purpose in PURPOSES:
        path = project.database(purpose.file)
        found: list[StoredRow] = []
        if path.exists():
            read = rows.read_sessions if purpose.is_stream else rows.read_ids
            found = read(path, purpose.table, [session_id])
        own = stored[purpose.name] = {row[0]: row for row in found}
        copies = copied[purpose.name] = _copies(project, purpose, session_id, own, mirror)
        disagreements += [
            Disagreement(kind, purpose.name, id)
            for id in own.keys() | copies.keys()
            if (kind := _difference(own.get(id), copies.get(id)))
        ]
    return SessionCopies(stored, copied, tuple(sorted(disagreements)))


def _difference(row: StoredRow | None, copy: StoredRow | None) -> str:
    if row is None:
        return "missing_in_database"
    if copy is None:
        return "missing_in_mirror"
    return "" if digest(row) == digest(copy) else "differs"


def _copies(project: Project, purpose: Purpose, session_id: str, own: Rows, mirror: Mirror) -> Rows:
    found: Rows = {}
    for file in _files(project, purpose, session_id, own, mirror):
        for copy in scan.read(project.sessions, file):
            if copy.problem or copy.purpose != purpose.name:
                continue
            if copy.row is None:
                found.pop(copy.id, None)
            elif purpose.is_stream or copy.id == session_id:
                found[copy.id] = copy.row
    return found


def _files(
    project: Project, purpose: Purpose, session_id: str, own: Rows, mirror: Mirror
) -> Iterator[str]:
    if not purpose.is_stream and session_id not in own:
        # The day in its name is not known: it is looked for.
        endings = names.endings(session_id, purpose.name)
        for file in scan.files(project.sessions):
            if names.split(file, purpose) is not None and names.fits(file, endings):
                yield file
        return
    of_session = codec.dump({"session_id": session_id})
    path = mirror.path(purpose, own.get(session_id, (session_id, of_session, None, None, None)))
    if path is not None:
        yield path.name
