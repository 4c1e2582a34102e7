"""SQLite files as they lie, whoever made them: read without a trace, and never written."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from khive_persist.store.codec import StoredRow
from khive_persist.store.source import COLUMNS
from khive_persist.store.sqlite import guard
from khive_persist.store.sqlite.catalogue import as_identifier
from khive_persist.store.sqlite.connection import Connection, open_apart, opened_reader
from khive_persist.store.sqlite.errors import PRIMARY, translate, translated
from khive_persist.store.sqlite.snapshot import record_tables, rows_of


def is_database(path: Path) -> bool:
    """Return whether a file is SQLite's.

    SQLite itself looks: to open a database otherwise would, at closing, drop the locks that other
    connections of this process hold on it.

    Raises:
        StoreError: It is one, but cannot be read.
    """
    with opened_reader(path) as connection:
        try:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & PRIMARY == sqlite3.SQLITE_NOTADB:
                return False
            raise translate(error, path) from error
    return bool(pages)


def raw_rows(connection: Connection, table: str) -> Iterator[tuple[Any, ...]]:
    """Yield the five columns of a table's rows, of whatever type they are."""
    yield from connection.execute(f"SELECT {COLUMNS} FROM {as_identifier(table)}")


def records(path: Path) -> Iterator[StoredRow]:
    """Yield the records of a database that no process has open.

    Raises:
        StoreError: It cannot be read to its end.
    """
    with translated(path), closing(open_apart(path, "ro&immutable=1")) as connection:
        for table in record_tables(connection):
            for _, row in rows_of(connection, table):
                yield row


def acting(path: Path) -> list[guard.Acting]:
    """Return the triggers and generated columns on our tables in a file; none of no database."""
    # Without a log there is nothing to miss, and no file is made beside it.
    has_log = path.with_name(path.name + "-wal").is_file()
    try:
        with closing(open_apart(path, "ro" if has_log else "ro&immutable=1")) as reader:
            return guard.acting(reader)
    except sqlite3.Error:
        return []
