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
    since, and has to be read into from the beginning.
    """

    def __init__(self, place: Place, transcript: Path, tool: str, epoch: str) -> None:
        self._epoch = epoch
        self._folder = place.khive / FOLDER
        self._transcript = transcript
        self._tool = tool
        name = hashlib.sha256(str(transcript).encode("utf-8", "surrogateescape")).hexdigest()
        self._path = self._folder / f"{name[:32]}.json"

    def load(self) -> tuple[Position, dict[str, Any]]:
        """The position and the reader's state; those of the beginning where none was kept."""
        try:
            said = json.loads(self._path.read_bytes())
            if said["epoch"] != self._epoch:
                return Position(), {}
            return Position(**said["position"]), dict(said["state"])
        except (OSError, ValueError, TypeError, KeyError):
            # Without it the transcript is read anew, and its messages are the same again.
            return Position(), {}

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
            "position": position._asdict(),
            "state": state,
        }
        write_private(self._path, codec.dump_lossy(said).encode(), synced=False)
