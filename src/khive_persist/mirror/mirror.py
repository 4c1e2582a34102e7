"""`Mirror`: keeps the second copy of what the stores of a project have committed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from khive_persist.errors import KhiveError
from khive_persist.mirror.consumer import MirrorFollower, files_of, not_copied
from khive_persist.mirror.json_files import Documents
from khive_persist.mirror.jsonl_files import Streams
from khive_persist.mirror.stream_file import ReplacedError, retract, session_of
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store.codec import StoredRow


class Mirror:
    """The mirror of one project: `sessions/`.

    What is saved is copied by followers, of which each knows one file's change log. Its own methods
    write for callers that keep all others from writing: see `turn`.
    """

    def __init__(self, project: Project, settings: Settings) -> None:
        self._folder = project.sessions
        self._off = frozenset(settings.mirror_off)
        self._kinds: dict[Purpose, Documents | Streams] = {}

    def has(self, purpose: Purpose) -> bool:
        """Return whether the records of the purpose have a second copy."""
        return purpose.name not in self._off

    def follower(self, purpose: Purpose) -> MirrorFollower | Literal["off"]:
        """Return the consumer that copies the records of a purpose; "off" without a second copy."""
        return MirrorFollower(self._folder, purpose) if self.has(purpose) else "off"

    def path(self, purpose: Purpose, row: StoredRow) -> Path | None:
        """Return the file that has or will have a record; None for a session that has none yet."""
        kind = self._kind(purpose)
        if isinstance(kind, Streams):
            return kind.path(session_of(row))
        return kind.path(row[0], row[3])

    def write(self, purpose: Purpose, rows: Sequence[StoredRow]) -> None:
        """Write rows, as they are in the database now: synced on return.

        Raises:
            MirrorError: It cannot be written. The database has it; `rebuild --from-database`
                brings the mirror to the same.
        """
        with _with_mirror_errors(purpose):
            self._kind(purpose).write(rows)

    def retract(self, purpose: Purpose, file: str, ids: Sequence[str]) -> None:
        """Append deletions to a stream of `sessions/`: the lines of these records no longer count.

        Raises:
            MirrorError: It cannot be written.
        """
        with _with_mirror_errors(purpose):
            retract(self._folder / file, purpose, ids)

    def _kind(self, purpose: Purpose) -> Documents | Streams:
        if purpose not in self._kinds:
            self._kinds[purpose] = files_of(self._folder, purpose)
        return self._kinds[purpose]


@contextmanager
def _with_mirror_errors(purpose: Purpose) -> Iterator[None]:
    try:
        yield
    except (OSError, KhiveError, ReplacedError) as error:
        hint = "run khive-persist rebuild --from-database"
        raise not_copied(purpose, error, hint) from error
