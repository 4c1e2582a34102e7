"""The SQL of a table: its indexes and view, what writes to it and what reads from it.

Text gets in here only from a checked `Purpose`, a checked path, or this file. Values are bound.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final

from khive_persist.models.purposes import Purpose
from khive_persist.store.source import COLUMNS
from khive_persist.store.sqlite.source import extract
from khive_persist.store.sqlite.whole_texts import whole_text
from khive_persist.store.sqlite.words import quoted

_DATE: Final = "-".join(["[0-9]" * 4, "[0-9]" * 2, "[0-9]" * 2])
_TIME: Final = ":".join(["[0-9]" * 2] * 3) + "." + "[0-9]" * 6
ODD_CREATED_AT: Final = f"created_at IS NULL OR created_at NOT GLOB '{_DATE} {_TIME}'"


def aggregate(function: str, expression: str) -> str:
    """Spell an aggregate over numbers: SQLite takes the beginning of a text for one."""
    return f"{function}({expression}) FILTER (WHERE {expression} < '')"


def indexes(purpose: Purpose) -> dict[str, str]:
    """Return the statements that make the indexes of a table, by name."""
    statements = {}
    for paths in purpose.indexes:
        name = purpose.index_name(paths)
        terms = [path if path == "created_at" else extract(f"$.{path}") for path in paths]
        table = quoted(purpose.table)
        statements[name] = f"CREATE INDEX {quoted(name)} ON {table} ({', '.join(terms)})"
    return statements


def views(purpose: Purpose) -> dict[str, str]:
    """Return the statement that makes the view of a table, by name."""
    if not purpose.view:
        return {}
    view, table = quoted(purpose.view), quoted(purpose.table)
    return {purpose.view: f"CREATE VIEW {view} AS SELECT {view_columns(purpose)} FROM {table}"}


def view_columns(purpose: Purpose) -> str:
    """Return what the view of a table shows of each row."""
    fields = [
        f'{whole_text(purpose, path) or extract(f"$.{path}")} AS "{name}"'
        for path, name in purpose.column_names().items()
    ]
    return ", ".join(["id", "created_at", *fields])


def scalar(connection: sqlite3.Connection, sql: str, values: Sequence[Any] = ()) -> Any:
    """Return the first column of the first row of a statement."""
    return connection.execute(sql, values).fetchone()[0]


def has_odd_created_at(connection: sqlite3.Connection, table: str) -> bool:
    """Return whether some row's `created_at` is not spelled as ours, by its table's SQL name."""
    index = table.rpartition(".")[2].strip('"') + "_odd_created_at"
    sql = "SELECT EXISTS (SELECT 1 FROM {} WHERE " + ODD_CREATED_AT + ")"
    try:
        # Not named, SQLite would rather read the whole index on created_at.
        return bool(scalar(connection, sql.format(f"{table} INDEXED BY {index}")))
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_ERROR:
            raise
    # Another program's file has no such index.
    return bool(scalar(connection, sql.format(table)))


def is_indexed(definitions: Iterable[str]) -> bool:
    """Return whether one of the indexes is on a field of content: it takes no row of no JSON."""
    return any("json_extract(content," in sql for sql in definitions)


def has_malformed(connection: sqlite3.Connection, table: str) -> bool:
    """Return whether a row's content is no JSON, so that json_extract fails on it."""
    # Versions before 3.41 say that NULL is not valid, though json_extract takes it.
    condition = "content IS NOT NULL AND NOT json_valid(content)"
    sql = f"SELECT EXISTS (SELECT 1 FROM {quoted(table)} WHERE {condition})"
    return bool(scalar(connection, sql))


def content_without(name: str) -> str:
    """Spell `content` without one of its fields; what is no object stays as it is."""
    return (
        "CASE WHEN json_valid(content) AND json_type(content) = 'object'"
        f" THEN json_remove(content, '$.{name}') ELSE content END"
    )


def upsert(table: str, rows: int = 1) -> str:
    """Save rows under their ids; the time of a row's first save stays."""
    values = ", ".join(["(?, ?, ?, ?, ?)"] * rows)
    return (
        f"INSERT INTO {quoted(table)} ({COLUMNS}) VALUES {values} ON CONFLICT (id) DO UPDATE SET"
        " content = excluded.content, node_metadata = excluded.node_metadata,"
        " embedding = excluded.embedding"
    )


def replace(table: str, rows: int = 1) -> str:
    """Put rows in the place of those that have their ids, all columns of them."""
    return upsert(table, rows) + ", created_at = excluded.created_at"


def rows_of_ids(table: str) -> str:
    """Select the rows whose ids are in a JSON array."""
    return f"SELECT {COLUMNS} FROM {quoted(table)} WHERE id IN (SELECT value FROM json_each(?))"


def rows_of_sessions(table: str) -> str:
    """Select the rows of the sessions whose ids are in a JSON array."""
    sessions = f"{extract('$.session_id')} IN (SELECT value FROM json_each(?))"
    return f"SELECT {COLUMNS} FROM {quoted(table)} WHERE {sessions}"


def first_of_session(table: str) -> str:
    """Select the time of a session's first row that is none of a JSON array of ids."""
    return (
        f"SELECT created_at FROM {quoted(table)} WHERE {extract('$.session_id')} = ?"
        " AND id NOT IN (SELECT value FROM json_each(?)) ORDER BY created_at LIMIT 1"
    )


def insert_new(table: str, rows: int = 1) -> str:
    """Insert rows, unless their ids are there."""
    values = ", ".join(["(?, ?, ?, ?, ?)"] * rows)
    return f"INSERT INTO {quoted(table)} ({COLUMNS}) VALUES {values} ON CONFLICT (id) DO NOTHING"


def delete(table: str) -> str:
    """Delete the row of an id."""
    return f"DELETE FROM {quoted(table)} WHERE id = ?"
