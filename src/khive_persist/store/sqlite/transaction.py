"""`Transaction`: what is written to one table between BEGIN and COMMIT, and logged with it."""

import sqlite3
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final

from khive_persist.models.purposes import Purpose
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite import change_log, statements
from khive_persist.store.sqlite.words import quoted

# Many rows a statement: the interpreter's lock, which other threads want, is given and taken back
# once for all of them. SQLite keeps a copy of each page that such a statement touches, to undo it
# alone: a bulk's chunk in one costs least. Few: each that is cached keeps its last values.
_ROWS_A_STATEMENT: Final = (1_000, 250, 64, 8, 1)
_BYTES_A_STATEMENT: Final = 4 << 20

_RowsStatement = Callable[[str, int], str]


class Transaction:
    """Writes to the table of a file while its transaction is open.

    Whoever opens it begins and ends it; see `FileWriter`.

    Attributes:
        connection: To read through, what is written here included.
        added: The number of records that the table has more than before.
        has_changed: Whether anything was written.
        is_logged: Whether somebody follows the change log.
    """

    def __init__(
        self, connection: sqlite3.Connection, purpose: Purpose, *, is_logged: bool
    ) -> None:
        """Take the connection whose transaction is open."""
        self.connection = connection
        self.added = 0
        self.has_changed = False
        self._table = quoted(purpose.table)
        self.is_logged = is_logged

    def insert_new(self, rows: Sequence[StoredRow]) -> list[str]:
        """Insert the rows whose ids are not there; their ids, each once."""
        ids = [row[0] for row in rows]
        existing = change_log.present(self.connection, self._table, ids)
        new = {row[0]: row for row in reversed(rows) if row[0] not in existing}
        inserted = list(reversed(new))
        if inserted:
            if self.is_logged:
                change_log.note_inserted(self.connection, inserted)
            self.added += len(inserted)
            self._execute(statements.insert_new, [new[id] for id in inserted])
        return inserted

    def upsert(self, rows: Sequence[StoredRow]) -> None:
        """Save rows under their ids; the time of a row's first save stays."""
        self._save(statements.upsert, rows)

    def replace(self, rows: Sequence[StoredRow]) -> None:
        """Put rows in the place of those that have their ids, all columns of them."""
        self._save(statements.replace, rows)

    def delete(self, ids: Sequence[str]) -> int:
        """Delete rows; how many there were."""
        if self.is_logged:
            change_log.note_deleted(self.connection, self._table, ids)
        sql = statements.delete(self._table)
        count = self.connection.executemany(sql, [(id,) for id in ids]).rowcount
        self.added -= count
        self.has_changed = self.has_changed or count > 0
        return count

    def delete_row(self, rowid: int) -> None:
        """Delete one row whose copies are removed after it: it is not logged."""
        self.connection.execute(f"DELETE FROM {self._table} WHERE rowid = ?", (rowid,))
        self.added -= 1
        self.has_changed = True

    def update_row(self, rowid: int, columns: Sequence[str], values: Sequence[Any]) -> None:
        """Change columns of one row whose copies are changed after it: it is not logged."""
        assignments = ", ".join(f"{name} = ?" for name in columns)
        sql = f"UPDATE {self._table} SET {assignments} WHERE rowid = ?"
        self.connection.execute(sql, (*values, rowid))

    def _save(self, statement: _RowsStatement, rows: Sequence[StoredRow]) -> None:
        if not rows:
            return
        ids = [row[0] for row in rows]
        if self.is_logged:
            self.added += change_log.note_saved(self.connection, self._table, ids)
        else:
            existing = change_log.present(self.connection, self._table, ids)
            self.added += len({*ids} - existing)
        self._execute(statement, rows)

    def _execute(self, statement: _RowsStatement, rows: Sequence[StoredRow]) -> None:
        self.has_changed = True
        start = 0
        longest = max(map(_length, rows))
        for count in _ROWS_A_STATEMENT:
            if count > 1 and count * longest > _BYTES_A_STATEMENT:
                continue
            sql = statement(self._table, count)
            while len(rows) - start >= count:
                values = list(chain.from_iterable(rows[start : start + count]))
                # No name for the cursor: an error would keep it in its traceback, and the file
                # open with it after it was closed.
                self.connection.execute(sql, values)
                start += count


def _length(row: StoredRow) -> int:
    _, content, metadata, _, embedding = row
    return len(content or "") + len(metadata or "") + len(embedding or "")
