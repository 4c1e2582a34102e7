"""The rows of one table, as text, for who copies or compares them.

What reads a file raises a StoreError, as its subclasses say, where that cannot be read.
"""

import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from khive_persist.errors import StoreDamagedError
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.source import COLUMNS
from khive_persist.store.sqlite import migrations, statements
from khive_persist.store.sqlite.connection import fault_of, opened_reader
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.words import quoted

_DAMAGED: Final = "see khive-persist doctor"
_BATCH: Final = 500
_BATCH_CHARACTERS: Final = 4 << 20


def read_all(path: Path, table: str) -> Generator[list[StoredRow], None, None]:
    """Yield all rows as they are at one moment, in batches, as they were inserted.

    A file that is just being made has none.

    Raises:
        StoreDamagedError: SQLite finds a fault in the file, its indexes included, or its table has
            other columns.
        StoreError: As its other subclasses say.
    """
    with opened_reader(path) as connection, translated(path):
        connection.execute("BEGIN")
        migrations.refuse_newer(connection, path)
        if fault := fault_of(connection, "integrity_check(1)"):
            raise StoreDamagedError(f"{path}: {fault}", hint=_DAMAGED)
        if not migrations.has_table(connection, table):
            return
        try:
            cursor = connection.execute(f"SELECT {COLUMNS} FROM {quoted(table)}")
        except sqlite3.OperationalError as error:
            raise StoreDamagedError(f"{path}: {error}", hint=_DAMAGED) from error
        batch: list[StoredRow] = []
        size = 0
        for row in cursor:
            batch.append(codec.as_text(row))
            size += sum(len(text) for text in (batch[-1][1], batch[-1][2], batch[-1][4]) if text)
            if len(batch) == _BATCH or size >= _BATCH_CHARACTERS:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch


@contextmanager
def snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a connection that sees the database as it is now, whoever writes to it meanwhile."""
    with opened_reader(path) as connection, translated(path):
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        yield connection


def read_ids(path: Path, table: str, ids: list[str]) -> list[StoredRow]:
    """Return the rows of these ids, where they are."""
    with opened_reader(path) as connection, translated(path):
        return fetch_ids(connection, table, ids)


def fetch_ids(connection: sqlite3.Connection, table: str, ids: list[str]) -> list[StoredRow]:
    """Read the rows of these ids through an open connection, in the order of the ids."""
    if not migrations.has_table(connection, table):
        return []
    rows = connection.execute(statements.rows_of_ids(table), [codec.dump(ids)])
    return in_order(ids, rows)


def read_sessions(path: Path, table: str, sessions: list[str]) -> list[StoredRow]:
    """Return the rows of these sessions, as they were inserted."""
    with opened_reader(path) as connection, translated(path):
        return fetch_sessions(connection, table, sessions)


def fetch_sessions(
    connection: sqlite3.Connection, table: str, sessions: list[str]
) -> list[StoredRow]:
    """Read the rows of these sessions through an open connection, as they were inserted."""
    if not migrations.has_table(connection, table):
        return []
    sql = statements.rows_of_sessions(table)
    return [codec.as_text(row) for row in connection.execute(sql, [codec.dump_lossy(sessions)])]


def session_start(
    connection: sqlite3.Connection, table: str, session: str, ids: Sequence[str]
) -> str | None:
    """Return `created_at` of a session's first row that is none of these; None without one."""
    sql = statements.first_of_session(table)
    first = connection.execute(sql, (session, codec.dump(ids))).fetchone()
    return None if first is None else first[0]


def in_order(ids: Iterable[str], rows: Iterable[Any]) -> list[StoredRow]:
    """Return rows as SQLite gave them, as text, in the order of their ids."""
    by_id = {row[0]: codec.as_text(row) for row in rows}
    return [by_id[id] for id in dict.fromkeys(ids) if id in by_id]
