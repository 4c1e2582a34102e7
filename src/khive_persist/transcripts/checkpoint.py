"""Keep how far each transcript was read, in a file in `.khive/sync/`."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from khive_persist.project import Project, make_directory, sync_directory, write_private
from khive_persist.store import codec
from khive_persist.transcripts.growing_file import Position

FOLDER: Final = "sync"
# So long nobody takes to give a file its name.
_UNFINISHED_SECONDS: Final = 60.0


class SyncPosition:
    """The position in one transcript, and what its reader has to remember there.

    It counts for one database alone, of that epoch: another one was lost, restored or rebuilt
    since, and has to be read into from the beginning. The same holds for that of the to-do lists,
    where the transcript has brought any.
    """

    def __init__(
        self, project: Project, transcript: Path, tool: str, epoch: str, focus_epoch: str
    ) -> None:
        """Name the transcript, and the epochs of the databases of messages and of to-do lists."""
        self._epoch = epoch
        self._focus_epoch = focus_epoch
        self._has_lists = False
        self._folder = project.khive / FOLDER
        self._transcript = transcript
        self._tool = tool
        name = hashlib.sha256(str(transcript).encode("utf-8", "surrogateescape")).hexdigest()
        self._path = self._folder / f"{name[:32]}.json"

    def load(self) -> tuple[Position, dict[str, Any]]:
        """Return the position and the reader's state; those of the beginning where none is kept."""
        try:
            document = json.loads(self._path.read_bytes())
            lists = document.get("focus_epoch", "")
            if document["epoch"] != self._epoch or lists not in ("", self._focus_epoch):
                return Position(), {}
            self._has_lists = lists != ""
            return Position(**document["position"]), dict(document["state"])
        except (OSError, ValueError, TypeError, KeyError):
            # Without it the transcript is read anew, and its messages are the same again.
            return Position(), {}

    def note_lists(self, focus_epoch: str) -> None:
        """Note that the transcript has brought to-do lists, into the database of an epoch."""
        self._has_lists = True
        self._focus_epoch = focus_epoch

    def save(self, position: Position, state: dict[str, Any]) -> None:
        """Write the position and the state, not synced: a power loss costs reading anew.

        Raises:
            OSError: The file cannot be written.
        """
        make_directory(self._folder)
        document = {
            "path": str(self._transcript),
            "tool": self._tool,
            "epoch": self._epoch,
            "focus_epoch": self._focus_epoch if self._has_lists else "",
            "position": position._asdict(),
            "state": state,
        }
        write_private(self._path, codec.dump_lossy(document).encode(), synced=False)

    def remove(self) -> None:
        """Remove the file: the transcript is read anew the next time."""
        self._path.unlink(missing_ok=True)


def remove_sync_positions(project: Project, is_meant: Callable[[bytes], bool]) -> int:
    """Remove positions by the content of their files, and count them: synced on return.

    Their transcripts are read anew.

    Raises:
        OSError: One cannot be read or removed.
    """
    folder = project.khive / FOLDER
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    count = 0
    for path in map(folder.joinpath, names):
        with suppress(FileNotFoundError):
            age_seconds = time.time() - path.stat().st_mtime
            is_written = path.name.endswith(".tmp") and age_seconds < _UNFINISHED_SECONDS
            if path.is_file() and not is_written and is_meant(path.read_bytes()):
                path.unlink()
                count += 1
    if count:
        sync_directory(folder)
    return count
