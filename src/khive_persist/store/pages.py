"""`Pages`: the rows of one statement, some at a time, without holding up who writes."""

import marshal
import os
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from khive_persist.errors import KhiveError, StoreFullError
from khive_persist.store.sqlite import connection as sqlite
from khive_persist.store.sqlite.connection_thread import ConnectionThread
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.named_rows import row_maker

Versions = dict[Path, tuple[int, int] | None]
Open = Callable[[], tuple[sqlite3.Connection, Versions, str, list[Any]]]

# A WAL cannot be emptied while somebody reads what was there before.
SNAPSHOT_SECONDS: Final = 5.0
_FETCH_ROWS: Final = 64


class Pages:
    """Reads with a connection of its own, all in one thread.

    Who reads on for longer than `SNAPSHOT_SECONDS` reads the rest from a file that has no name, to
    which it is copied then: so all rows are of one moment, and the database is let go.
    """

    def __init__(
        self,
        thread: ConnectionThread,
        names: str,
        opening: Open,
        record: type[NamedTuple] | None,
        *,
        holds_snapshot: bool,
    ) -> None:
        """Open nothing yet.

        Args:
            thread: The thread in which all of it is called.
            names: The files that are read, for errors.
            record: The class of which rows are made, by the names of columns; None for plain rows.
            holds_snapshot: Whether nothing is copied, however long it takes.
        """
        self._thread = thread
        self._names = names
        self._open = opening
        self._record = record
        self._make: Callable[[Any], Any] | None = None
        self._holds_snapshot = holds_snapshot
        self._cursor: sqlite3.Cursor | None = None
        self._versions: Versions = {}
        self._rest: IO[bytes] | None = None
        self._error: Exception | None = None
        self._has_begun = False

    def next(self) -> list[Any]:
        """Return the next rows; none after the last.

        Raises:
            StoreError: As its subclasses say.
        """
        with translated(self._names):
            if self._error is not None:
                raise self._error
            if not self._has_begun:
                self._begin()
            rows = self._fetch() if self._rest is None else _load(self._rest)
            return rows if self._make is None else [*map(self._make, rows)]

    def close(self) -> None:
        """Let go of the rows."""
        if self._rest is not None:
            self._rest.close()
        if self._cursor is not None:
            # Or it would keep the file open for as long as anything knows of it.
            self._cursor.close()

    def _begin(self) -> None:
        self._has_begun = True
        connection, self._versions, sql, values = self._open()
        self._cursor = connection.execute(sql, values)
        if self._record is not None:
            self._make = row_maker(self._record, self._cursor)
        if not self._holds_snapshot:
            self._thread.call_later(SNAPSHOT_SECONDS, self._copy_rest)

    def _fetch(self) -> list[Any]:
        assert self._cursor is not None
        rows = self._cursor.fetchmany(_FETCH_ROWS)
        sqlite.check_frozen(self._versions)
        return rows

    def _copy_rest(self) -> None:
        assert self._cursor is not None
        try:
            with translated(self._names):
                self._rest = tempfile.TemporaryFile(dir=_folder())  # noqa: SIM115 - `close` does
                while rows := self._fetch():
                    marshal.dump(rows, self._rest)
                self._rest.seek(0)
        except KhiveError as error:
            # Raised when somebody asks for more.
            self._error = error
        except OSError as error:
            self._error = StoreFullError(
                f"{self._names}: the rest of the rows cannot be copied ({error.strerror})",
                hint="free some space in the temporary folder",
            )
        self._cursor.close()
        self._cursor = None
        self._thread.hold(None)


def _load(file: IO[bytes]) -> list[Any]:
    try:
        rows: list[Any] = marshal.load(file)  # noqa: S302 - it is our own file, and has no name
    except EOFError:
        return []
    return rows


def _folder() -> str | None:
    # /tmp may be memory. SQLite prefers the same folder for its own.
    return "/var/tmp" if "TMPDIR" not in os.environ and os.path.isdir("/var/tmp") else None  # noqa: S108
