"""A file's change log: its entries, its consumers' positions, and the state of its table.

The entries of a transaction are committed with it (a transactional outbox). A consumer's position
follows behind; what lies between the two after a kill is done again.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

from khive_persist.store import codec
from khive_persist.store.change import Change
from khive_persist.store.sqlite.named_rows import rows_as
from khive_persist.store.sqlite.statements import scalar
from khive_persist.store.sqlite.words import quoted

BEHIND: Final = -1
# The number of the migration that brings its tables.
SCHEMA: Final = 2
MAX_ENTRIES: Final = 1_000_000

_KEY: Final = (
    "json_array(CASE WHEN json_valid(content) THEN json_extract(content, '$.session_id') END,"
    " CASE WHEN typeof(created_at) <> 'blob' THEN created_at END)"
)
_IDS: Final = "(SELECT value FROM json_each(?))"


class State(NamedTuple):
    """A file and its table.

    Attributes:
        epoch: The identity of the file: random, new at birth, restore and rebuild.
        records: The number of records in the table after our last transaction.
        last_rowid: Its greatest rowid then.
    """

    epoch: str
    records: int
    last_rowid: int


def is_there(connection: sqlite3.Connection) -> bool:
    """Return whether a file has a log: one of the original's has none until it is written to."""
    has_log = "SELECT count(*) FROM sqlite_schema WHERE name = 'change_log_state'"
    return bool(scalar(connection, has_log))


def state(connection: sqlite3.Connection) -> State:
    """Return the state that our last transaction left."""
    cursor = connection.execute("SELECT epoch, records, last_rowid FROM change_log_state")
    (row,) = rows_as(State, cursor)
    return row


def last_rowid(connection: sqlite3.Connection, table: str) -> int:
    """Return the greatest rowid that the table has now.

    Where it is not that of the state, others have inserted. To count the records would tell of
    what they deleted, too, but reads an index as a whole: `verify` does that.
    """
    return int(scalar(connection, f"SELECT coalesce(max(rowid), 0) FROM {quoted(table)}"))


def note_state(connection: sqlite3.Connection, table: str, added: int) -> None:
    """Keep the state of the table, which has so many records more than before."""
    connection.execute(
        "UPDATE change_log_state SET records = records + ?,"
        f" last_rowid = (SELECT coalesce(max(rowid), 0) FROM {quoted(table)})",
        (added,),
    )


def set_state(connection: sqlite3.Connection, table: str) -> None:
    """Keep the state of a table that others have written to."""
    connection.execute(
        "UPDATE change_log_state SET (records, last_rowid) ="
        f" (SELECT count(*), coalesce(max(rowid), 0) FROM {quoted(table)})"
    )


def renew_epoch(connection: sqlite3.Connection) -> None:
    """Make another file of it: each consumer begins with the whole table."""
    connection.execute("UPDATE change_log_state SET epoch = lower(hex(randomblob(16)))")
    _set_positions(connection, dict.fromkeys(positions(connection), BEHIND))
    connection.execute("DELETE FROM change_log")


def positions(connection: sqlite3.Connection) -> dict[str, int]:
    """Return up to which entry each consumer has everything; `BEHIND` for one that has not."""
    consumers: dict[str, int] = codec.load(
        scalar(connection, "SELECT consumers FROM change_log_state")
    )
    return consumers


def set_position(connection: sqlite3.Connection, consumer: str, seq: int) -> None:
    """Keep a consumer's position, and drop the entries that nobody needs any more."""
    _set_positions(connection, positions(connection) | {consumer: seq})


def drop_consumer(connection: sqlite3.Connection, consumer: str) -> None:
    """Forget a consumer that there is no longer."""
    consumers = positions(connection)
    if consumers.pop(consumer, None) is not None:
        _set_positions(connection, consumers)


def uncopied(connection: sqlite3.Connection, consumer: str) -> int | None:
    """Count the changes that a consumer has not; None where it has to begin with the whole table.

    A file without a log, or without this consumer, has none.
    """
    if not is_there(connection):
        return 0
    position = positions(connection).get(consumer)
    if position == BEHIND:
        return None
    sql = "SELECT count(*) FROM change_log WHERE seq > ?"
    return int(scalar(connection, sql, (position,)))


def last(connection: sqlite3.Connection) -> int:
    """Return the number of the last entry that there ever was."""
    cursor = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'change_log'")
    row = cursor.fetchone()
    return 0 if row is None else int(row[0])


def first_after(connection: sqlite3.Connection, seq: int) -> int | None:
    """Return the number of the next entry; None where there is none."""
    sql = "SELECT min(seq) FROM change_log WHERE seq > ?"
    number: int | None = scalar(connection, sql, (seq,))
    return number


def changes(connection: sqlite3.Connection, since: int, until: int) -> dict[int, Change]:
    """Return the entries of a range, by number."""
    entries = connection.execute(
        "SELECT seq, id, kind, key FROM change_log WHERE seq > ? AND seq <= ? ORDER BY seq",
        (since, until),
    )
    return {seq: _change(id, kind, key) for seq, id, kind, key in entries.fetchall()}


def note_saved(connection: sqlite3.Connection, table: str, ids: Sequence[str]) -> int:
    """Log records before they are saved; how many of them are new."""
    text = codec.dump(ids)
    _note_present(connection, table, "update", text)
    # Of an id that comes twice one row is made.
    return connection.execute(
        "INSERT INTO change_log (id, kind) SELECT DISTINCT value, 'insert' FROM json_each(?)"
        f" WHERE value NOT IN (SELECT id FROM {quoted(table)} WHERE id IN {_IDS})",
        (text, text),
    ).rowcount


def note_inserted(connection: sqlite3.Connection, ids: Sequence[str]) -> None:
    """Log records that are new."""
    connection.execute(
        "INSERT INTO change_log (id, kind) SELECT value, 'insert' FROM json_each(?)",
        (codec.dump(ids),),
    )


def note_deleted(connection: sqlite3.Connection, table: str, ids: Sequence[str]) -> None:
    """Log records before they are deleted."""
    _note_present(connection, table, "delete", codec.dump(ids))


def present(connection: sqlite3.Connection, table: str, ids: Sequence[str]) -> set[str]:
    """Return which of some ids there are."""
    sql = f"SELECT id FROM {quoted(table)} WHERE id IN {_IDS}"
    return {row[0] for row in connection.execute(sql, (codec.dump(ids),)).fetchall()}


def trim(connection: sqlite3.Connection, until: int) -> None:
    """Let the consumers begin anew whose entries are too many to keep."""
    oldest = until - MAX_ENTRIES
    first = first_after(connection, 0)
    if first is None or first > oldest:
        return
    overdue = {name: BEHIND for name, seq in positions(connection).items() if seq <= oldest}
    _set_positions(connection, positions(connection) | overdue)
    connection.execute("DELETE FROM change_log WHERE seq <= ?", (oldest,))


def note_again(connection: sqlite3.Connection, changes: Sequence[Change]) -> None:
    """Log changes once more that could not be followed, so that what comes after them can go."""
    connection.executemany(
        "INSERT INTO change_log (id, kind, key) VALUES (?, ?, ?)",
        [(change.id, change.kind, _key(change.session, change.created_at)) for change in changes],
    )


def _key(session: str | None, created_at: str | float | None) -> str | None:
    return None if created_at is None else codec.dump_lossy([session, created_at])


def _note_present(connection: sqlite3.Connection, table: str, kind: str, ids: str) -> None:
    connection.execute(
        f"INSERT INTO change_log (id, kind, key) SELECT id, ?, {_KEY} FROM {quoted(table)}"
        f" WHERE id IN {_IDS}",
        (kind, ids),
    )


def _set_positions(connection: sqlite3.Connection, consumers: dict[str, int]) -> None:
    connection.execute("UPDATE change_log_state SET consumers = ?", (codec.dump(consumers),))
    until = min(consumers.values(), default=None)
    if until is None:
        connection.execute("DELETE FROM change_log")
    elif until > 0:
        connection.execute("DELETE FROM change_log WHERE seq <= ?", (until,))


def _change(id: str, kind: str, key: str | None) -> Change:
    session, created_at = (None, None) if key is None else codec.load(key)
    return Change(id, kind, session if isinstance(session, str) else None, created_at)  # type: ignore[arg-type]
