"""How far a transcript was read, in a file of its own in `.khive/sync/`."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from khive_persist.place import Place, make_directory, write_private
from khive_persist.store import codec
from khive_persist.transcripts.lines import Position

FOLDER: Final = "sync"


class Bookmark:
    """The position in one transcript, and what its reader has to remember there.

    It counts for one database alone, of that epoch: another one was lost, restored or rebuilt
    since, and has to be read into from the beginning. The same holds for that of the to-do lists,
    where the transcript has brought any.
    """

    def __init__(
        self, place: Place, transcript: Path, tool: str, epoch: str, focus_epoch: str
    ) -> None:
        """Take whose it is.

        Args:
            place: The place.
            transcript: The file.
            tool: Whose it is.
            epoch: Of the messages' database.
            focus_epoch: Of that of the to-do lists; an empty string where there is none.
        """
        self._epoch = epoch
        self._focus_epoch = focus_epoch
        self._has_lists = False
        self._folder = place.khive / FOLDER
        self._transcript = transcript
        self._tool = tool
        name = hashlib.sha256(str(transcript).encode("utf-8", "surrogateescape")).hexdigest()
        self._path = self._folder / f"{name[:32]}.json"

    def load(self) -> tuple[Position, dict[str, Any]]:
        """The position and the reader's state; those of the beginning where none was kept."""
        try:
            said = json.loads(self._path.read_bytes())
            lists = said.get("focus_epoch", "")
            if said["epoch"] != self._epoch or lists not in ("", self._focus_epoch):
                return Position(), {}
            self._has_lists = lists != ""
            return Position(**said["position"]), dict(said["state"])
        except (OSError, ValueError, TypeError, KeyError):
            # Without it the transcript is read anew, and its messages are the same again.
            return Position(), {}

    def note_lists(self, focus_epoch: str) -> None:
        """Note that the transcript has brought to-do lists, into the database of an epoch."""
        self._has_lists = True
        self._focus_epoch = focus_epoch

    def save(self, position: Position, state: dict[str, Any]) -> None:
        """Keep them, not synced: a bookmark that a power loss takes away costs reading anew.

        Raises:
            OSError: They cannot be written.
        """
        make_directory(self._folder)
        said = {
            "path": str(self._transcript),
            "tool": self._tool,
            "epoch": self._epoch,
            "focus_epoch": self._focus_epoch if self._has_lists else "",
            "position": position._asdict(),
            "state": state,
        }
        write_private(self._path, codec.dump_lossy(said).encode(), synced=False)
