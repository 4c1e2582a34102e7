"""A table beside the databases in which two copies of many records are compared, on disk."""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

_SCHEMA: Final = """
CREATE TABLE rows (purpose TEXT, id TEXT, digest BLOB, PRIMARY KEY (purpose, id)) WITHOUT ROWID;
CREATE TABLE copies (
    purpose TEXT, id TEXT, file TEXT, line INTEGER, digest BLOB, PRIMARY KEY (purpose, id, file)
) WITHOUT ROWID;
"""
# Each gives purpose, id, file and line of what one copy has and the other has not, or not so.
_ABSENT_COPIES: Final = """
SELECT purpose, id, '' AS file, 0 AS line FROM rows r WHERE NOT EXISTS
    (SELECT 1 FROM copies c WHERE c.purpose = r.purpose AND c.id = r.id)"""
_ABSENT_ROWS: Final = """
SELECT purpose, id, file, line FROM copies c WHERE NOT EXISTS
    (SELECT 1 FROM rows r WHERE r.purpose = c.purpose AND r.id = c.id)"""
_DIFFERENT: Final = """
SELECT c.purpose, c.id, c.file, c.line FROM copies c JOIN rows r
    ON r.purpose = c.purpose AND r.id = c.id WHERE r.digest <> c.digest"""
_SURPLUS: Final = """
SELECT purpose, id, file, line FROM (
    SELECT c.*, row_number() OVER (PARTITION BY c.purpose, c.id ORDER BY file) AS nth
    FROM copies c JOIN rows r ON r.purpose = c.purpose AND r.id = c.id AND r.digest = c.digest
) WHERE nth > 1"""
_FOUND: Final = {
    "missing_in_mirror": _ABSENT_COPIES,
    "missing_in_database": _ABSENT_ROWS,
    "differs": _DIFFERENT,
    "twice_in_mirror": _SURPLUS,
}
KINDS: Final = tuple(_FOUND)
_CACHE_KIB: Final = 65_536
_PAGE: Final = 500


class Entry(NamedTuple):
    """A record in which two copies differ.

    Attributes:
        purpose: The name of its purpose.
        id: Its id.
        file: The file of the mirror that has it, or an empty string.
        line: The line in it, from 1; 0 where it is the whole file.
    """

    purpose: str
    id: str
    file: str
    line: int


class Ledger:
    """What the databases have and what the mirror has, each record as a digest."""

    def __init__(self, path: Path) -> None:
        """Make it in a new file; it can be thrown away at any time."""
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._connection.executescript(_SCHEMA)
        # One that is never ended: nothing here has to last.
        self._connection.execute("BEGIN")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def add_rows(self, purpose: str, rows: Iterable[tuple[str, bytes]]) -> None:
        """Note ids and digests of a database."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", [(purpose, *row) for row in rows]
        )

    def add_copy(self, entry: Entry, digest: bytes) -> None:
        """Note a record of the mirror; of one file and id the latest counts."""
        self._connection.execute(
            "INSERT OR REPLACE INTO copies VALUES (?, ?, ?, ?, ?)", (*entry, digest)
        )

    def drop_copy(self, purpose: str, id: str, file: str) -> None:
        """Forget a record of the mirror."""
        self._connection.execute(
            "DELETE FROM copies WHERE purpose = ? AND id = ? AND file = ?", (purpose, id, file)
        )

    def drop_row(self, purpose: str, id: str) -> None:
        """Forget a row."""
        self._connection.execute("DELETE FROM rows WHERE purpose = ? AND id = ?", (purpose, id))

    def counts(self, purpose: str) -> tuple[int, int]:
        """How many rows the database has, and how many records the mirror."""
        (rows,) = self._connection.execute(
            "SELECT count(*) FROM rows WHERE purpose = ?", (purpose,)
        ).fetchone()
        (copies,) = self._connection.execute(
            "SELECT count(DISTINCT id) FROM copies WHERE purpose = ?", (purpose,)
        ).fetchone()
        return rows, copies

    def purposes(self) -> list[str]:
        """The purposes that something was noted of."""
        sql = "SELECT purpose FROM rows UNION SELECT purpose FROM copies ORDER BY 1"
        return [purpose for (purpose,) in self._connection.execute(sql)]

    def files_of(self, purpose: str, id: str) -> list[str]:
        """The files of the mirror that have a record."""
        sql = "SELECT file FROM copies WHERE purpose = ? AND id = ?"
        return [file for (file,) in self._connection.execute(sql, (purpose, id))]

    def found(self, kind: str, purpose: str) -> Iterator[Entry]:
        """The records in which they differ in this way, as `KINDS` names them, when it is called.

        What is noted meanwhile does not change them.
        """
        table = f"found_{kind}"
        self._connection.execute(f"DROP TABLE IF EXISTS {table}")
        self._connection.execute(
            f"CREATE TABLE {table} AS SELECT * FROM ({_FOUND[kind]})"
            " WHERE purpose = ? ORDER BY file, line, id",
            (purpose,),
        )
        last = 0
        while page := self._connection.execute(
            f"SELECT rowid, * FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT {_PAGE}", (last,)
        ).fetchall():
            for last, *row in page:  # noqa: B007 - where the next page begins
                yield Entry(*row)

    def count(self, kind: str, purpose: str) -> int:
        """How many records differ in this way."""
        sql = f"SELECT count(*) FROM ({_FOUND[kind]}) WHERE purpose = ?"
        count: int = self._connection.execute(sql, (purpose,)).fetchone()[0]
        return count
