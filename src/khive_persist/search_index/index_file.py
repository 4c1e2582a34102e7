"""The file of the index: one writes to it at a time, whoever reads it meanwhile.

Its lock is taken for a transaction, and no other lock is asked for while it is held. What cannot be
read or written raises a StoreError, as its subclasses say.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final

from khive_persist.errors import StoreBusyError, StoreDamagedError
from khive_persist.project import Project
from khive_persist.search_index.index import Index
from khive_persist.store.sqlite import derived_file, vacuum, write_lock
from khive_persist.store.sqlite.connection import (
    DEFAULT_BUSY_TIMEOUT_SECONDS,
    Connection,
    wait_for,
)
from khive_persist.store.sqlite.derived_writer import DerivedWriter, committed
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.statements import scalar

# What was written before is made anew: also where sub-tokens or passages are other ones.
VERSION: Final = 1
_PAGE_BYTES: Final = 8_192
# The words of a batch gather in memory before they are written as one segment.
_HASH_BYTES: Final = 8 << 20
_TABLES: Final = ("words", "substrings")
_WAIT_SECONDS: Final = 0.05
_CLOSING_SECONDS: Final = 10.0
# A step of joining the segments writes about so many pages.
_MERGED_PAGES: Final = 2_000


@cache
def schema() -> derived_file.Schema:
    """Return the schema of the index."""
    sql = (files("khive_persist.search_index") / "sql" / "0001.sql").read_text("utf-8")
    return derived_file.Schema(VERSION, sql, _PAGE_BYTES)


def exists(project: Project) -> bool:
    """Return whether a project has an index, or something in its place."""
    return os.path.lexists(project.search_index)


def damaged(error: StoreDamagedError) -> StoreDamagedError:
    """Return the error of an index that is damaged, with the way out."""
    return StoreDamagedError(
        str(error.args[0]), hint="khive-persist rebuild --search makes it anew"
    )


def remove(project: Project, timeout_seconds: float) -> bool:
    """Remove the index, and return whether it was there."""
    if not exists(project):
        return False
    with write_lock.held(write_lock.lock_path(project.search_index), timeout_seconds):
        return derived_file.remove(project.search_index)


class IndexFile(DerivedWriter):
    """The index of a project, open for writing within a `with`; made with the first transaction.

    Opened anew where another process has made it anew.
    """

    def __init__(self, project: Project) -> None:
        super().__init__(project.search_index)

    def close(self) -> None:
        """Close the file; the last to close writes its log back, which waits for its turn."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with ExitStack() as stack:
            stack.callback(connection.close)
            with suppress(StoreBusyError):
                lock = write_lock.lock_path(self.path)
                stack.callback(os.close, write_lock.acquire(lock, _CLOSING_SECONDS))
                # Before the lock is given back.
                stack.callback(connection.close)

    @contextmanager
    def transaction(self, timeout_seconds: float, *, durable: bool = False) -> Iterator[Index]:
        """Write to the index: committed at the end, or not at all.

        Args:
            timeout_seconds: The longest wait for others who write to it.
            durable: Whether the commit survives a power loss.
        """
        with self._turn(timeout_seconds) as connection, translated(self.path):
            if durable:
                connection.execute("PRAGMA synchronous = FULL")
            try:
                with committed(connection):
                    index = Index(connection)
                    yield index
                    index.flush()
            finally:
                connection.execute("PRAGMA synchronous = NORMAL")

    def clean(
        self, folder: Path, timeout_seconds: float, advance: Callable[[int], None] = lambda _: None
    ) -> bool:
        """Leave no byte of what was taken out: every page is written anew, and the log is emptied.

        Nothing is done where nothing was taken out since the last time.

        Args:
            folder: A private folder for what SQLite needs meanwhile: as much as the index.
            timeout_seconds: The longest wait for others who write, and for readers.
            advance: A function that is called now and then.

        Returns:
            Whether the log is empty: a program that reads all the time can keep it.
        """
        end = time.monotonic() + timeout_seconds
        while taken_out := self._taken_out(timeout_seconds):
            for table in _TABLES:
                while self._merged(table, timeout_seconds):
                    advance(0)
            self._write_anew(taken_out, folder, timeout_seconds)
        while True:
            with self._turn(timeout_seconds) as connection, translated(self.path):
                wait_for(connection, _WAIT_SECONDS)
                busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                wait_for(connection, DEFAULT_BUSY_TIMEOUT_SECONDS)
            if not busy or time.monotonic() > end:
                return not busy
            time.sleep(_WAIT_SECONDS)

    def verify(self, timeout_seconds: float) -> None:
        """Let FTS5 examine what it keeps.

        Raises:
            StoreDamagedError: It finds a fault.
        """
        with self._turn(timeout_seconds) as connection, translated(self.path):
            for table in _TABLES:
                connection.execute(f"INSERT INTO {table} ({table}) VALUES ('integrity-check')")

    def _taken_out(self, timeout_seconds: float) -> int:
        """Return how many passages were taken out since nothing was left of any."""
        with self._turn(timeout_seconds) as connection, translated(self.path):
            return int(scalar(connection, "SELECT taken_out FROM state"))

    def _write_anew(self, taken_out: int, folder: Path, timeout_seconds: float) -> None:
        """Write every page anew, unless others took out more since the segments were joined."""
        with self._turn(timeout_seconds) as connection, translated(self.path):
            if scalar(connection, "SELECT taken_out FROM state") != taken_out:
                return
            connection.execute(
                "DELETE FROM sessions WHERE NOT EXISTS"
                " (SELECT 1 FROM passages WHERE session = sessions.number)"
            )
            vacuum.write_anew(connection, folder)
            connection.execute("UPDATE state SET taken_out = 0")

    def _merged(self, table: str, timeout_seconds: float) -> bool:
        """Join some of a table's segments, and return whether there are more to join."""
        with self._turn(timeout_seconds) as connection, translated(self.path):
            count = connection.total_changes
            connection.execute(
                f"INSERT INTO {table} ({table}, rank) VALUES ('merge', {-_MERGED_PAGES})"
            )
            # The statement itself counts for one: https://sqlite.org/fts5.html#the_merge_command
            return connection.total_changes - count >= 2

    @contextmanager
    def _turn(self, timeout_seconds: float) -> Iterator[Connection]:
        try:
            with super()._turn(timeout_seconds) as connection:
                yield connection
        except StoreDamagedError as error:
            raise StoreDamagedError(
                str(error.args[0]), hint="make it anew: rebuild --search"
            ) from error

    def _open(self) -> Connection:
        connection = derived_file.open_writer(self.path, schema())
        with translated(self.path):
            for table in _TABLES:
                _configure(connection, table, "hashsize", _HASH_BYTES)
        return connection


def _configure(connection: Connection, table: str, option: str, value: int) -> None:
    """Set an option of FTS5, which it keeps in the file."""
    current = connection.execute(f"SELECT v FROM {table}_config WHERE k = ?", (option,)).fetchone()
    if current is None or current[0] != value:
        connection.execute(f"INSERT INTO {table} ({table}, rank) VALUES (?, ?)", (option, value))
