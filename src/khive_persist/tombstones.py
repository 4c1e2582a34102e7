"""`.khive/tombstones.json`: keep out the records that were removed for good.

For a purged session there is a keyed hash of its id, and the time: its records of before do not
come back from a transcript, a backup, an import or the mirror. The tool is not in the hash: a purge
takes a session by its id, and the tool of a transcript that was never read is not known. For a
pruned purpose there is the time up to which nothing of it comes back from transcripts.

The file lies beside both copies, as a rebuild or a restore replaces either. The key lies in it, for
it has to last as long as the hashes: those of redaction and of the state folder are made anew where
the folder has moved.
"""

import hashlib
import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
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
        until: The time up to which nothing comes back, as UTC text.
        is_done: Whether it was completed; otherwise the mirror may have more.
    """

    until: str
    is_done: bool


@dataclass(frozen=True, eq=False)
class Tombstones:
    """The removals of a project, as of the time when the file was read."""

    _key: bytes = b""
    _sessions: Mapping[str, str] = field(default_factory=dict)
    _prunings: Mapping[str, Pruning] = field(default_factory=dict)
    # The sessions that were purged in projects that were merged into this one, by their keys.
    _merged: Mapping[bytes, Mapping[str, str]] = field(default_factory=dict)
    _purged_at: dict[str, str] = field(default_factory=dict, init=False)

    @classmethod
    def load(cls, project: Project) -> Self:
        """Read the tombstones of a project; a file that is not this user's counts as empty.

        Raises:
            ProjectError: The file is there and cannot be read.
        """
        path = project.khive / FILE
        if not os.path.lexists(path) or not is_believed(project):
            return cls()
        try:
            document = signed.read(path)
            prunings = {name: Pruning(*pruning) for name, pruning in document["pruned"].items()}
            merged = {bytes.fromhex(key): of for key, of in document.get("merged", {}).items()}
            return cls(bytes.fromhex(document["key"]), document["sessions"], prunings, merged)
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ProjectError(
                f"{path} cannot be read ({error})", hint="see to its disk"
            ) from error

    @property
    def is_empty(self) -> bool:
        """Return whether nothing was ever removed."""
        return not (self.has_sessions or self._prunings)

    @property
    def has_sessions(self) -> bool:
        """Return whether a session was ever purged."""
        return any((self._sessions, *self._merged.values()))

    def purged_until(self, session_id: str) -> str:
        """Return the time at which a session was purged, as UTC text; an empty string for never."""
        if not self.has_sessions:
            return ""
        if session_id not in self._purged_at:
            purged = [(self._key, self._sessions), *self._merged.items()]
            self._purged_at[session_id] = max(
                sessions.get(_hash(key, session_id), "") for key, sessions in purged
            )
        return self._purged_at[session_id]

    def pruning(self, purpose: str) -> Pruning | None:
        """Return the last prune of a purpose; None where there never was one."""
        return self._prunings.get(purpose)

    def is_purged(self, row: StoredRow) -> bool:
        """Return whether a purge covers a row: older than it, or of a time that cannot be read."""
        if not self.has_sessions:
            return False
        session_id = session_of(row)
        return session_id is not None and _text(row) <= self.purged_until(session_id) != ""

    def is_pruned(self, purpose: str, row: StoredRow) -> bool:
        """Return whether a row is older than what the last prune has left of its purpose."""
        pruning = self._prunings.get(purpose)
        return pruning is not None and "" < _text(row) <= pruning.until

    def without_purged(self, row: StoredRow) -> StoredRow | None:
        """Return the row, or None where it is purged: a `Change`."""
        return None if self.is_purged(row) else row

    def with_purge(self, session_id: str) -> Self:
        """Return these tombstones with that of a session that is purged now."""
        key = self._key or os.urandom(_KEY_BYTES)
        purged = {_hash(key, session_id): clock.to_text(clock.now())}
        return replace(self, _key=key, _sessions={**self._sessions, **purged})

    def with_pruning(self, purpose: str, pruning: Pruning) -> Self:
        """Return these tombstones with that of a prune; what an earlier one took stays out, too."""
        key = self._key or os.urandom(_KEY_BYTES)
        previous = self._prunings.get(purpose, pruning)
        latest = pruning._replace(until=max(pruning.until, previous.until))
        return replace(self, _key=key, _prunings={**self._prunings, purpose: latest})

    def with_merged(self, other: Self) -> Self:
        """Return these tombstones with those of the sessions of a project that is merged here."""
        key = self._key or os.urandom(_KEY_BYTES)
        purged = {other._key: other._sessions} if other._sessions else {}
        return replace(self, _key=key, _merged={**self._merged, **other._merged, **purged})

    def as_document(self) -> dict[str, Any]:
        """Return the document of the file."""
        merged = {key.hex(): sessions for key, sessions in self._merged.items()}
        document = {"key": self._key.hex(), "sessions": self._sessions, "pruned": self._prunings}
        return document | ({"merged": merged} if merged else {})


class CurrentTombstones:
    """The tombstones of a project, read anew whenever the file has changed."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._version: object = None
        self._tombstones = Tombstones()

    def get(self) -> Tombstones:
        """Return the tombstones, read anew if the file has changed; raises as `Tombstones.load`."""
        try:
            status = os.lstat(self._project.khive / FILE)
        except FileNotFoundError:
            return Tombstones()
        version = status.st_ino, status.st_mtime_ns, status.st_size
        if version != self._version:
            self._tombstones, self._version = Tombstones.load(self._project), version
        return self._tombstones


def note(project: Project, update: Callable[[Tombstones], Tombstones]) -> None:
    """Update the tombstones of a project: synced on return.

    Raises:
        ProjectError: They cannot be read or written.
        StoreBusyError: Others held their lock for longer than 30 s.
    """
    path = project.khive / FILE
    with write_lock.held(project.khive / _LOCK, _LOCK_SECONDS):
        _set_others_aside(project)
        document = update(Tombstones.load(project)).as_document()
        try:
            write_private(path, signed.dump(project.khive, FILE, document))
        except OSError as error:
            if isinstance(error, ProjectError):
                raise
            raise ProjectError(f"{path}: {error.strerror}") from error


def _set_others_aside(project: Project) -> None:
    """Move a file that is not this user's to quarantine."""
    path = project.khive / FILE
    if os.path.lexists(path) and not is_believed(project):
        make_directory(project.quarantine)
        os.rename(path, project.quarantine / f"{FILE}.{clock.new_id()}")


def is_believed(project: Project) -> bool:
    """Return whether this user's programs wrote the file."""
    # Where no state folder can be written no key outlasts a process: the owner's check holds alone.
    return marks.state_folder() is None or signed.is_believed(
        project.khive, FILE, project.khive / FILE
    )


def adopt(project: Project) -> None:
    """Sign the file as the user's own.

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
    """Return a row's time as UTC text; an empty string where it cannot be read."""
    instant = clock.from_column(row[3])
    return "" if instant is None else clock.to_text(instant)
