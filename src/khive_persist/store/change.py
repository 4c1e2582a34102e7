"""`Change`: what a consumer of a file's change log is told; `Consumer`: who keeps a copy."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

# Lines of JSON by the id of their record, each with the `digest` of the row that it is of.
Lines = Mapping[str, tuple[bytes, bytes]]
Kind = Literal["insert", "update", "delete"]


class Change(NamedTuple):
    """One record that a transaction touched.

    Attributes:
        id: The record's id.
        kind: The change that was made.
        session: Its `session_id` before the change; None where it had none, or was not there.
        created_at: Its `created_at` before the change; None where it was not there.
    """

    id: str
    kind: Kind
    session: str | None = None
    created_at: str | float | None = None


class Consumer(Protocol):
    """Keeps a copy of what the table of one file has."""

    name: str

    def epoch(self) -> str | None:
        """Return the epoch of the file that the copy was made from; None where there is none."""

    def set_epoch(self, epoch: str) -> None:
        """Keep the epoch of the file that is copied from now on."""

    def apply(
        self,
        connection: sqlite3.Connection,
        changes: Sequence[Change],
        lines: Lines,
        *,
        may_be_there: bool,
    ) -> None:
        """Bring the copy of some records to what the table has now: synced on return.

        Args:
            connection: Reads the file; each statement sees the last commit.
            changes: In order; one record may come several times.
            lines: The lines of rows that were written just now, for a copy that is made of lines;
                one of a row that the table has no longer so is not used.
            may_be_there: Whether the copy may have some of the changes already.

        Raises:
            MirrorError: It cannot be written; the changes stay in the log.
        """
