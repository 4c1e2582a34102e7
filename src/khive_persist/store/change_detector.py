"""`FileChanges`: notices that a file was written to, without reading it."""

import os
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path

from khive_persist.errors import StoreError
from khive_persist.store.sqlite.connection import (
    data_version,
    frozen_version,
    identity,
    is_changed,
    open_reader,
)


class FileChanges:
    """Looks whether anybody has committed to a database, or has replaced it.

    A look takes microseconds and waits for nobody, so that it can be taken in an event loop; in any
    thread. In a forked child it cannot tell: SQLite's locks are not those of the child.
    """

    def __init__(self, path: Path) -> None:
        """Prepare to look; the file is opened at the first look, and stays open until `close`."""
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._version: tuple[int, int] | None = None
        self._openings = 0
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def look(self) -> object:
        """Return another value after each commit; where that cannot be told, a new one."""
        if self._pid != os.getpid():
            return object()
        with self._lock:
            return self._look()

    def close(self) -> None:
        """Close the file; the next look opens it again."""
        if self._pid == os.getpid():
            with self._lock:
                self._close()

    def _look(self) -> object:
        file_id = identity(self._path)
        if file_id is None:
            self._close()
            return object()
        try:
            is_other = file_id != self._identity or is_changed({self._path: self._version})
            if self._connection is None or is_other:
                self._close()
                self._version = frozen_version(self._path)
                self._connection = open_reader(self._path)
                self._connection.execute("PRAGMA busy_timeout = 0")
                self._identity = file_id
                self._openings += 1
            count = data_version(self._connection)
        except (sqlite3.Error, StoreError):
            # Who asks reads the file then, and meets the error there.
            self._close()
            return object()
        return self._openings, count

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()
