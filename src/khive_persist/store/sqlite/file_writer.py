"""One file's writing connection: its transactions, and what follows each of them."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, NamedTuple, Self

from khive_persist.errors import KhiveError, MirrorError, StoreError
from khive_persist.purposes import Purpose
from khive_persist.store.change import Change, Consumer, Lines
from khive_persist.store.sqlite import change_log, lock
from khive_persist.store.sqlite.connection import (
    identity,
    make,
    open_reader,
    open_writer,
    wait_for,
)
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.transaction import Transaction

MIRROR: Final = "mirror"
# Who keeps the second copy; "off" where settings say that there is none; None where who writes does
# not know: then whoever opens the file next and knows copies it.
Mirroring = Consumer | Literal["off"] | None

_CLOSING_SECONDS: Final = 10.0
_CHECKPOINT_MILLISECONDS: Final = 100
_LARGE_WAL_BYTES: Final = 4 << 20
# Where the second copy cannot be written, not every save tries to write all that is missing.
_RETRY_SECONDS: Final = 5.0


class Batch(NamedTuple):
    """What was committed, and is not copied yet.

    Attributes:
        changes: In order; one record may come several times.
        ranges: The numbers of their entries, each range from after one to another.
        gate: Holds the gate of the file's consumers until it is closed.
        is_recovery: Whether they are of a process that was killed, or could not copy them.
    """

    changes: list[Change]
    ranges: list[tuple[int, int]]
    gate: int
    is_recovery: bool


class FileWriter:
    """Writes to one file: opened at the first transaction, and anew where it was replaced since.

    Transactions come one at a time, from whichever thread; what follows them, from any.
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
        """Prepare it; nothing is opened.

        Args:
            path: The file.
            purpose: What it holds.
            busy_timeout_seconds: How long to wait for other writers.
            mirror: Who keeps the second copy.
            is_secure: Overwrite with zeros what is deleted.
        """
        self.path = path
        self.purpose = purpose
        self.timeout_seconds = busy_timeout_seconds
        self._mirror = mirror
        self._is_secure = is_secure
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._openings = 0
        self._is_logged = False
        # Ranges of entries that are copied, and those that are being copied.
        self._done: list[tuple[int, int]] = []
        # What could not be copied, and is logged once more by the next transaction.
        self._failed: list[Change] = []
        self._noted_again = 0
        self._under_way: set[tuple[int, int]] = set()
        self._idle_readers: list[sqlite3.Connection] = []
        self._failure: MirrorError | None = None
        self._failed_at = -_RETRY_SECONDS
        self._mutex = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, to read through outside of a transaction."""
        return self._connection or self._open()

    @property
    def is_behind(self) -> bool:
        """Whether the mirror has to begin with the whole table; see `mirror.recovery`."""
        with translated(self.path):
            return change_log.positions(self.connection).get(MIRROR) == change_log.BEHIND

    def open(self) -> None:
        """Open the file, made where it is missing, and copy what somebody who was killed has not.

        Raises:
            StoreError: As its subclasses say.
            MirrorError: The second copy cannot be written.
        """
        if self._connection is None:
            self._open()

    @contextmanager
    def transaction(self, lines: Lines | None = None) -> Iterator[Transaction]:
        """Write to the file: committed, synced and copied at the end, or not at all.

        Args:
            lines: Filled before the end, with the JSON of rows that are written; see `Consumer`.

        Raises:
            StoreError: As its subclasses say; nothing was written.
            MirrorError: It is committed, and not copied; the next opening does that.
        """
        batches: list[Batch] = []
        with self.commit(batches) as writing:
            yield writing
        for batch in batches:
            self.follow(batch, lines)

    @contextmanager
    def commit(
        self, batches: list[Batch], is_wanted: Callable[[], bool] = lambda: True
    ) -> Iterator[Transaction]:
        """Write to the file that lies there: committed and synced at the end, or not at all.

        Args:
            batches: Gets what is to be copied, by `follow`; it is committed already.
            is_wanted: Whether it is still worth waiting for other writers.

        Raises:
            StoreError: As its subclasses say; nothing was written.
        """
        while True:
            connection = self._connection or self._open(is_wanted)
            with lock.held(lock.lock_path(self.path), self.timeout_seconds, is_wanted):
                # Only under the lock of its writers is it sure to stay the one that lies there.
                if self._identity is not None and identity(self.path) == self._identity:
                    with translated(self.path):
                        yield from self._committed(connection, batches)
                    return
            self.close()

    def follow(self, batch: Batch, lines: Lines | None = None) -> None:
        """Copy what was committed: synced on return.

        Raises:
            MirrorError: It cannot be copied: it is tried again now and then, and by the next
                opening. What others left, and cannot be copied either, is no error of this one.
        """
        if isinstance(self._mirror, str | None):
            os.close(batch.gate)
            return
        failed: list[Change] = []
        try:
            with self._reader() as connection:
                if batch.is_recovery:
                    failed = self._recovered(self._mirror, connection, batch.changes)
                else:
                    self._mirror.apply(connection, batch.changes, lines or {}, may_be_there=False)
        except BaseException as error:
            failed = batch.changes
            if isinstance(error, MirrorError):
                self._failure = error
            if not batch.is_recovery or not isinstance(error, KhiveError):
                raise
        finally:
            with self._mutex:
                self._done += batch.ranges
                self._failed += failed
                self._under_way.difference_update(batch.ranges)
                if failed:
                    self._failed_at = time.monotonic()
            os.close(batch.gate)

    @property
    def has_failed(self) -> bool:
        """Whether something could not be copied since it was last tried."""
        return bool(self._failed)

    def copy_again(self) -> None:
        """Copy what could not be copied before.

        Raises:
            StoreError: As its subclasses say.
            MirrorError: It cannot be copied yet.
        """
        self._failed_at = -_RETRY_SECONDS
        failure = self._failure
        with self.transaction():
            pass
        if (self._failed or self.is_behind) and failure is not None:
            raise failure

    def changes_of_others(self) -> tuple[int, int]:
        """Return another value after another connection has committed, or the file was replaced.

        Raises:
            StoreError: The file cannot be opened.
        """
        # Opened anew where it was replaced: only then it can be told.
        if identity(self.path) != self._identity:
            self.close()
        with translated(self.path):
            # SQLite's own count: it leaves out what this connection commits.
            (count,) = self.connection.execute("PRAGMA data_version").fetchone()
        return self._openings, count

    def tidy(self) -> bool:
        """Empty a large write-ahead log that a long reader has kept; whether it is still there."""
        if self._connection is None or self._wal_bytes() < _LARGE_WAL_BYTES:
            return False
        descriptor = lock.try_acquire(lock.lock_path(self.path))
        if descriptor is None:
            return True
        try:
            return not _emptied(self._connection, 0)
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
            with lock.held(lock.lock_path(self.path), _CLOSING_SECONDS):
                if identity(self.path) == self._identity:
                    with suppress(sqlite3.Error):
                        self._acknowledge_all(connection)
                        _emptied(connection, _CHECKPOINT_MILLISECONDS)
                connection.close()
        except StoreError:
            # Without its turn it must not write; the WAL stays for the next to open the file.
            connection.execute("PRAGMA query_only = ON")
            connection.close()
        self._done.clear()

    def _open(self, is_wanted: Callable[[], bool] = lambda: True) -> sqlite3.Connection:
        make(self.path)
        # Looked at before: a file that is replaced meanwhile is not taken for the new one.
        self._identity = identity(self.path)
        connection = open_writer(self.path, self.purpose, self.timeout_seconds, is_wanted)
        if self._is_secure:
            connection.execute("PRAGMA secure_delete = ON")
        self._connection = connection
        self._openings += 1
        try:
            with translated(self.path):
                is_settled = self._is_settled(connection)
            if not is_settled:
                batches: list[Batch] = []
                with self.commit(batches) as writing:
                    self._settle(writing.connection)
                for batch in batches:
                    self.follow(batch)
        except BaseException:
            self.close()
            raise
        return self._connection or self._open()

    def _is_settled(self, connection: sqlite3.Connection) -> bool:
        """Whether nobody else wrote to the file, and the mirror has, or had once, all of it."""
        table = self.purpose.table
        connection.execute("BEGIN")
        try:
            state = change_log.state(connection)
            position = change_log.positions(connection).get(MIRROR)
            is_ours = state.last_rowid == change_log.last_rowid(connection, table)
            entries = change_log.first_after(connection, -1 if position is None else position)
            self._is_logged = position is not None
        finally:
            connection.execute("END")
        if isinstance(self._mirror, str):
            return is_ours and position is None
        if self._mirror is None:
            return is_ours
        is_followed = position == change_log.BEHIND or entries is None
        is_known = position is not None and state.epoch == self._mirror.epoch()
        return is_ours and is_known and is_followed

    def _settle(self, connection: sqlite3.Connection) -> None:
        """Mend, in a transaction, what `_is_settled` found."""
        epoch = change_log.state(connection).epoch
        is_empty = change_log.last_rowid(connection, self.purpose.table) == 0
        if isinstance(self._mirror, str):
            change_log.drop_consumer(connection, MIRROR)
        elif self._mirror is not None:
            position = change_log.positions(connection).get(MIRROR)
            if position is None or epoch != self._mirror.epoch():
                begin = change_log.BEHIND
                # Where it cannot be written, what is saved is in the database all the same.
                with suppress(MirrorError):
                    self._mirror.set_epoch(epoch)
                    begin = change_log.last(connection) if is_empty else begin
                change_log.set_position(connection, MIRROR, begin)
        self._is_logged = MIRROR in change_log.positions(connection)

    def _note_others(self, connection: sqlite3.Connection) -> bool:
        """Let all consumers begin anew where somebody else has inserted; whether somebody has."""
        table = self.purpose.table
        if change_log.state(connection).last_rowid == change_log.last_rowid(connection, table):
            return False
        change_log.set_state(connection, table)
        for consumer in change_log.positions(connection):
            change_log.set_position(connection, consumer, change_log.BEHIND)
        return True

    def _committed(
        self, connection: sqlite3.Connection, batches: list[Batch]
    ) -> Iterator[Transaction]:
        wait_for(connection, self.timeout_seconds)
        connection.execute("BEGIN IMMEDIATE")
        made: list[Batch] = []
        try:
            is_passed_by = self._note_others(connection)
            position = change_log.positions(connection).get(MIRROR)
            self._is_logged = position is not None
            orphans = self._acknowledge(connection, position)
            begin = change_log.last(connection) if self._is_logged else 0
            writing = Transaction(connection, self.purpose, is_logged=self._is_logged)
            yield writing
            if writing.has_changed or is_passed_by:
                change_log.note_state(connection, self.purpose.table, writing.added)
            if self._is_logged and not isinstance(self._mirror, str | None):
                end = change_log.last(connection)
                change_log.trim(connection, end)
                if orphans:
                    changes = list(orphans.values())
                    made.append(Batch(changes, _spans(orphans), self._gate(), True))
                if entries := change_log.changes(connection, begin, end):
                    changes = list(entries.values())
                    made.append(Batch(changes, [(begin, end)], self._gate(), False))
            connection.execute("COMMIT")
        except BaseException:
            for batch in made:
                os.close(batch.gate)
            # A full disk has rolled it back already.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        with self._mutex:
            for batch in made:
                self._under_way.update(batch.ranges)
            # Not before: rolled back, they are not in the log again.
            del self._failed[: self._noted_again]
        batches += made

    def _acknowledge(
        self, connection: sqlite3.Connection, position: int | None
    ) -> dict[int, Change]:
        """Let the mirror's position follow what this process has copied.

        Returns:
            The entries of those who were killed before they had copied them: nobody is about to.
        """
        if (
            position is None
            or position == change_log.BEHIND
            or isinstance(self._mirror, str | None)
        ):
            self._done.clear()
            self._failed.clear()
            self._noted_again = 0
            return {}
        with self._mutex:
            done = sorted(self._done)
            failed = list(self._failed)
            under_way = set(self._under_way)
        change_log.note_again(connection, failed)
        self._noted_again = len(failed)
        reached = position
        for begin, end in done:
            if (change_log.first_after(connection, reached) or end) > begin:
                reached = max(reached, end)
        if reached != position:
            change_log.set_position(connection, MIRROR, reached)
            with self._mutex:
                self._done = [span for span in self._done if span[1] > reached]
        following = change_log.first_after(connection, reached)
        if following is None or any(begin < following <= end for begin, end in under_way):
            return {}
        if time.monotonic() < self._failed_at + _RETRY_SECONDS:
            return {}
        alone = lock.try_acquire(lock.gate_path(self.path))
        if alone is None:
            # Somebody copies just now, and leaves none.
            return {}
        os.close(alone)
        entries = change_log.changes(connection, reached, change_log.last(connection))
        own = [span for span in done if span[1] > reached]
        return {
            seq: change
            for seq, change in entries.items()
            if not any(begin < seq <= end for begin, end in own)
        }

    def _acknowledge_all(self, connection: sqlite3.Connection) -> None:
        """Let the position follow, at the end; it may be lost with the power, and done again."""
        if not self._done:
            return
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._acknowledge(connection, change_log.positions(connection).get(MIRROR))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _recovered(
        self, mirror: Consumer, connection: sqlite3.Connection, changes: list[Change]
    ) -> list[Change]:
        """Copy what somebody else did not; the changes of which that cannot be done."""
        try:
            mirror.apply(connection, changes, {}, may_be_there=True)
        except MirrorError as error:
            self._failure = error
            if len(changes) == 1 or not isinstance(error.__cause__, KhiveError):
                return changes
            # One that cannot be copied must not keep out the others.
            half = len(changes) // 2
            return [
                *self._recovered(mirror, connection, changes[:half]),
                *self._recovered(mirror, connection, changes[half:]),
            ]
        return []

    def _gate(self) -> int:
        # Whoever has it alone holds the lock of the writers, too: it is free, or shared.
        return lock.acquire(lock.gate_path(self.path), self.timeout_seconds, shared=True)

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees each last commit, for as long as the `with`."""
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


def _emptied(connection: sqlite3.Connection, wait_milliseconds: int) -> bool:
    """Write the WAL back, and cut it off; whether nobody kept it."""
    (before,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {wait_milliseconds}")
    try:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {before}")
    return not busy


def _spans(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending numbers as ranges, each from after one to another."""
    spans: list[tuple[int, int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1] = spans[-1][0], number
        else:
            spans.append((number - 1, number))
    return spans
