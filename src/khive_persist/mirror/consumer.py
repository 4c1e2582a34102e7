"""`MirrorFollower`: keeps the second copy of one purpose in step with its change log."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from khive_persist.errors import KhiveError, MirrorError
from khive_persist.files import read_regular
from khive_persist.mirror.json_files import Documents
from khive_persist.mirror.jsonl_files import Streams
from khive_persist.mirror.names import LOCK
from khive_persist.models.purposes import Purpose
from khive_persist.project import make_directory, write_private
from khive_persist.store.change import Change, Lines
from khive_persist.store.sqlite import write_lock
from khive_persist.store.sqlite.connection import Connection
from khive_persist.store.sqlite.mirror_progress import MIRROR

EPOCHS: Final = ".epochs"
_LOCK_SECONDS: Final = 30.0
_MOST_BYTES: Final = 1 << 20


class MirrorFollower:
    """The mirror as the consumer of one file's change log.

    A folder that was emptied, or is another file's, has not its epoch, and is made anew.
    """

    name = MIRROR

    def __init__(self, folder: Path, purpose: Purpose) -> None:
        self._folder = folder
        self._purpose = purpose
        self._files = files_of(folder, purpose)

    def epoch(self) -> str | None:
        """Return the epoch of the file that the mirror follows; None where there is none."""
        epoch = self._epochs().get(self._purpose.name)
        return epoch if isinstance(epoch, str) else None

    def set_epoch(self, epoch: str) -> None:
        """Keep the epoch of the file that is followed from now on.

        Raises:
            MirrorError: It cannot be written.
        """
        try:
            make_directory(self._folder)
            with write_lock.held(self._folder / LOCK, _LOCK_SECONDS):
                text = json.dumps(self._epochs() | {self._purpose.name: epoch}, indent=2)
                # Without it the mirror is compared with the whole table: it needs no sync.
                write_private(self._folder / EPOCHS, text.encode() + b"\n", synced=False)
        except (OSError, KhiveError) as error:
            raise not_copied(self._purpose, error) from error

    def apply(
        self,
        connection: Connection,
        changes: Sequence[Change],
        lines: Lines,
        *,
        may_be_there: bool,
    ) -> None:
        """Bring the copies of some records to what the table has: see `Consumer`."""
        try:
            make_directory(self._folder)
            self._files.follow(connection, changes, lines, may_be_there=may_be_there)
        except (OSError, KhiveError) as error:
            raise not_copied(self._purpose, error) from error

    def _epochs(self) -> dict[str, Any]:
        try:
            epochs = json.loads(read_regular(self._folder / EPOCHS, _MOST_BYTES))
        except (OSError, ValueError):
            return {}
        return epochs if isinstance(epochs, dict) else {}


def files_of(folder: Path, purpose: Purpose) -> Documents | Streams:
    """Return the files of a purpose in `sessions/`."""
    return (Streams if purpose.is_stream else Documents)(folder, purpose)


def not_copied(
    purpose: Purpose,
    error: Exception,
    hint: str = "the next opening writes it, once the cause is gone",
) -> MirrorError:
    """Return the error of a second copy that cannot be written."""
    return MirrorError(f"{purpose.file} has it, but not its second copy ({error})", hint=hint)
