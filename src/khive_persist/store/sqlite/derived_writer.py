"""`DerivedWriter`: a derived database that is open for writing, one process at a time."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from khive_persist.store.sqlite import write_lock
from khive_persist.store.sqlite.connection import Connection, identity


class DerivedWriter(ABC):
    """A derived database, open for writing within a `with`; made with the first turn.

    Opened anew where another process has made it anew.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: Connection | None = None
        self._identity: tuple[int, int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @abstractmethod
    def _open(self) -> Connection:
        """Open the file that lies there, or make it, by who holds its lock."""

    @contextmanager
    def _turn(self, timeout_seconds: float) -> Iterator[Connection]:
        """Hold the lock of the file's writers, with the file that lies there open."""
        with write_lock.held(write_lock.lock_path(self.path), timeout_seconds):
            if self._connection is None or identity(self.path) != self._identity:
                # Not as a subclass closes it, which may wait for this very lock.
                DerivedWriter.close(self)
                self._connection, self._identity = self._open(), identity(self.path)
            yield self._connection


@contextmanager
def committed(connection: Connection) -> Iterator[None]:
    """Write in one transaction: committed at the end, or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
