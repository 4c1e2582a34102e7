"""One write transaction, from the queue of writers to the commit."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from khive_persist.store.sqlite import lock
from khive_persist.store.sqlite.errors import translated


@contextmanager
def transaction(
    connection: sqlite3.Connection,
    path: Path,
    busy_timeout_seconds: float,
    after: Iterable[Callable[[], None]] = (),
) -> Iterator[sqlite3.Connection]:
    """Write to a database: committed and synced at the end, or rolled back as a whole.

    Args:
        connection: One that `open_writer` opened.
        path: Its file.
        busy_timeout_seconds: How long to wait for others.
        after: Called when it is committed, while other writers still wait.

    Raises:
        StoreError: As its subclasses say; nothing was written.
    """
    with lock.held(lock.lock_path(path), busy_timeout_seconds), translated(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        for call in after:
            call()
