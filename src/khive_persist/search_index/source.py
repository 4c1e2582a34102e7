"""The rows that are searched in, with the whole of their texts."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from khive_persist.models.purposes import Purpose
from khive_persist.store import codec
from khive_persist.store.sqlite import migrations
from khive_persist.store.sqlite.connection import Connection
from khive_persist.store.sqlite.whole_texts import whole_text
from khive_persist.store.sqlite.words import quoted

_FIELDS: Final = ("output", "command")


class SourceRow(NamedTuple):
    """A row as the index reads it.

    Attributes:
        id: Its record's id.
        content: Its content as JSON, or as it stands.
        created_at: Its time, as an old file may spell it.
        output: The whole output of an event; None for other rows.
        command: The whole command of an event; None for other rows.
    """

    id: str
    content: str | None
    created_at: str | float | None
    output: str | None = None
    command: str | None = None


def rows_of_ids(
    connection: Connection, purpose: Purpose, ids: Sequence[str]
) -> Iterator[SourceRow]:
    """Yield the rows of these ids, where they are, each read when it is asked for."""
    return _rows(
        connection, purpose, "id IN (SELECT value FROM json_each(?))", (codec.dump_lossy(ids),)
    )


def rows_between(
    connection: Connection, purpose: Purpose, start: int, end: int
) -> Iterator[SourceRow]:
    """Yield the rows of a range of rowids, each read when it is asked for."""
    return _rows(connection, purpose, "rowid > ? AND rowid <= ? ORDER BY rowid", (start, end))


def ids_after(
    connection: Connection, purpose: Purpose, rowid: int, limit: int
) -> list[tuple[int, str]]:
    """Return rowid and id of the next rows."""
    if not migrations.has_table(connection, purpose.table):
        return []
    sql = f"SELECT rowid, id FROM {quoted(purpose.table)} WHERE rowid > ? ORDER BY rowid LIMIT ?"
    return [(at, str(id)) for at, id in connection.execute(sql, (rowid, limit)).fetchall()]


def _rows(
    connection: Connection, purpose: Purpose, condition: str, values: Sequence[int | str]
) -> Iterator[SourceRow]:
    if not migrations.has_table(connection, purpose.table):
        return
    wholes = (whole_text(purpose, field) for field in _FIELDS)
    # Of what is no JSON the expressions would be an error.
    texts = ", ".join(
        "NULL" if text is None else f"CASE WHEN json_valid(content) THEN {text} END"
        for text in wholes
    )
    sql = (
        f"SELECT id, content, NULL, created_at, NULL, {texts} FROM {quoted(purpose.table)}"
        f" WHERE {condition}"
    )
    for row in connection.execute(sql, values):
        id, content, _, created_at, _ = codec.as_text(row[:5])
        output, command = (text if isinstance(text, str) else None for text in row[5:])
        yield SourceRow(id, content, created_at, output, command)
