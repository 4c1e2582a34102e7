"""A database that is filled with rows before anybody uses it, and then finished."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from khive_persist.models.purposes import Purpose
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite import change_log, migrations, statements, write_lock
from khive_persist.store.sqlite.connection import make, open_writer
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.mirror_progress import MIRROR

_CACHE_KIB: Final = 65_536


class NewDatabase:
    """A database in the making: nothing of it is durable, and it has no index.

    Its methods raise a StoreError where SQLite cannot.
    """

    def __init__(self, path: Path, purpose: Purpose) -> None:
        """Make it, and begin."""
        self._path = path
        self._purpose = purpose
        make(path)
        self._connection = open_writer(path, purpose._replace(view="", indexes=()))
        write_lock.lock_path(path).unlink()
        # Nothing is lost with an unfinished file, and a finished one is synced as a whole.
        self._execute("PRAGMA journal_mode = MEMORY")
        self._execute("PRAGMA synchronous = OFF")
        self._execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._execute("BEGIN")

    def put(self, row: StoredRow) -> None:
        """Put a row in the place of the one that has its id."""
        self._execute(statements.replace(self._purpose.table), row)

    def delete(self, id: str) -> None:
        """Delete the row of an id."""
        self._execute(statements.delete(self._purpose.table), (id,))

    def commit(self) -> None:
        """Keep what was done, so that the transaction does not grow."""
        self._execute("COMMIT")
        self._execute("BEGIN")

    def make_indexes(self) -> None:
        """Make the indexes and the view, at once from all rows.

        None is made where a row's content is no JSON.
        """
        self._execute("COMMIT")
        with translated(self._path):
            migrations.migrate(self._connection, self._purpose)
        self._execute("BEGIN")

    def finish(self, follow: Callable[[str], None]) -> None:
        """Make it a database as others open it; `follow` notes its epoch in the mirror."""
        with translated(self._path):
            follow(change_log.state(self._connection).epoch)
            change_log.set_state(self._connection, self._purpose.table)
            change_log.set_position(self._connection, MIRROR, change_log.last(self._connection))
        self._execute("COMMIT")
        # Or the first writer would have to wait for all readers, to turn it on.
        self._execute("PRAGMA journal_mode = WAL")

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def _execute(self, sql: str, values: StoredRow | tuple[str, ...] = ()) -> None:
        with translated(self._path):
            self._connection.execute(sql, values)
