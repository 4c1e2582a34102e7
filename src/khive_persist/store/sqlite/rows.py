"""The rows of one table, as text, for who copies or compares them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite import statements
from khive_persist.store.sqlite.connection import open_reader
from khive_persist.store.sqlite.errors import translated

_BATCH: Final = 500


def read_all(path: Path, table: str) -> Iterator[list[StoredRow]]:
    """All rows as they are at one moment, in batches, as they were inserted.

    Raises:
        StoreError: As its subclasses say.
    """
    with closing(open_reader(path)) as connection, translated(path):
        cursor = connection.execute(f"SELECT {statements.COLUMNS} FROM {table}")
        while batch := cursor.fetchmany(_BATCH):
            yield [codec.as_text(row) for row in batch]


@contextmanager
def snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that sees the database as it is now, whoever writes to it meanwhile.

    Raises:
        StoreError: As its subclasses say.
    """
    with closing(open_reader(path)) as connection, translated(path):
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        yield connection


def read_ids(path: Path, table: str, ids: list[str]) -> list[StoredRow]:
    """The rows of these ids, where they are.

    Raises:
        StoreError: As its subclasses say.
    """
    with closing(open_reader(path)) as connection, translated(path):
        return fetch_ids(connection, table, ids)


def fetch_ids(connection: sqlite3.Connection, table: str, ids: list[str]) -> list[StoredRow]:
    """As `read_ids`, through an open connection."""
    sql = statements.rows_of_ids(table)
    return [codec.as_text(row) for row in connection.execute(sql, [codec.dump(ids)])]
