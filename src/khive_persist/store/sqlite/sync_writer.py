"""One file's writing connection: its transactions, and what follows each of them."""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from khive_persist.errors import StoreError
from khive_persist.models.purposes import Purpose
from khive_persist.store.change import Lines
from khive_persist.store.sqlite import change_log, write_lock
from khive_persist.store.sqlite.connection import (
    data_version,
    identity,
    make,
    open_reader,
    open_writer,
    wait_for,
)
from khive_persist.store.sqlite.errors import PRIMARY, translated
from khive_persist.store.sqlite.mirror_progress import MIRROR, Batch, Mirroring, MirrorProgress
from khive_persist.store.sqlite.transaction import Transaction

_CLOSING_SECONDS: Final = 10.0
_CHECKPOINT_MILLISECONDS: Final = 100
_LARGE_WAL_BYTES: Final = 4 << 20
_logger = logging.getLogger("khive_persist")


class FileWriter:
    """Writes to one file: opened at the first transaction, and anew where it was replaced since.

    Transactions come one at a time, from whichever thread; what follows them, from any. Where the
    file does not do as it is asked, a StoreError is raised, as its subclasses say, and nothing was
    written. Where what is committed cannot be copied, a MirrorError is: what else there is to copy
    is copied, and the next opening tries again.
    """

    def __init__(
        self,
        path: Path,
        purpose: Purpose,
        busy_timeout_seconds: float,
        mirror: Mirroring,
        *,
        is_secure: bool = False,
    ) -> None:
        """Prepare it; nothing is opened. `is_secure`: what is deleted is overwritten with zeros."""
        self.path = path
        self.purpose = purpose
        self.timeout_seconds = busy_timeout_seconds
        self._progress = MirrorProgress(path, purpose.table, mirror)
        self._is_secure = is_secure
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._openings = 0
        self._has_written = False
        self._idle_readers: list[sqlite3.Connection] = []
        self._mutex = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, to read through outside of a transaction."""
        return self._connection or self._open()

    @property
    def is_behind(self) -> bool:
        """Return whether the mirror has to begin with the whole table; see `mirror.recovery`."""
        with translated(self.path):
            return change_log.positions(self.connection).get(MIRROR) == change_log.BEHIND

    def open(self) -> None:
        """Open the file, made where it is missing, and copy what a killed process has not."""
        if self._connection is None:
            self._open()

    @contextmanager
    def transaction(self, lines: Lines | None = None) -> Iterator[Transaction]:
        """Write to the file: committed, synced and copied at the end, or not at all.

        `lines` is filled before the end, with the JSON of rows that are written; see `Consumer`.
        """
        batches: list[Batch] = []
        with self.commit(batches) as writing:
            yield writing
        self.follow(batches, lines)

    @contextmanager
    def commit(
        self, batches: list[Batch], is_wanted: Callable[[], bool] = lambda: True
    ) -> Iterator[Transaction]:
        """Write to the file that lies there: committed and synced at the end, or not at all.

        Args:
            batches: Gets what is to be copied, by `follow`; it is committed already.
            is_wanted: Whether it is still worth waiting for other writers.
        """
        while True:
            connection = self._connection or self._open(is_wanted)
            with write_lock.held(write_lock.lock_path(self.path), self.timeout_seconds, is_wanted):
                # Only under the lock of its writers is it sure to stay the one that lies there.
                if self._identity is not None and identity(self.path) == self._identity:
                    with translated(self.path):
                        yield from self._committed(connection, batches)
                    return
            self.close()

    def is_awaited(self) -> bool:
        """Return whether another program waits for the end of the transaction that is open."""
        return write_lock.is_awaited(write_lock.lock_path(self.path))

    def follow(self, batches: list[Batch], lines: Lines | None = None) -> None:
        """Copy what was committed: synced on return; see `MirrorProgress.copy`."""
        with ExitStack() as stack:
            for batch in batches:
                stack.callback(os.close, batch.gate)
            # Each is tried, whatever becomes of the others; the last that is named comes first.
            for batch in reversed(batches):
                stack.callback(self._copy, batch, lines or {})

    @property
    def has_failed(self) -> bool:
        """Return whether something could not be copied since it was last tried."""
        return self._progress.has_failed

    def copy_again(self) -> None:
        """Copy what could not be copied before."""
        failure = self._progress.failure
        self._progress.try_soon()
        with self.transaction():
            pass
        if (self.has_failed or self.is_behind) and failure is not None:
            raise failure

    def changes_of_others(self) -> tuple[int, int]:
        """Return another value after another connection has committed, or the file was replaced."""
        # Opened anew where it was replaced: only then it can be told.
        if identity(self.path) != self._identity:
            self.close()
        with translated(self.path):
            # SQLite's own count: it leaves out what this connection commits.
            count = data_version(self.connection)
        return self._openings, count

    def tidy(self) -> bool:
        """Tell the log what was copied, and empty a write-ahead log that a long reader has kept.

        Returns:
            Whether something is left to do.
        """
        is_large = self._wal_bytes() >= _LARGE_WAL_BYTES
        if self._connection is None or not (is_large or self._progress.has_news):
            return False
        descriptor = write_lock.try_acquire(write_lock.lock_path(self.path))
        if descriptor is None:
            return True
        try:
            with translated(self.path):
                if identity(self.path) != self._identity:
                    return False
                self._acknowledge(self._connection)
                return is_large and not _emptied(self._connection, 0)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Close the file; on return it is whole without its WAL, unless others still use that."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with self._mutex:
            readers, self._idle_readers = self._idle_readers, []
        for reader in readers:
            reader.close()
        # The last connection to close writes the WAL back: that too waits for its turn.
        try:
            with write_lock.held(write_lock.lock_path(self.path), _CLOSING_SECONDS):
                if identity(self.path) == self._identity:
                    with suppress(sqlite3.Error):
                        self._acknowledge(connection)
                        # Who has only looked leaves the log to those who write.
                        if self._has_written:
                            _emptied(connection, _CHECKPOINT_MILLISECONDS)
                connection.close()
        except StoreError:
            # Without its turn it must not write; the WAL stays for the next to open the file.
            connection.execute("PRAGMA query_only = ON")
            connection.close()
        self._progress.forget()

    def _open(self, is_wanted: Callable[[], bool] = lambda: True) -> sqlite3.Connection:
        make(self.path)
        # Looked at before: a file that is replaced meanwhile is not taken for the new one.
        self._identity = identity(self.path)
        connection = open_writer(self.path, self.purpose, self.timeout_seconds, is_wanted)
        if self._is_secure:
            connection.execute("PRAGMA secure_delete = ON")
        self._connection = connection
        self._has_written = False
        self._openings += 1
        try:
            with translated(self.path):
                is_settled = self._progress.is_settled(connection)
            if not is_settled:
                batches: list[Batch] = []
                with self.commit(batches) as writing:
                    self._progress.settle(writing.connection)
                self.follow(batches)
        except BaseException:
            self.close()
            raise
        return self._connection or self._open()

    def _committed(
        self, connection: sqlite3.Connection, batches: list[Batch]
    ) -> Iterator[Transaction]:
        self._begin(connection)
        pending: list[Batch] = []
        try:
            is_passed_by = self._progress.note_others(connection)
            orphans = self._progress.acknowledge(connection)
            is_logged = self._progress.is_logged
            start = change_log.last(connection) if is_logged else 0
            writing = Transaction(connection, self.purpose, is_logged=is_logged)
            yield writing
            if writing.has_changed or is_passed_by:
                self._has_written = True
                change_log.note_state(connection, self.purpose.table, writing.added)
            pending = self._progress.batches(connection, orphans, start, self.timeout_seconds)
            connection.execute("COMMIT")
        except BaseException:
            for batch in pending:
                os.close(batch.gate)
            _rolled_back(connection)
            raise
        self._progress.committed(pending)
        batches += pending

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Begin a transaction; a program that does not queue may hold SQLite's own lock."""
        until = time.monotonic() + self.timeout_seconds
        while True:
            remaining = until - time.monotonic()
            wait_for(connection, min(max(remaining, 0.0), write_lock.SILENT_SECONDS))
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                is_busy = error.sqlite_errorcode & PRIMARY == sqlite3.SQLITE_BUSY
                if not is_busy or time.monotonic() >= until:
                    raise
                _logger.warning("%s is held by another program", self.path)
            else:
                return

    def _acknowledge(self, connection: sqlite3.Connection) -> None:
        """Tell the log what was copied; that may be lost with the power, and is done again then."""
        if not self._progress.has_news:
            return
        connection.execute("PRAGMA synchronous = NORMAL")
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._progress.acknowledge(connection)
                connection.execute("COMMIT")
            except BaseException:
                _rolled_back(connection)
                raise
            self._progress.committed([])
        finally:
            connection.execute("PRAGMA synchronous = FULL")

    def _copy(self, batch: Batch, lines: Lines) -> None:
        with self._reader() as connection:
            self._progress.copy(batch, connection, lines)

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that sees each last commit, for as long as the `with`."""
        with self._mutex:
            connection = self._idle_readers.pop() if self._idle_readers else None
        if connection is None:
            connection = open_reader(self.path)
        try:
            with translated(self.path):
                yield connection
        except BaseException:
            connection.close()
            raise
        with self._mutex:
            is_open = self._connection is not None
            if is_open:
                self._idle_readers.append(connection)
        if not is_open:
            connection.close()

    def _wal_bytes(self) -> int:
        try:
            return os.stat(f"{self.path}-wal").st_size
        except OSError:
            return 0


def _rolled_back(connection: sqlite3.Connection) -> None:
    # A full disk has rolled it back already.
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _emptied(connection: sqlite3.Connection, wait_milliseconds: int) -> bool:
    """Write the WAL back, and cut it off; whether nobody kept it."""
    (timeout,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {wait_milliseconds}")
    try:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {timeout}")
    return not busy
