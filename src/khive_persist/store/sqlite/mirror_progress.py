"""Changes that this process has copied to a file's mirror, is copying, or cannot copy."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, NamedTuple

from khive_persist.errors import KhiveError, MirrorError
from khive_persist.store.change import Change, Consumer, Lines
from khive_persist.store.sqlite import change_log, write_lock

MIRROR: Final = "mirror"
# Who keeps the second copy; "off" where settings say that there is none; None where who writes does
# not know: then whoever opens the file next and knows copies it.
Mirroring = Consumer | Literal["off"] | None

# Where the second copy cannot be written, not every save tries to write all that is missing.
_RETRY_SECONDS: Final = 5.0
# Who has copied something tells the log sooner, unless it is killed.
_NEWS_SECONDS: Final = 2.0


class Batch(NamedTuple):
    """Changes that were committed, and are not copied yet.

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


class MirrorProgress:
    """The progress of one file's mirror, as its change log and this process know it.

    The calls that take a writing connection come one at a time, with the lock of the file's writers
    held; `copy` may be called from any thread.

    Attributes:
        is_logged: Whether somebody follows the log.
        failure: Why something could not be copied the last time that it was tried.
    """

    def __init__(self, path: Path, table: str, mirror: Mirroring) -> None:
        self.is_logged = False
        self._is_mirrored = False
        self.failure: MirrorError | None = None
        self._path = path
        self._table = table
        self._mirror = mirror
        # Ranges of entries that are copied, and those that are being copied.
        self._copied: list[tuple[int, int]] = []
        self._under_way: set[tuple[int, int]] = set()
        # What could not be copied, and is logged once more by the next transaction.
        self._failed: list[Change] = []
        self._noted_again = 0
        self._failed_at = -_RETRY_SECONDS
        # Tells others that what is copied is no orphan.
        self._news: int | None = None
        # The first entry that others had news about, and when that was seen.
        self._postponed = (0, 0.0)
        self._mutex = threading.Lock()

    @property
    def has_failed(self) -> bool:
        """Return whether something could not be copied since it was last tried."""
        return bool(self._failed)

    @property
    def has_news(self) -> bool:
        """Return whether something was copied that the log does not know of."""
        return bool(self._copied)

    def is_settled(self, connection: sqlite3.Connection) -> bool:
        """Return whether nobody else wrote to the file, and the mirror has, or had, all of it."""
        connection.execute("BEGIN")
        try:
            state = change_log.state(connection)
            positions = change_log.positions(connection)
            position = positions.get(MIRROR)
            is_ours = state.last_rowid == change_log.last_rowid(connection, self._table)
            entries = change_log.first_after(connection, -1 if position is None else position)
            self.is_logged = bool(positions)
        finally:
            connection.execute("END")
        if isinstance(self._mirror, str):
            return is_ours and position is None
        if self._mirror is None:
            return is_ours
        is_followed = position == change_log.BEHIND or entries is None
        is_known = position is not None and state.epoch == self._mirror.epoch()
        return is_ours and is_known and is_followed

    def settle(self, connection: sqlite3.Connection) -> None:
        """Mend, in a transaction, what `is_settled` found."""
        epoch = change_log.state(connection).epoch
        is_empty = change_log.last_rowid(connection, self._table) == 0
        if isinstance(self._mirror, str):
            change_log.drop_consumer(connection, MIRROR)
        elif self._mirror is not None:
            position = change_log.positions(connection).get(MIRROR)
            if position is None or epoch != self._mirror.epoch():
                start = change_log.BEHIND
                # Where it cannot be written, what is saved is in the database all the same.
                with suppress(MirrorError):
                    self._mirror.set_epoch(epoch)
                    start = change_log.last(connection) if is_empty else start
                change_log.set_position(connection, MIRROR, start)
        self.is_logged = bool(change_log.positions(connection))

    def note_others(self, connection: sqlite3.Connection) -> bool:
        """Let all consumers begin anew where somebody else has inserted; whether somebody has."""
        if change_log.state(connection).last_rowid == change_log.last_rowid(
            connection, self._table
        ):
            return False
        change_log.set_state(connection, self._table)
        for consumer in change_log.positions(connection):
            change_log.set_position(connection, consumer, change_log.BEHIND)
        return True

    def acknowledge(self, connection: sqlite3.Connection) -> dict[int, Change]:
        """Let the mirror's position follow what this process has copied.

        Returns:
            The entries of those who were killed before they had copied them: nobody is about to.
        """
        positions = change_log.positions(connection)
        position = positions.get(MIRROR)
        self.is_logged, self._is_mirrored = bool(positions), position is not None
        if (
            position is None
            or position == change_log.BEHIND
            or isinstance(self._mirror, str | None)
        ):
            self._copied.clear()
            self._failed.clear()
            self._noted_again = 0
            return {}
        with self._mutex:
            copied = sorted(self._copied)
            failed = list(self._failed)
            under_way = set(self._under_way)
        change_log.note_again(connection, failed)
        self._noted_again = len(failed)
        reached = position
        for start, end in copied:
            if (change_log.first_after(connection, reached) or end) > start:
                reached = max(reached, end)
        if reached != position:
            change_log.set_position(connection, MIRROR, reached)
            with self._mutex:
                self._copied = [span for span in self._copied if span[1] > reached]
        following = change_log.first_after(connection, reached)
        if following is None or any(start < following <= end for start, end in under_way):
            return {}
        if time.monotonic() < self._failed_at + _RETRY_SECONDS:
            return {}
        alone = write_lock.try_acquire(write_lock.gate_path(self._path))
        if alone is None:
            # Somebody copies just now; it is his.
            return {}
        try:
            if self._is_news(following, alone):
                return {}
        finally:
            os.close(alone)
        entries = change_log.changes(connection, reached, change_log.last(connection))
        ahead = [span for span in copied if span[1] > reached]
        return {
            seq: change
            for seq, change in entries.items()
            if not any(start < seq <= end for start, end in ahead)
        }

    def batches(
        self,
        connection: sqlite3.Connection,
        orphans: dict[int, Change],
        start: int,
        timeout_seconds: float,
    ) -> list[Batch]:
        """Make ready, before the commit, what is to be copied after it.

        Args:
            connection: Its transaction is open.
            orphans: The changes that `acknowledge` returned.
            start: The last entry before the transaction.
            timeout_seconds: The longest wait for the gate.
        """
        batches: list[Batch] = []
        if not self.is_logged:
            return batches
        end = change_log.last(connection)
        change_log.trim(connection, end)
        if not self._is_mirrored or isinstance(self._mirror, str | None):
            return batches
        entries = change_log.changes(connection, start, end)
        for changes, ranges, is_recovery in (
            (list(orphans.values()), _spans(orphans), True),
            (list(entries.values()), [(start, end)], False),
        ):
            if changes:
                # Whoever has it alone holds the lock of the writers, too: it is free, or shared.
                gate = write_lock.acquire(
                    write_lock.gate_path(self._path), timeout_seconds, shared=True
                )
                batches.append(Batch(changes, ranges, gate, is_recovery))
        return batches

    def committed(self, batches: list[Batch]) -> None:
        """Note that these were committed, and are copied from now on."""
        with self._mutex:
            for batch in batches:
                self._under_way.update(batch.ranges)
            # Not before: rolled back, they are not in the log again.
            del self._failed[: self._noted_again]
            self._noted_again = 0
            if not self._copied:
                self._end_news()

    def copy(self, batch: Batch, connection: sqlite3.Connection, lines: Lines) -> None:
        """Copy what was committed: synced on return.

        Raises:
            MirrorError: It cannot be copied: it is tried again now and then, and by the next
                opening. What others left, and cannot be copied either, is no error of this one.
        """
        failed = batch.changes
        try:
            if isinstance(self._mirror, str | None):
                failed = []
            elif batch.is_recovery:
                failed = self._recovered(self._mirror, connection, batch.changes)
            else:
                self._mirror.apply(connection, batch.changes, lines, may_be_there=False)
                failed = []
        except MirrorError as error:
            self.failure = error
            raise
        finally:
            with self._mutex:
                if self._news is None:
                    self._news = write_lock.announce_news(write_lock.gate_path(self._path))
                self._copied += batch.ranges
                self._failed += failed
                self._under_way.difference_update(batch.ranges)
                if failed:
                    self._failed_at = time.monotonic()

    def try_soon(self) -> None:
        """Let the next transaction try again what could not be copied."""
        self._failed_at = -_RETRY_SECONDS

    def forget(self) -> None:
        """Forget what was copied: the file is closed."""
        with self._mutex:
            self._copied.clear()
            self._end_news()

    def _end_news(self) -> None:
        if self._news is not None:
            write_lock.end_news(self._news)
            self._news = None

    def _is_news(self, entry: int, gate: int) -> bool:
        """Return whether an entry that the log takes for an orphan may be copied already."""
        with self._mutex:
            if not write_lock.have_others_news(gate if self._news is None else self._news):
                return False
        if self._postponed[0] != entry:
            self._postponed = entry, time.monotonic()
        return time.monotonic() < self._postponed[1] + _NEWS_SECONDS

    def _recovered(
        self, mirror: Consumer, connection: sqlite3.Connection, changes: list[Change]
    ) -> list[Change]:
        """Copy what somebody else did not; the changes of which that cannot be done."""
        try:
            mirror.apply(connection, changes, {}, may_be_there=True)
        except MirrorError as error:
            self.failure = error
            if len(changes) == 1 or not isinstance(error.__cause__, KhiveError):
                return changes
            # One that cannot be copied must not keep out the others.
            middle = len(changes) // 2
            return [
                *self._recovered(mirror, connection, changes[:middle]),
                *self._recovered(mirror, connection, changes[middle:]),
            ]
        return []


def _spans(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Join ascending numbers to ranges, each from after one to another."""
    spans: list[tuple[int, int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1] = spans[-1][0], number
        else:
            spans.append((number - 1, number))
    return spans
