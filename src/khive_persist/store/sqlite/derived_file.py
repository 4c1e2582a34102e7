"""A database that is derived from others: it is no record's only place, and can be made anew.

It is, where it has another schema than this program gives it, or was not made with this user's key:
git, or an archive, can bring any file at any time.
"""

import os
import secrets
import sqlite3
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from khive_persist.errors import StoreDamagedError
from khive_persist.store.sqlite import guard, migrations
from khive_persist.store.sqlite.connection import (
    Connection,
    make,
    open_derived,
    open_reader,
    refuse_link,
)
from khive_persist.store.sqlite.errors import translated
from khive_persist.trust import macs

_SIDECARS: Final = ("-wal", "-shm", "-journal", "")
_LISTED: Final = "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema"


class Schema(NamedTuple):
    """The schema of a derived database.

    Attributes:
        version: Its number in the file.
        sql: Its statements; a table `state` in it has the columns `nonce` and `mac`, and one row.
        page_bytes: The size of a page.
    """

    version: int
    sql: str
    page_bytes: int


def open_writer(path: Path, schema: Schema) -> Connection:
    """Open it for writing, by who holds its lock; made anew where it is missing or none of ours.

    Raises:
        StoreError: As its subclasses say.
        ProjectError: The key of this user's MACs cannot be read.
    """
    refuse_link(path)
    if path.exists():
        guard.refuse_foreign(path)
        with suppress(StoreDamagedError):
            connection = open_derived(path)
            try:
                if _is_ours(connection, path, schema):
                    return connection
            except BaseException:
                connection.close()
                raise
            connection.close()
        remove(path)
    make(path)
    return _filled(path, schema)


def open_reader_if_ours(path: Path, schema: Schema) -> Connection | None:
    """Open it for reading only; None where there is none of ours.

    Raises:
        StoreError: As its subclasses say.
        ProjectError: The key of this user's MACs cannot be read.
    """
    if not path.exists():
        return None
    try:
        connection = open_reader(path)
    except StoreDamagedError as error:
        if getattr(error.__cause__, "sqlite_errorcode", 0) == sqlite3.SQLITE_NOTADB:
            return None
        raise
    try:
        if _is_ours(connection, path, schema):
            return connection
    except BaseException:
        connection.close()
        raise
    connection.close()
    return None


def remove(path: Path) -> bool:
    """Remove it with its sidecars, by who holds its lock, and return whether it was there."""
    refuse_link(path)
    is_there = os.path.lexists(path)
    for suffix in _SIDECARS:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return is_there


def _filled(path: Path, schema: Schema) -> Connection:
    connection = open_derived(path, page_bytes=schema.page_bytes)
    nonce = secrets.token_hex(16)
    try:
        with translated(path):
            connection.execute("BEGIN IMMEDIATE")
            for statement in migrations.statements_in(schema.sql):
                connection.execute(statement)
            mac = macs.mac(path.parent, path.name, nonce.encode())
            connection.execute("INSERT INTO state (nonce, mac) VALUES (?, ?)", (nonce, mac))
            connection.execute(f"PRAGMA user_version = {schema.version}")
            connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _is_ours(connection: Connection, path: Path, schema: Schema) -> bool:
    """Return whether a file is one that `_filled` made: no table of it is read before that."""
    try:
        if migrations.version(connection) != schema.version:
            return False
        # No virtual table is touched by listing it.
        if set(connection.execute(_LISTED)) != _expected(schema):
            return False
        rows = connection.execute("SELECT nonce, mac FROM state LIMIT 2").fetchall()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return False
        with translated(path):
            raise
    if len(rows) != 1:
        return False
    nonce, mac = rows[0]
    return macs.is_ours(path.parent, path.name, str(nonce).encode(), mac)


@lru_cache(4)
def _expected(schema: Schema) -> frozenset[tuple[str, str, str, str]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(schema.sql)
        return frozenset(connection.execute(_LISTED))
