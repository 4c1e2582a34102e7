"""One file's writing connection, for who writes in a thread of his own."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from khive_persist.errors import StoreError
from khive_persist.purposes import Purpose
from khive_persist.store.sqlite import lock
from khive_persist.store.sqlite.connection import identity, make, open_writer
from khive_persist.store.sqlite.transaction import transaction

_CLOSING_SECONDS: Final = 10.0


class FileWriter:
    """Writes to one file: opened at the first transaction, and anew where it was replaced since."""

    def __init__(self, path: Path, purpose: Purpose, busy_timeout_seconds: float) -> None:
        self.path = path
        self.purpose = purpose
        self._timeout = busy_timeout_seconds
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, to read through outside of a transaction."""
        return self._connection or self._open()

    @contextmanager
    def transaction(self, after: Iterable[Callable[[], None]] = ()) -> Iterator[sqlite3.Connection]:
        """Write to the file that lies there: committed and synced at the end, or not at all.

        Args:
            after: Called when it is committed, while other writers still wait.

        Raises:
            StoreError: As its subclasses say; nothing was written.
        """
        while True:
            with transaction(self.connection, self.path, self._timeout, after) as writing:
                # Only under the lock of its writers is it sure to stay the one that lies there.
                if self._identity is not None and identity(self.path) == self._identity:
                    yield writing
                    return
            self.close()

    def close(self) -> None:
        """Close the connection; the next transaction opens another."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        # The last connection to close writes the WAL back: that too waits for its turn.
        with ExitStack() as stack:
            try:
                stack.enter_context(lock.held(lock.lock_path(self.path), _CLOSING_SECONDS))
            except StoreError:
                # Without its turn it must not write; the WAL stays for the next to open the file.
                connection.execute("PRAGMA query_only = ON")
            connection.close()

    def _open(self) -> sqlite3.Connection:
        make(self.path)
        # Looked at before: a file that is replaced meanwhile is not taken for the new one.
        self._identity = identity(self.path)
        self._connection = open_writer(self.path, self.purpose, self._timeout)
        return self._connection
