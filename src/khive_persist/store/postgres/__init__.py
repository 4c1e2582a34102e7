"""PostgreSQL as the store of a team: the same records, in tables of one database.

    Store ─▶ PostgresWriter ─▶ pool ─▶ PostgreSQL ◀─ pool ◀─ PostgresReader ◀─ Store

A record is a row with the five columns, and `session`, by which the rows of a session lie together.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from khive_persist.errors import extra
from khive_persist.models.purposes import Purpose

if TYPE_CHECKING:
    from khive_persist.store.postgres.tables import PostgresTables

SCHEMES: Final = ("postgresql://", "postgres://")


def tables_at(
    url: str, purposes: Sequence[Purpose], timeout_seconds: float, *, read_only: bool = False
) -> "PostgresTables":
    """Return the tables of some purposes at an address; they are opened by `open`.

    Args:
        url: The address, as libpq takes it: `postgresql://…`.
        purposes: The purposes.
        timeout_seconds: The longest time of a statement, and of a wait for a connection.
        read_only: Whether the server refuses to write.

    Raises:
        MissingExtraError: The extra `postgres` is not installed.
    """
    with extra("postgres", "PostgreSQL"):
        from khive_persist.store.postgres.tables import PostgresTables

    return PostgresTables(purposes, url, timeout_seconds, read_only=read_only)
