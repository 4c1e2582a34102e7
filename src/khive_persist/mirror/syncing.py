"""Making many files durable together."""

import os
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

from khive_persist.project import sync_directory, sync_file

# From so many on one sync of the whole file system costs less than one of each.
TOGETHER: Final = 8


def sync_together(folder: Path, paths: Iterable[Path]) -> None:
    """Make the content of files of one folder durable; one that is gone needs no sync.

    Raises:
        OSError: One cannot be synced.
    """
    if not _syncfs(folder):
        for path in paths:
            with suppress(FileNotFoundError):
                sync_file(path)


def sync_tree(folder: Path) -> None:
    """Make all that lies below a folder durable: contents and names."""
    if not _syncfs(folder):
        for path in (folder, *folder.rglob("*")):
            if path.is_dir():
                sync_directory(path)
            else:
                sync_file(path)


def _syncfs(folder: Path) -> bool:
    """Sync the file system of a folder, and return whether the system supports that."""
    function = _function()
    if function is None:
        return False
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return bool(function(descriptor) == 0)
    finally:
        os.close(descriptor)


@cache
def _function() -> Any:
    # An import that only writers of many files pay for.
    import ctypes

    # https://man7.org/linux/man-pages/man2/sync.2.html
    return getattr(ctypes.CDLL(None), "syncfs", None)
