"""Giving back to the disk what was removed from a database."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from khive_persist.models.purposes import Purpose
from khive_persist.store.sqlite import write_lock
from khive_persist.store.sqlite.connection import open_writer, wait_for
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.rewrite import (
    Announce,
    Change,
    Revised,
    revise_through,
    silent,
)
from khive_persist.store.sqlite.statements import scalar
from khive_persist.store.sqlite.sync_writer import FileWriter

_WAIT_SECONDS: Final = 0.05
_INCREMENTAL: Final = 2


def shrink(
    path: Path, purpose: Purpose, folder: Path, timeout_seconds: float, *, thoroughly: bool = False
) -> bool:
    """Make a database as small as what it holds, and empty its WAL.

    Args:
        folder: A private folder for what SQLite needs meanwhile: as much as the database.
        timeout_seconds: The longest wait for writers, and for readers.
        thoroughly: Write every page anew, so that no byte of what was removed is left in it.
            Otherwise free pages are cut off, which is quick.

    Returns:
        Whether the WAL is empty: a program that reads all the time can keep it.

    Raises:
        StoreError: As its subclasses say; the database is as it was.
    """
    with closing(open_writer(path, purpose, timeout_seconds)) as connection:
        return _shrink(connection, path, folder, timeout_seconds, thoroughly=thoroughly)


def _shrink(
    connection: sqlite3.Connection,
    path: Path,
    folder: Path,
    timeout_seconds: float,
    *,
    thoroughly: bool,
) -> bool:
    end = time.monotonic() + timeout_seconds
    is_written = False
    with translated(path):
        while True:
            with write_lock.held(write_lock.lock_path(path), timeout_seconds):
                if not is_written:
                    _write_anew(connection, folder, thoroughly=thoroughly)
                    is_written = True
                    # Who reads is waited for without the lock: others write meanwhile.
                    wait_for(connection, _WAIT_SECONDS)
                busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy or time.monotonic() > end:
                return not busy
            time.sleep(_WAIT_SECONDS)


def write_anew(connection: sqlite3.Connection, folder: Path) -> None:
    """Write every page of a file anew, by who holds its lock; see `shrink` for the folder."""
    with _temporary_files_in(folder):
        connection.execute("VACUUM")


def _write_anew(connection: sqlite3.Connection, folder: Path, *, thoroughly: bool) -> None:
    if thoroughly or scalar(connection, "PRAGMA auto_vacuum") != _INCREMENTAL:
        write_anew(connection, folder)
    else:
        # Each step frees a page; only a script is stepped to its end.
        connection.executescript("PRAGMA incremental_vacuum")


def erase(
    path: Path,
    purpose: Purpose,
    change: Change,
    folder: Path,
    timeout_seconds: float,
    advance: Callable[[int], None] = lambda _: None,
    announce: Announce = silent,
) -> tuple[Revised, bool]:
    """Change or remove rows, and write every page anew: synced once the WAL is empty.

    Args:
        change: The change of a row, as for `revise`.
        folder: The folder of temporary files, as for `shrink`.
        timeout_seconds: The longest wait for writers, and for readers.
        advance: A function of the number of rows that were looked at since its last call.
        announce: A function of the ids of rows before they are changed, as for `revise`.

    Returns:
        What was done, and whether the WAL is empty.

    Raises:
        StoreError: As its subclasses say; what was committed by then stays.
    """
    total = Revised()
    with FileWriter(path, purpose, timeout_seconds, None, is_secure=True) as writer:
        writer.open()
        # To empty the WAL syncs all that was committed to it.
        writer.connection.execute("PRAGMA synchronous = NORMAL")
        for batch in revise_through(writer, change, announce=announce):
            total = total.plus(batch)
            advance(batch.looked_at)
        is_empty = _shrink(writer.connection, path, folder, timeout_seconds, thoroughly=True)
        return total, is_empty


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Let SQLite write its temporary files there: nothing of ours lies outside `.khive`."""
    previous = os.environ.get("SQLITE_TMPDIR")
    os.environ["SQLITE_TMPDIR"] = str(folder)
    try:
        yield
    finally:
        if previous is None:
            del os.environ["SQLITE_TMPDIR"]
        else:
            os.environ["SQLITE_TMPDIR"] = previous
