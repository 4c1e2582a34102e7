"""`Backend`: what a store needs of the place of its rows, in files and in PostgreSQL alike."""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from khive_persist.models.purposes import Purpose
from khive_persist.models.query import Filter
from khive_persist.store.codec import StoredRow
from khive_persist.store.follow import Fetch
from khive_persist.store.source import Source, Statement

Build = Callable[[Source], Statement]


class Merged(NamedTuple):
    """Counts of rows that were new, there already, and there with other content."""

    new: int
    same: int
    changed: int


class RowWriter(Protocol):
    """Writes the rows of one purpose: committed when a call returns.

    Each call raises a StoreError, as its subclasses say, where it is refused. Many tasks may call
    at once.
    """

    @property
    def path(self) -> Path:
        """The file, or the address, as callbacks are told it."""

    @property
    def purpose(self) -> Purpose:
        """The purpose of the rows."""

    @property
    def chunk_rows(self) -> int:
        """The number of rows in a transaction of a bulk."""

    async def upsert(self, row: StoredRow) -> None:
        """Save a row; of one whose id is there, the time stays."""

    async def insert(self, row: StoredRow) -> bool:
        """Save a row unless its id is there; whether it was not."""

    async def delete(self, ids: Sequence[str]) -> int:
        """Delete rows; how many there were."""

    async def delete_where(self, filters: Sequence[Filter], limit: int) -> int:
        """Delete the rows that pass filters, at most so many; how many there were."""

    async def upsert_all(self, chunks: Iterable[Sequence[StoredRow]]) -> int:
        """Save rows, each chunk as a whole; how many they were.

        Where one fails, or it is cancelled, those before it are saved, and none is after it.
        """

    async def revise(
        self, sessions: list[str], make: Callable[[list[StoredRow]], Sequence[StoredRow]]
    ) -> None:
        """Save what is made of the rows of some sessions; nobody writes to these in between."""

    async def revise_one(
        self, id: str, make: Callable[[StoredRow | None], StoredRow | None]
    ) -> StoredRow | None:
        """Save what is made of the row with an id, or of None; where None is made, nothing.

        Nobody else writes to it between the reading of that row and the commit.

        Returns:
            The row as it is now.
        """

    async def merge(
        self,
        rows: Sequence[StoredRow],
        *,
        is_same: Callable[[StoredRow, StoredRow], bool],
        update: bool = False,
    ) -> Merged:
        """Insert the rows whose ids are not there, all or none.

        Args:
            rows: Each id once.
            is_same: Whether a row that is there and the one that has its id say the same.
            update: Replace a row that does not, `created_at` included; otherwise it stays.
        """


class RowReader(Protocol):
    """Reads the rows of several purposes as one table."""

    async def fetch(self, build: Build) -> list[Any]:
        """Return all rows of a statement."""

    def pages(self, build: Build) -> AsyncGenerator[list[Any], None]:
        """Yield the rows of a statement, some at a time, all of one moment, in flat memory."""


class RowTail(Protocol):
    """The rows that were added since the last look."""

    async def skip(self) -> None:
        """Go to the end."""

    async def read(self, filters: Iterable[Filter]) -> list[Any]:
        """Return the next rows that pass every filter, in the order of storing."""


class Backend(Protocol):
    """The place of a class's rows. Each call raises a StoreError, as its subclasses say."""

    @property
    def format(self) -> str:
        """The name of its kind, as callbacks are told it."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, or the address without its password."""

    @property
    def writers(self) -> Mapping[Purpose, RowWriter]:
        """The writer of each purpose; that of several is one where they have one table."""

    @property
    def reader(self) -> RowReader:
        """The reader of all of them."""

    async def open(self) -> None:
        """Open it, and make what is missing."""

    async def close(self) -> None:
        """Finish what was begun, and close it."""

    async def is_behind(self) -> bool:
        """Return whether a second copy has to begin with the whole table."""

    def existing_writers(self) -> Sequence[RowWriter]:
        """Return those that have something to delete from, each once."""

    def tails(self, fetch: Fetch) -> Sequence[RowTail]:
        """Return the ends of the tables."""

    def changes(self) -> tuple[object, ...]:
        """Return another value after anybody has written to it."""

    async def changes_of_others(self) -> tuple[object, ...]:
        """Return another value after another process has written to it."""
