"""Files that were open when this process was forked.

SQLite keeps in memory which locks its process holds. A fork copies that, and not the locks: the
child would believe that it holds some, and another process could take the log away under it.
https://sqlite.org/howtocorrupt.html#_carrying_an_open_database_file_across_a_fork_
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from khive_persist.errors import StoreClosedError

_OPEN_FILES: Final = "/proc/self/fd"
_inherited: set[tuple[int, int]] = set()


def refuse_inherited(path: Path) -> None:
    """Refuse a database that the parent of this process had open when it was forked.

    Raises:
        StoreClosedError: It had.
    """
    if not _inherited:
        return
    with suppress(FileNotFoundError):
        status = os.stat(path)
        if (status.st_dev, status.st_ino) in _inherited:
            raise StoreClosedError(
                f"{path} was open when this process was forked, and cannot be used in the child",
                hint="close it before the fork, or start the child by spawn",
            )


def _note_inherited() -> None:
    with suppress(OSError):
        for name in os.listdir(_OPEN_FILES):
            with suppress(OSError):
                if os.readlink(f"{_OPEN_FILES}/{name}").endswith(".db"):
                    status = os.fstat(int(name))
                    _inherited.add((status.st_dev, status.st_ino))


os.register_at_fork(after_in_child=_note_inherited)
