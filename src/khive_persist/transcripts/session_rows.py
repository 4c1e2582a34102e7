"""Read a session that is rows of a database, each message as a line, from where it was left."""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from khive_persist import clock
from khive_persist.errors import StoreUnavailableError
from khive_persist.store import codec
from khive_persist.store.sqlite.session_database import Change, SessionDatabase
from khive_persist.tools.transcript_files import InDatabase
from khive_persist.transcripts.growing_file import START, Position, RawLine

# A change may be committed so much later than its time says: as long it is looked at once more.
_LATE_MS: Final = 5_000


class SessionRows:
    """A session whose client writes its messages again as they go on: a `Source`.

    A position's tail is the time of the last change that was read, and a digest of those just
    before it: where another one has come among them since, they are all read again.
    """

    def __init__(self, place: InDatabase, position: Position) -> None:
        """Open the session at a known position.

        Raises:
            OSError: There is no such session, or no database.
            StoreError: The database cannot be read.
        """
        self._database = SessionDatabase(place.database)
        try:
            session = self._database.session(place.session_id)
            if session is None:
                raise StoreUnavailableError(f"{place.database} has no session {place.session_id}")
            self._changes: Sequence[Change] = self._database.changes(place.session_id)
        except BaseException:
            self._database.close()
            raise
        self._session = session
        self._mark = _digest([place.session_id, session.get("time_created")])
        self.is_known = position.end > 0 and position.head == self._mark
        self.is_rewritten = position.end > 0 and not self.is_known
        self.began_at = position if self.is_known else START
        self._start = self._unread(self.began_at.tail)
        updated = session.get("time_updated")
        times = [updated if isinstance(updated, int) else 0, *(c.at for c in self._changes[-1:])]
        self.modified_at = clock.to_text(clock.from_ns(max(times) * 1_000_000))

    def lines(self) -> Iterator[RawLine]:
        """Yield the messages that were written since, in the order of their last changes."""
        number, end, _, _ = self.began_at
        for change in self._changes[self._start :]:
            # One that was taken back meanwhile has no content, and counts as read.
            message = self._database.message(change.message_id) or {}
            content = codec.dump_lossy({"type": "message", **message}).encode()
            number, end = number + 1, end + len(content)
            yield RawLine(number, end, content)

    def position(self, line: int, end: int) -> Position:
        read = self._start + line - self.began_at.line
        return Position(line, end, self._mark, self._tail(read))

    def close(self) -> None:
        self._database.close()

    def _unread(self, tail: str) -> int:
        """Return the number of changes that were read."""
        latest = int(tail.partition(" ")[0]) if tail.partition(" ")[0].isdecimal() else 0
        read = bisect_right(self._changes, latest, key=_at)
        # Of one instant all or not: those that were left of it come after it.
        if read and self._tail(read) == tail:
            return read
        return bisect_left(self._changes, latest - _LATE_MS, key=_at)

    def _tail(self, read: int) -> str:
        if not read:
            return ""
        latest = self._changes[read - 1].at
        since = bisect_left(self._changes, latest - _LATE_MS, key=_at)
        return f"{latest} {_digest(self._changes[since:read])}"


def session_modified_at(place: InDatabase) -> str:
    """Return when a session was last written to, as UTC text.

    Raises:
        OSError: There is no such session, or no database.
        StoreError: The database cannot be read.
    """
    rows = SessionRows(place, START)
    rows.close()
    return rows.modified_at


def sessions_in(database: Path) -> list[Path]:
    """Return the paths of the sessions in a database.

    Raises:
        OSError: It is not there.
        StoreError: It cannot be read.
    """
    with SessionDatabase(database) as sessions:
        return [database / str(session["id"]) for session in sessions.sessions()]


def refuse_database(database: Path) -> None:
    """Say why a database is no transcript: it cannot be read, or names no session.

    Raises:
        OSError: Always, or
        StoreError: where it cannot be read.
    """
    SessionDatabase(database).close()
    raise StoreUnavailableError(f"{database} has many sessions, and is no transcript of one")


def _at(change: Change) -> int:
    return change.at


def _digest(value: Any) -> str:
    return hashlib.blake2b(codec.dump_lossy(value).encode(), digest_size=16).hexdigest()
