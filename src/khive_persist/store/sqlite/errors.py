"""SQLite's errors as ours, translated once, by their codes."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from khive_persist.errors import (
    InvalidQueryError,
    InvalidRecordError,
    KhiveError,
    StoreBusyError,
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)

# The primary code is the low byte of the extended one: https://sqlite.org/rescode.html
PRIMARY: Final = 0xFF

_ERRORS: Final[dict[int, tuple[type[KhiveError], str]]] = {
    sqlite3.SQLITE_ERROR: (InvalidQueryError, ""),
    sqlite3.SQLITE_BUSY: (StoreBusyError, "another program holds its lock; try again"),
    sqlite3.SQLITE_LOCKED: (StoreBusyError, "another program holds its lock; try again"),
    sqlite3.SQLITE_PROTOCOL: (StoreBusyError, "another program holds its lock; try again"),
    sqlite3.SQLITE_READONLY: (StoreUnavailableError, "make the file and its folder writable"),
    sqlite3.SQLITE_CANTOPEN: (StoreUnavailableError, "check that it is there and may be opened"),
    sqlite3.SQLITE_PERM: (StoreUnavailableError, "check its permissions"),
    sqlite3.SQLITE_IOERR: (StoreUnavailableError, "check the disk"),
    sqlite3.SQLITE_FULL: (StoreFullError, "free some space"),
    sqlite3.SQLITE_CORRUPT: (StoreDamagedError, "see khive-persist doctor"),
    sqlite3.SQLITE_NOTADB: (StoreDamagedError, "see khive-persist doctor"),
    sqlite3.SQLITE_TOOBIG: (InvalidRecordError, "a value is larger than SQLite stores"),
    sqlite3.SQLITE_CONSTRAINT: (InvalidRecordError, ""),
    sqlite3.SQLITE_MISMATCH: (InvalidRecordError, ""),
    sqlite3.SQLITE_AUTH: (InvalidQueryError, "only reading is allowed here"),
}


def translate(error: sqlite3.Error, path: Path | str) -> KhiveError:
    """Our error for one of SQLite's."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        # The driver's own, of which no code comes: several statements in one, or a value that no
        # column can hold.
        wrong_sql = isinstance(error, sqlite3.ProgrammingError)
        return (InvalidQueryError if wrong_sql else InvalidRecordError)(f"{path}: {error}")
    kind, hint = _ERRORS.get(code & PRIMARY, (StoreError, ""))
    return kind(f"{path}: {error}", hint=hint)


@contextmanager
def translated(path: Path | str) -> Iterator[None]:
    """Raise SQLite's errors as ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path) from error
    except (OverflowError, UnicodeEncodeError) as error:
        # The driver's own: an integer beyond 64 bits, a lone surrogate.
        raise InvalidRecordError(f"{path}: {error}") from error
