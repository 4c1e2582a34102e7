"""A table beside the databases in which two copies of many records are compared, on disk."""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from khive_persist.store.sqlite.named_rows import row_maker, rows_as, rows_by_key
from khive_persist.store.sqlite.statements import scalar

_SCHEMA: Final = """
CREATE TABLE rows (
    purpose TEXT, id TEXT, nth INTEGER, digest BLOB, PRIMARY KEY (purpose, id)
) WITHOUT ROWID;
CREATE TABLE copies (
    purpose TEXT, id TEXT, file TEXT, line INTEGER, digest BLOB, PRIMARY KEY (purpose, id, file)
) WITHOUT ROWID;
CREATE TABLE problems (
    kind TEXT, purpose TEXT, id TEXT, file TEXT, line INTEGER, reason TEXT,
    PRIMARY KEY (file, line, kind, purpose, id, reason)
) WITHOUT ROWID;
CREATE TABLE marks (
    file TEXT PRIMARY KEY, state TEXT, line INTEGER, "end" INTEGER
) WITHOUT ROWID;
"""
# Only a stream that was written anew is looked for by its name.
_BY_FILE: Final = "CREATE INDEX IF NOT EXISTS copies_by_file ON copies (file)"
# Each gives purpose, id, file and line of what one copy has and the other has not, or not so; and
# the project of a row among the others, so that what is missing can be added in their order.
_ABSENT_COPIES: Final = """
SELECT purpose, id, '' AS file, 0 AS line, nth FROM rows r WHERE NOT EXISTS
    (SELECT 1 FROM copies c WHERE c.purpose = r.purpose AND c.id = r.id)"""
_ABSENT_ROWS: Final = """
SELECT purpose, id, file, line, 0 AS nth FROM copies c WHERE NOT EXISTS
    (SELECT 1 FROM rows r WHERE r.purpose = c.purpose AND r.id = c.id)"""
_DIFFERENT: Final = """
SELECT c.purpose, c.id, c.file, c.line, r.nth FROM copies c JOIN rows r
    ON r.purpose = c.purpose AND r.id = c.id WHERE r.digest <> c.digest"""
_SURPLUS: Final = """
SELECT purpose, id, file, line, 0 AS nth FROM (
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


class Difference(NamedTuple):
    """One record, line or file in which the copies differ.

    Attributes:
        kind: `missing_in_mirror`, `missing_in_database`, `differs`, `twice_in_mirror`; `damaged`
            for a line, a file or a database that cannot be read; `torn` for a last line without an
            end; `unknown_purpose` for a record of a class that is not known here; `not_ours` for a
            file that the mirror did not write, which is no fault.
        purpose: The name of the purpose, or an empty string where it cannot be told.
        id: The record's id, or an empty string.
        file: The name of its file, or an empty string.
        line: The line in the file, from 1; 0 for the whole file.
        reason: The problem, for a person.
    """

    kind: str
    purpose: str
    id: str
    file: str
    line: int
    reason: str


class FileOffset(NamedTuple):
    """The version of a file of the mirror when it was read, its last line then, and that's end."""

    state: str
    line: int = 0
    end: int = 0


class Ledger:
    """The records of the databases and those of the mirror, each as a digest."""

    def __init__(self, path: Path) -> None:
        """Make it in a new file; it can be thrown away at any time."""
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._count = 0
        try:
            self._connection.execute("PRAGMA journal_mode = OFF")
            self._connection.execute("PRAGMA synchronous = OFF")
            self._connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self._connection.executescript(_SCHEMA)
            # One that is never ended: nothing here has to last.
            self._connection.execute("BEGIN")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def add_rows(self, purpose: str, rows: Sequence[tuple[str, bytes]]) -> None:
        """Note ids and digests of a database, in its order."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)",
            [(purpose, id, nth, digest) for nth, (id, digest) in enumerate(rows, self._count + 1)],
        )
        self._count += len(rows)

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

    def drop_file(self, file: str) -> None:
        """Forget all that was read of a file of the mirror."""
        self._connection.execute(_BY_FILE)
        for table in ("copies", "problems", "marks"):
            self._connection.execute(f"DELETE FROM {table} WHERE file = ?", (file,))

    def drop_row(self, purpose: str, id: str) -> None:
        """Forget a row."""
        self._connection.execute("DELETE FROM rows WHERE purpose = ? AND id = ?", (purpose, id))

    def counts(self, purpose: str) -> tuple[int, int]:
        """Return how many rows the database has, and how many records the mirror."""
        rows = "SELECT count(*) FROM rows WHERE purpose = ?"
        copies = "SELECT count(DISTINCT id) FROM copies WHERE purpose = ?"
        return (
            int(scalar(self._connection, rows, (purpose,))),
            int(scalar(self._connection, copies, (purpose,))),
        )

    def files_of(self, purpose: str, id: str) -> list[str]:
        """Return the files of the mirror that have a record."""
        sql = "SELECT file FROM copies WHERE purpose = ? AND id = ?"
        return [file for (file,) in self._connection.execute(sql, (purpose, id))]

    def copies_in(self, file: str) -> list[tuple[str, str]]:
        """Return purpose and id of each record that a file of the mirror has."""
        self._connection.execute(_BY_FILE)
        sql = "SELECT purpose, id FROM copies WHERE file = ?"
        return self._connection.execute(sql, (file,)).fetchall()

    def read_offset(self, file: str) -> FileOffset | None:
        """Return what was last noted of how far a file was read."""
        sql = 'SELECT state, line, "end" FROM marks WHERE file = ?'
        return next(iter(rows_as(FileOffset, self._connection.execute(sql, (file,)))), None)

    def set_read_offset(self, file: str, state: str, line: int = 0, end: int = 0) -> None:
        """Note how far a file was read, and what it was then."""
        sql = "INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?)"
        self._connection.execute(sql, (file, state, line, end))

    def drop_read_offset(self, file: str) -> None:
        """Forget how far a file was read, and nothing else of it."""
        self._connection.execute("DELETE FROM marks WHERE file = ?", (file,))

    def files_with_offset(self) -> list[str]:
        """Return the files of which it was noted how far they were read."""
        return [file for (file,) in self._connection.execute("SELECT file FROM marks")]

    def add_problem(
        self, kind: str, purpose: str, id: str, file: str, line: int, reason: str
    ) -> None:
        """Note something that is no record, once."""
        self._connection.execute(
            "INSERT OR IGNORE INTO problems VALUES (?, ?, ?, ?, ?, ?)",
            (kind, purpose, id, file, line, reason),
        )

    def drop_problems(self, file: str, kind: str = "") -> None:
        """Forget what was noted of a file, all or one kind."""
        self._connection.execute(
            "DELETE FROM problems WHERE file = ? AND kind IN (?, iif(? = '', kind, ''))",
            (file, kind, kind),
        )

    def problems(self) -> Iterator[Difference]:
        """Yield what is no record, `not_ours` included."""
        cursor = self._connection.execute(
            "SELECT * FROM problems ORDER BY kind, file, line, purpose, id"
        )
        yield from map(row_maker(Difference, cursor), cursor)

    def has_problem_but(self, kind: str) -> bool:
        """Return whether something of another kind was noted."""
        sql = "SELECT EXISTS (SELECT 1 FROM problems WHERE kind <> ?)"
        return bool(scalar(self._connection, sql, (kind,)))

    def found(self, kind: str, purpose: str) -> Iterator[Entry]:
        """Yield the records that differ in this way, one of `KINDS`, as they are when it is called.

        What is noted meanwhile does not change them.
        """
        table = f"found_{kind}"
        self._connection.execute(f"DROP TABLE IF EXISTS {table}")
        self._connection.execute(
            f"CREATE TABLE {table} AS SELECT purpose, id, file, line FROM ({_FOUND[kind]})"
            " WHERE purpose = ? ORDER BY file, line, nth, id",
            (purpose,),
        )
        last = 0
        sql = f"SELECT rowid, * FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT {_PAGE}"
        while page := rows_by_key("rowid", Entry, self._connection.execute(sql, (last,))):
            for last, entry in page:  # noqa: B007 - where the next page begins
                yield entry

    def count(self, kind: str, purpose: str) -> int:
        """Return how many records differ in this way."""
        sql = f"SELECT count(*) FROM ({_FOUND[kind]}) WHERE purpose = ?"
        return int(scalar(self._connection, sql, (purpose,)))
