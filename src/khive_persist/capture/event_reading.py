"""From an event's bytes to its row: here, or in a process of its own where that is safer."""

import signal
from collections.abc import Callable
from typing import Final

from khive_persist.capture.isolation import read_alone
from khive_persist.capture.long_payloads import is_heavy, most_seconds
from khive_persist.capture.payload_to_row import normalise
from khive_persist.capture.spool import Event, Spool
from khive_persist.capture.time_limit import OutOfTime, TimeLimit
from khive_persist.redaction import Redactor
from khive_persist.settings import Settings
from khive_persist.store.codec import Row

KILLS: Final = "its reading takes too much time or memory, or kills who reads it"


class Unreadable(Exception):
    """A reason for which no row comes of an event, however often it is tried."""


class EventReader:
    """Read the events of one spool."""

    def __init__(
        self, spool: Spool, settings: Settings, redactor: Redactor | None, *, is_timed: bool
    ) -> None:
        """Take what rows depend on.

        With `is_timed` an event that takes too long may end this process, by SIGPROF. If not, an
        exception ends its reading, and it is read in a process of its own.
        """
        self._spool = spool
        self._settings = settings
        self._redactor = redactor
        self._is_timed = is_timed
        self._limit = TimeLimit()

    def row(self, event: Event, raw: bytes) -> Row:
        """Return the row of an event, of the bytes of its file.

        Raises:
            Unreadable: It has none: it kills who reads it, or takes too much time or memory.
            OSError: The process of its own cannot be started: it may be tried again.
        """
        if is_heavy(raw):
            return self._row_alone(event)
        try:
            return self._limited(
                lambda: normalise(event, raw, self._settings, self._redactor),
                most_seconds(len(raw)),
            )
        except (MemoryError, OutOfTime):
            return self._row_alone(event)
        except Exception as error:  # A mistake of ours in one event must not keep out the others.
            raise Unreadable(f"{type(error).__name__}: {error}") from error

    def _limited(self, read: Callable[[], Row], seconds: float) -> Row:
        if not self._is_timed:
            return self._limit.call(read, seconds)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        try:
            return read()
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    def _row_alone(self, event: Event) -> Row:
        (row,) = read_alone(self._spool, [event])
        if row is None:
            raise Unreadable(KILLS)
        return row
