"""Which files had nothing new at the last look, and were not written to since.

To open a file and to ask its log takes a millisecond or two, and a project has a dozen of them: who
searches again and again, as a server does, looks at what the file system says of them instead.
"""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from khive_persist.search_index.index import Position
from khive_persist.store.sqlite.connection import identity

# The clock of a file system may stand still for so long: what is written then has the same time.
_SETTLED_AFTER_SECONDS: Final = 1.0
_MOST_FILES: Final = 1_000

_LOOKS: Final[dict[Path, tuple[str, Position]]] = {}


def version_of(path: Path) -> str:
    """Return which version of a file lies there: another one once it was written to."""
    return _version(path)[0]


def settled_version(path: Path) -> str | None:
    """Return the version of a file; None where it was written to so lately that it says nothing."""
    version, written_at = _version(path)
    return version if written_at + _SETTLED_AFTER_SECONDS < time.time() else None


def is_unchanged(path: Path, position: Position | None) -> bool:
    """Return whether nothing came to a file since it had nothing beyond a position."""
    look = _LOOKS.get(path)
    return look is not None and look == (settled_version(path), position)


def note(path: Path, version: str | None, position: Position) -> None:
    """Note that a file has nothing beyond a position.

    Args:
        path: The file.
        version: Its settled version from before the look; nothing is noted without one.
        position: The position up to which the index has it.
    """
    if len(_LOOKS) >= _MOST_FILES:
        _LOOKS.clear()
    if version is not None:
        _LOOKS[path] = version, position


def _version(path: Path) -> tuple[str, float]:
    versions, written_at = [str(identity(path))], 0.0
    for file in (path, path.with_name(f"{path.name}-wal")):
        with suppress(OSError):
            status = os.stat(file)
            if status.st_size:
                versions.append(f"{status.st_size} {status.st_mtime_ns}")
                written_at = max(written_at, status.st_mtime)
    return " ".join(versions), written_at
