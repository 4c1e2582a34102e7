"""The file of the ledger: one writes to it at a time, whoever reads it meanwhile.

Who writes holds the lock of the file for a transaction, and no other lock is asked for meanwhile. A
commit survives a power loss: a version is put down before it is sent. What cannot be read or
written raises a StoreError, as its subclasses say.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Final, Self

from khive_persist.errors import StoreDamagedError
from khive_persist.project import Project, make_directory
from khive_persist.store.sqlite import derived_file
from khive_persist.store.sqlite.connection import (
    Connection,
    move_aside,
    open_memory,
    open_reader,
)
from khive_persist.store.sqlite.derived_writer import DerivedWriter, committed
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.team.ledger import Ledger

_VERSION: Final = 1
_PAGE_BYTES: Final = 4_096


class LedgerFile(DerivedWriter):
    """The ledger of a project, open for writing within a `with`; made with the first transaction.

    A file that is none of ours is moved to quarantine: what left is known by it alone.
    """

    def __init__(self, path: Path, quarantine: Path) -> None:
        super().__init__(path)
        self._quarantine = quarantine

    @contextmanager
    def transaction(self, timeout_seconds: float) -> Iterator[Ledger]:
        """Write to the ledger: committed and synced at the end, or not at all."""
        turn = self._turn(timeout_seconds)
        with turn as connection, translated(self.path), committed(connection):
            yield Ledger(connection)

    def _open(self) -> Connection:
        if os.path.lexists(self.path) and not _is_usable(self.path):
            make_directory(self._quarantine)
            move_aside(self.path, self._quarantine)
        connection = derived_file.open_writer(self.path, schema())
        # A version that was sent must never be given to another one.
        connection.execute("PRAGMA synchronous = FULL")
        return connection


class LedgerCopy(AbstractContextManager["LedgerCopy"]):
    """A copy of a project's ledger in memory: what is written to it is gone with it."""

    def __init__(self, project: Project, timeout_seconds: float) -> None:
        """Copy the ledger, which is made where it is missing: versions hang on when that was."""
        with ledger_file(project) as original, original.transaction(timeout_seconds):
            pass
        self._connection = open_memory()
        with closing(open_reader(project.team_ledger)) as reader:
            reader.backup(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self, _timeout_seconds: float) -> Iterator[Ledger]:
        """Write to the copy."""
        yield Ledger(self._connection)


def schema() -> derived_file.Schema:
    """Return the schema of the ledger."""
    sql = (files("khive_persist.store.sqlite.team") / "ledger.sql").read_text("utf-8")
    return derived_file.Schema(_VERSION, sql, _PAGE_BYTES)


def ledger_file(project: Project) -> LedgerFile:
    """Return the ledger of a project, which is opened with its first transaction."""
    return LedgerFile(project.team_ledger, project.quarantine)


def _is_usable(path: Path) -> bool:
    """Return whether a file is a sound ledger of this user's."""
    try:
        with reading(path) as ledger:
            return ledger is not None
    except StoreDamagedError:
        return False


@contextmanager
def reading(path: Path) -> Iterator[Ledger | None]:
    """Open a ledger for reading; None where there is none of ours."""
    connection = derived_file.open_reader_if_ours(path, schema())
    if connection is None:
        yield None
        return
    with closing(connection), translated(path):
        yield Ledger(connection)
