"""`.khive/tombstones.json`: what was removed for good, so that no other copy brings it back.

Of a session that was purged there is a keyed hash of its id, and when that was: what it had until
then does not come back from a transcript, a backup, an import or the mirror. The tool is not in the
hash: a purge takes a session by its id, and of a transcript that was never read nobody knows whose
it is. Of a purpose that was pruned there is the time up to which nothing of it comes back from
transcripts.

The file lies beside both copies, as a rebuild or a restore replaces either. The key lies in it, for
it has to last as long as the hashes: those of redaction and of the state folder are made anew where
the folder has moved.
"""

import hashlib
import hmac
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Self

from khive_persist import clock
from khive_persist.errors import ProjectError
from khive_persist.project import Project, make_directory, write_private
from khive_persist.store.codec import StoredRow
from khive_persist.store.session_ids import session_of
from khive_persist.store.sqlite import write_lock
from khive_persist.trust import marks, signed

FILE: Final = "tombstones.json"
_LOCK: Final = "tombstones.lock"
_LOCK_SECONDS: Final = 30.0
_KEY_BYTES: Final = 32


class Pruning(NamedTuple):
    """The last prune of one purpose.

    Attributes:
        until: What is as old, or older, does not come back: UTC text.
        is_done: Whether it came to its end; killed before, the mirror may have more.
    """

    until: str
    is_done: bool


class Tombstones:
    """What was removed from a project, as the file said when it was read."""

    def __init__(
        self,
        key: bytes = b"",
        sessions: Mapping[str, str] | None = None,
        prunings: Mapping[str, Pruning] | None = None,
    ) -> None:
        self._key = key
        self._sessions = dict(sessions or {})
        self._prunings = dict(prunings or {})
        self._known: dict[str, str] = {}

    @classmethod
    def load(cls, project: Project) -> Self:
        """Read those of a project; a file that is not this user's says nothing.

        Raises:
            ProjectError: The file is there and cannot be read.
        """
        path = project.khive / FILE
        if not os.path.lexists(path) or not is_believed(project):
            return cls()
        try:
            said = signed.read(path)
            prunings = {name: Pruning(*pruning) for name, pruning in said["pruned"].items()}
            return cls(bytes.fromhex(said["key"]), said["sessions"], prunings)
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ProjectError(
                f"{path} cannot be read ({error})", hint="see to its disk"
            ) from error

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever removed."""
        return not (self._sessions or self._prunings)

    @property
    def has_sessions(self) -> bool:
        """Whether a session was ever purged."""
        return bool(self._sessions)

    def purged_until(self, session_id: str) -> str:
        """When a session was purged, as UTC text; an empty string for never."""
        if not self._sessions:
            return ""
        if session_id not in self._known:
            self._known[session_id] = self._sessions.get(_hash(self._key, session_id), "")
        return self._known[session_id]

    def pruning(self, purpose: str) -> Pruning | None:
        """The last prune of a purpose; None where there never was one."""
        return self._prunings.get(purpose)

    def is_purged(self, row: StoredRow) -> bool:
        """Whether a row is what a purged session had until its purge, or its time is unreadable."""
        if not self._sessions:
            return False
        session_id = session_of(row)
        return session_id is not None and _text(row) <= self.purged_until(session_id) != ""

    def is_pruned(self, purpose: str, row: StoredRow) -> bool:
        """Whether a row is older than what the last prune has left of its purpose."""
        pruning = self._prunings.get(purpose)
        return pruning is not None and "" < _text(row) <= pruning.until

    def without_purged(self, row: StoredRow) -> StoredRow | None:
        """Give the row, or None where it is purged: a `Change`."""
        return None if self.is_purged(row) else row

    def with_purge(self, session_id: str) -> Self:
        """Those, and that of a session that is purged now."""
        key = self._key or os.urandom(_KEY_BYTES)
        purged = {_hash(key, session_id): clock.to_text(clock.now())}
        return type(self)(key, self._sessions | purged, self._prunings)

    def with_pruning(self, purpose: str, pruning: Pruning) -> Self:
        """Those, and that of a prune; what an earlier one took does not come back, either."""
        key = self._key or os.urandom(_KEY_BYTES)
        before = self._prunings.get(purpose, pruning)
        latest = pruning._replace(until=max(pruning.until, before.until))
        return type(self)(key, self._sessions, self._prunings | {purpose: latest})

    def as_document(self) -> dict[str, Any]:
        """Give them as the file has them."""
        return {"key": self._key.hex(), "sessions": self._sessions, "pruned": self._prunings}


class CurrentTombstones:
    """Those of a project, read anew whenever the file is another one."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._seen: object = None
        self._read = Tombstones()

    def get(self) -> Tombstones:
        """Read them if the file has changed; raises as `Tombstones.load`."""
        try:
            status = os.lstat(self._project.khive / FILE)
        except FileNotFoundError:
            return Tombstones()
        seen = status.st_ino, status.st_mtime_ns, status.st_size
        if seen != self._seen:
            self._read, self._seen = Tombstones.load(self._project), seen
        return self._read


def note(project: Project, noted: Callable[[Tombstones], Tombstones]) -> None:
    """Write what is made of the tombstones of a project: synced on return.

    Raises:
        ProjectError: They cannot be read or written.
        StoreBusyError: Others held their lock for longer than 30 s.
    """
    path = project.khive / FILE
    with write_lock.held(project.khive / _LOCK, _LOCK_SECONDS):
        _set_others_aside(project)
        document = noted(Tombstones.load(project)).as_document()
        try:
            write_private(path, signed.dump(project.khive, FILE, document))
        except OSError as error:
            if isinstance(error, ProjectError):
                raise
            raise ProjectError(f"{path}: {error.strerror}") from error


def _set_others_aside(project: Project) -> None:
    """Move a file that is not this user's out of the way, to be looked at."""
    path = project.khive / FILE
    if os.path.lexists(path) and not is_believed(project):
        make_directory(project.quarantine)
        os.rename(path, project.quarantine / f"{FILE}.{clock.new_id()}")


def is_believed(project: Project) -> bool:
    """Whether this user's programs wrote the file."""
    # Where no state folder can be written no key outlasts a process: the owner's check holds alone.
    return marks.state_folder() is None or signed.is_believed(
        project.khive, FILE, project.khive / FILE
    )


def adopt(project: Project) -> None:
    """Take the file for the user's own.

    Raises:
        OSError: It cannot be read or written.
        ValueError: It is no JSON object.
    """
    document = signed.read(project.khive / FILE)
    document.pop("mac", None)
    write_private(project.khive / FILE, signed.dump(project.khive, FILE, document))


def _hash(key: bytes, session_id: str) -> str:
    content = session_id.encode("utf-8", "surrogatepass")
    return hmac.new(key, content, hashlib.sha256).hexdigest()


def _text(row: StoredRow) -> str:
    """When a row was made, as UTC text; an empty string where that cannot be read."""
    instant = clock.from_column(row[3])
    return "" if instant is None else clock.to_text(instant)
