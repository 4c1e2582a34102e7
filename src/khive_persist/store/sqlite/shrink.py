"""Giving back to the disk what was removed from a database."""

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from khive_persist.purposes import Purpose
from khive_persist.store.sqlite import lock
from khive_persist.store.sqlite.connection import open_writer
from khive_persist.store.sqlite.errors import translated

_WAIT_SECONDS: Final = 0.05
_INCREMENTAL: Final = 2


def shrink(
    path: Path, purpose: Purpose, folder: Path, timeout_seconds: float, *, thoroughly: bool = False
) -> bool:
    """Make a database as small as what it holds, and empty its WAL.

    Args:
        path: The database.
        purpose: What it holds.
        folder: A private folder for what SQLite needs meanwhile: as much as the database.
        timeout_seconds: How long to wait for who writes, and for who reads.
        thoroughly: Write every page anew, so that no byte of what was removed is left in it.
            Otherwise free pages are cut off, which is quick.

    Returns:
        Whether the WAL is empty: a program that reads all the time can keep it.

    Raises:
        StoreError: As its subclasses say; the database is as it was.
    """
    end = time.monotonic() + timeout_seconds
    with (
        closing(open_writer(path, purpose, timeout_seconds)) as connection,
        lock.held(lock.lock_path(path), timeout_seconds),
        translated(path),
    ):
        (mode,) = connection.execute("PRAGMA auto_vacuum").fetchone()
        if thoroughly or mode != _INCREMENTAL:
            with _temporary_files_in(folder):
                connection.execute("VACUUM")
        else:
            # Each step frees a page; only a script is stepped to its end.
            connection.executescript("PRAGMA incremental_vacuum")
        while True:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy or time.monotonic() > end:
                return not busy
            time.sleep(_WAIT_SECONDS)


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Let SQLite write its temporary files there: nothing of ours lies outside `.khive`."""
    before = os.environ.get("SQLITE_TMPDIR")
    os.environ["SQLITE_TMPDIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["SQLITE_TMPDIR"]
        else:
            os.environ["SQLITE_TMPDIR"] = before
