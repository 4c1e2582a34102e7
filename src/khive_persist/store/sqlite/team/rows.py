"""The rows of a file that a push reads, and how many it has not read yet."""

from collections.abc import Generator, Sequence
from typing import Final

from khive_persist.models.purposes import Purpose
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.source import COLUMNS
from khive_persist.store.sqlite import migrations
from khive_persist.store.sqlite.connection import Connection
from khive_persist.store.sqlite.statements import scalar
from khive_persist.store.sqlite.words import quoted

# Rowids may be negative.
BELOW_ALL: Final = -(2**63)


def rows_after(
    connection: Connection, purpose: Purpose, rowid: int
) -> Generator[tuple[int, StoredRow]]:
    """Yield the rows behind a rowid in order, each with its own, read when it is asked for."""
    if migrations.has_table(connection, purpose.table):
        sql = f"SELECT rowid, {COLUMNS} FROM {quoted(purpose.table)} WHERE rowid > ? ORDER BY rowid"
        for row in connection.execute(sql, (rowid,)):
            yield row[0], codec.as_text(row[1:])


def rows_of(connection: Connection, purpose: Purpose, ids: Sequence[str]) -> dict[str, StoredRow]:
    """Return the rows of some ids, as far as there are any."""
    if not migrations.has_table(connection, purpose.table):
        return {}
    sql = (
        f"SELECT {COLUMNS} FROM {quoted(purpose.table)}"
        " WHERE id IN (SELECT value FROM json_each(?))"
    )
    rows = map(codec.as_text, connection.execute(sql, (codec.dump_lossy(ids),)))
    return {row[0]: row for row in rows}


def count_after(connection: Connection, purpose: Purpose, rowid: int) -> int:
    """Count the rows behind a rowid."""
    if not migrations.has_table(connection, purpose.table):
        return 0
    sql = f"SELECT count(*) FROM {quoted(purpose.table)} WHERE rowid > ?"
    return int(scalar(connection, sql, (rowid,)))


def count_changed(connection: Connection, seq: int) -> int:
    """Count the records that the change log has behind an entry."""
    return int(
        scalar(connection, "SELECT count(DISTINCT id) FROM change_log WHERE seq > ?", (seq,))
    )
