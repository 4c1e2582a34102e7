"""Databases in which a client keeps its sessions, as OpenCode and its forks do, while it writes.

Each statement is a transaction of its own, for reading only: the client never waits for one, and
can empty its log meanwhile.
"""

import os
import stat
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from khive_persist.errors import StoreUnavailableError
from khive_persist.store import codec
from khive_persist.store.sqlite.connection import open_apart
from khive_persist.store.sqlite.errors import translated

_TABLES: Final = ("session", "message", "part")
# A view, a virtual table or a generated column would compute what the file's maker likes.
_PLAIN: Final = """
SELECT count(*) FROM sqlite_schema AS s WHERE type = 'table' AND rootpage > 0
AND name IN ('session', 'message', 'part')
AND NOT EXISTS (SELECT 1 FROM pragma_table_xinfo(s.name) WHERE hidden <> 0)
"""
_SESSIONS: Final = "SELECT * FROM session ORDER BY time_created, id"
_SESSION: Final = "SELECT * FROM session WHERE id = ?"
_CHANGES: Final = """
SELECT m.id, max(m.time_updated, coalesce(
    (SELECT max(p.time_updated) FROM part AS p WHERE p.message_id = m.id), 0))
FROM message AS m WHERE m.session_id = ?
"""
_MESSAGE: Final = "SELECT * FROM message WHERE id = ?"
_PARTS: Final = "SELECT * FROM part WHERE message_id = ? ORDER BY id"

Row = dict[str, Any]


class Change(NamedTuple):
    """A message, and when it or a part of it was last written, in milliseconds since 1970."""

    at: int
    message_id: str


class SessionDatabase:
    """One database, open for reading; nothing is written into it, or beside it."""

    def __init__(self, path: Path) -> None:
        """Open a database.

        Raises:
            OSError: It is not there, or no file.
            StoreError: It cannot be read, or is no database of sessions.
        """
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise StoreUnavailableError(f"{path} is no file")
        self._path = path
        self._frozen = self._version()
        mode = "ro" if self._frozen is None else "ro&immutable=1"
        with translated(path):
            self._connection = open_apart(path, mode)
        try:
            if self._all(_PLAIN)[0][0] != len(_TABLES):
                raise StoreUnavailableError(f"{path} is no database of sessions")
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def sessions(self) -> list[Row]:
        """Return the sessions, the first one first, each by the names of its columns."""
        return self._rows(_SESSIONS)

    def session(self, session_id: str) -> Row | None:
        """Return a session; None where there is none of that id."""
        return next(iter(self._rows(_SESSION, session_id)), None)

    def changes(self, session_id: str) -> list[Change]:
        """Return the messages of a session in order of their last change."""
        rows = self._all(_CHANGES, session_id)
        return sorted(Change(at, id) for id, at in rows if isinstance(at, int))

    def message(self, message_id: str) -> Row | None:
        """Return a message with its `parts`, each with its `data` read; None where it is gone."""
        message = next(iter(self._rows(_MESSAGE, message_id)), None)
        if message is None:
            return None
        parts = [_with_data(part) for part in self._rows(_PARTS, message_id)]
        return _with_data(message) | {"parts": parts}

    def _rows(self, sql: str, *values: str) -> list[Row]:
        with translated(self._path), closing(self._connection.execute(sql, values)) as cursor:
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor]
        self._check()
        return rows

    def _all(self, sql: str, *values: str) -> list[tuple[Any, ...]]:
        with translated(self._path), closing(self._connection.execute(sql, values)) as cursor:
            rows = cursor.fetchall()
        self._check()
        return rows

    def _version(self) -> tuple[int, int] | None:
        """Return the size and time of a file that no client has open; None where one may."""
        if os.path.exists(f"{self._path}-wal"):
            return None
        status = os.stat(self._path)
        return status.st_size, status.st_mtime_ns

    def _check(self) -> None:
        if self._frozen is not None and self._version() != self._frozen:
            raise StoreUnavailableError(
                f"{self._path} was written to while it was read", hint="read it again"
            )


def _with_data(row: Mapping[str, Any]) -> Row:
    data = codec.column(row.get("data"))
    return {**row, "data": data if isinstance(data, dict) else {"damaged": str(row.get("data"))}}
