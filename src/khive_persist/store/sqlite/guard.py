"""Parts of a file's schema that act on our tables by themselves: triggers, generated columns.

Either can hide a record, or make another one of it. A file of a `.khive` that has any is refused
until the person has seen them. The user's own tables, views and indexes are left alone.
"""

import hashlib
import os
import sqlite3
from pathlib import Path
from typing import Final, NamedTuple

from khive_persist.errors import StoreUnavailableError
from khive_persist.hints import command_in
from khive_persist.models.purposes import BUILT_IN
from khive_persist.store.sqlite.named_rows import rows_as
from khive_persist.trust import records

_KHIVE: Final = ".khive"
_OURS: Final = frozenset({"id", "content", "node_metadata", "created_at", "embedding"})
_LOG: Final = frozenset({"change_log", "change_log_state"})
_TABLES: Final = frozenset(purpose.table.lower() for purpose in BUILT_IN) | _LOG
# A table that is a view, or virtual (it has no root page), is not what we made. The columns of such
# a one are not asked for: they are an error where what it is over is gone.
_ACTING: Final = """
SELECT type, name, tbl_name, coalesce(sql, '') AS sql,
    type = 'view' OR type = 'table' AND coalesce(rootpage, 0) = 0 AS is_foreign,
    CASE WHEN type = 'table' AND coalesce(rootpage, 0) > 0 THEN
        EXISTS (SELECT 1 FROM pragma_table_xinfo(s.name, ?) WHERE hidden IN (2, 3))
    ELSE 0 END AS is_generated
FROM {schema}.sqlite_schema AS s WHERE type IN ('trigger', 'table', 'view')
"""


class _Part(NamedTuple):
    type: str
    name: str
    tbl_name: str
    sql: str
    is_foreign: int
    is_generated: int


class Acting(NamedTuple):
    """Something in a schema that acts on one of our tables.

    Attributes:
        kind: `trigger`, `generated column`, `view` or `virtual table`.
        name: Its name, or its table's.
        table: Our table.
        sha256: Of its SQL.
    """

    kind: str
    name: str
    table: str
    sha256: str


def acting(connection: sqlite3.Connection, schema: str = "main") -> list[Acting]:
    """Return what acts on our tables in an open file."""
    parts = []
    cursor = connection.execute(_ACTING.format(schema=schema), (_bare(schema),))
    for part in rows_as(_Part, cursor):
        if part.type == "trigger":
            kind = "trigger" if _is_ours(connection, schema, part.tbl_name) else ""
        elif part.is_foreign and part.name.lower() in _TABLES:
            kind = "view" if part.type == "view" else "virtual table"
        else:
            is_ours = part.is_generated and _is_ours(connection, schema, part.name)
            kind = "generated column" if is_ours else ""
        if kind:
            digest = hashlib.sha256(part.sql.encode("utf-8", "surrogatepass")).hexdigest()
            parts.append(Acting(kind, part.name, part.tbl_name, digest))
    return parts


def refuse_foreign(path: Path) -> None:
    """Refuse to write into another user's file in a `.khive`: root would, and hide what it records.

    Raises:
        StoreUnavailableError: It belongs to another user.
    """
    if path.parent.name == _KHIVE and os.lstat(path).st_uid != os.geteuid():
        raise StoreUnavailableError(f"{path} belongs to another user", hint="move it away")


def refuse_acting(connection: sqlite3.Connection, path: Path, schema: str = "main") -> None:
    """Refuse a file of a `.khive` whose schema acts on our tables, unless the person has seen it.

    Raises:
        StoreUnavailableError: It has a trigger or a generated column on one of our tables.
    """
    if path.parent.name != _KHIVE or not (parts := acting(connection, schema)):
        return
    accepted = records.load(path.parent).schema
    for part in parts:
        if part.sha256 not in accepted:
            raise StoreUnavailableError(
                f"{path} has a {part.kind} {part.name} on {part.table}; it is not used",
                hint=f"{command_in(path.parent.parent, 'trust')} shows it",
            )


def _bare(schema: str) -> str:
    """Return the name of an attached database without its quotes."""
    return schema[1:-1].replace('""', '"') if schema.startswith('"') else schema


def _is_ours(connection: sqlite3.Connection, schema: str, table: str) -> bool:
    if table.lower() in _TABLES:
        return True
    columns = "SELECT name FROM pragma_table_xinfo(?, ?)"
    try:
        names = {name.lower() for (name,) in connection.execute(columns, (table, _bare(schema)))}
    except sqlite3.OperationalError as error:
        # A view over what is gone: nobody can write to it either.
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        return False
    return names >= _OURS
