"""A copy of a database as it is at one moment, whoever writes to it meanwhile.

One that is no sound database is refused by a StoreDamagedError.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from khive_persist.errors import StoreDamagedError
from khive_persist.project import PRIVATE_FILE
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.source import COLUMNS
from khive_persist.store.sqlite import change_log, migrations, rows
from khive_persist.store.sqlite.catalogue import as_identifier
from khive_persist.store.sqlite.connection import fault_of, open_apart
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.rewrite import Change
from khive_persist.store.sqlite.statements import scalar
from khive_persist.store.sqlite.words import quoted

_PAGES_A_STEP: Final = 1024
_COLUMNS_OF: Final = "SELECT name FROM pragma_table_info(?)"


class Contents(NamedTuple):
    """The contents of a copy.

    Attributes:
        rows: The number of rows in each table.
        schema_version: Its `PRAGMA user_version`.
    """

    rows: dict[str, int]
    schema_version: int


def take(source: Path, target: Path) -> None:
    """Copy a database through SQLite's backup API; writers go on.

    All that was committed before the call is in the copy. Pages that did not change lie where they
    lay in an earlier copy.

    Args:
        target: A new file, 0600.

    Raises:
        StoreError: As its subclasses say; what there is of the copy is to be thrown away.
    """
    # Or the copy would begin anew at every commit of another process.
    with rows.snapshot(source) as reading:
        copy(reading, source, target)


def copy(reading: sqlite3.Connection, source: Path, target: Path) -> None:
    """Copy what a `rows.snapshot` sees, and let go of it; see `take`."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE))
    with closing(sqlite3.connect(target, isolation_level=None)) as writing, translated(source):
        writing.execute("PRAGMA journal_mode = OFF")
        writing.execute("PRAGMA synchronous = OFF")
        reading.backup(writing, pages=_PAGES_A_STEP, progress=_let_signals_in)
        reading.execute("END")


def examine(path: Path, *, fully: bool) -> Contents:
    """Look at a copy that nobody writes to.

    Args:
        path: The copy; nothing is made beside it.
        fully: Whether each index is compared with its table too, which takes much longer.
    """
    with translated(path), closing(open_apart(path, "ro&immutable=1")) as connection:
        check = "integrity_check" if fully else "quick_check"
        if fault := fault_of(connection, f"{check}(3)"):
            raise StoreDamagedError(f"{path}: {fault}")
        # A virtual table would call a module that is not ours. The log is no record.
        tables = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table'"
            " AND name NOT LIKE 'change\\_log%' ESCAPE '\\'"
            " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
            " AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name"
        ).fetchall()
        counts = {
            name: int(scalar(connection, f"SELECT count(*) FROM {as_identifier(name)}"))
            for (name,) in tables
        }
        return Contents(counts, migrations.version(connection))


def strip(path: Path, change: Change) -> int:
    """Remove rows of a copy that nobody else has, to their last byte; how many they were.

    Args:
        path: The copy.
        change: Gives None for a row that goes.
    """
    count = 0
    with translated(path), closing(open_apart(path, "rw")) as connection:
        connection.execute("PRAGMA journal_mode = MEMORY")
        for table in record_tables(connection):
            rowids = [(rowid,) for rowid, row in rows_of(connection, table) if change(row) is None]
            connection.executemany(f"DELETE FROM {quoted(table)} WHERE rowid = ?", rowids)
            count += len(rowids)
        if count:
            connection.execute("VACUUM")
    return count


def record_tables(connection: sqlite3.Connection) -> list[str]:
    """Return the tables of a database that have the five columns of records."""
    listed = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE 'CREATE TABLE%'"
    return [
        name
        for (name,) in connection.execute(listed).fetchall()
        if {column for (column,) in connection.execute(_COLUMNS_OF, (name,))}
        >= {*COLUMNS.split(", ")}
    ]


def rows_of(connection: sqlite3.Connection, table: str) -> Iterator[tuple[int, StoredRow]]:
    """Yield the rows of a table, each with its rowid."""
    sql = f"SELECT rowid, {COLUMNS} FROM {quoted(table)}"
    return ((rowid, codec.as_text(row)) for rowid, *row in connection.execute(sql))


def make_another(path: Path) -> None:
    """Give a restored copy an epoch of its own: who follows it begins with the whole table."""
    with translated(path), closing(open_apart(path, "rw")) as connection:
        if migrations.version(connection) >= change_log.SCHEMA:
            change_log.renew_epoch(connection)


def _let_signals_in(_status: int, _remaining: int, _total: int) -> None:
    """Python looks at Ctrl-C only while it runs itself."""
