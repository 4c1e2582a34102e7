"""The database files of a folder, the name of each in SQL, and the tables and views in them."""

import os
import re
import sqlite3
from collections.abc import Iterable
from itertools import chain, count
from pathlib import Path
from typing import Final, Literal, NamedTuple

from khive_persist.errors import StoreError
from khive_persist.models.purposes import BUILT_IN, EVENT_FILES
from khive_persist.store.sqlite import atomic_switch
from khive_persist.store.sqlite.connection import opened_reader
from khive_persist.store.sqlite.errors import translated

# SQLite's own names of what is open.
_TAKEN: Final = ("main", "temp")
_OURS: Final = frozenset(purpose.file for purpose in BUILT_IN)
_TOOL_EVENTS: Final = frozenset(purpose.file for purpose in EVENT_FILES.values())
_NAME: Final = re.compile(r'"((?:[^"]|"")+)"|\[([^\]]+)\]|`([^`]+)`|([^\W\d][\w$]*)')


class TableColumn(NamedTuple):
    """A column.

    Attributes:
        name: Its name.
        type: The declared type; an empty string where there is none.
    """

    name: str
    type: str


class Table(NamedTuple):
    """A table or a view that SQL can read.

    Attributes:
        database: The file's name in SQL; None for a view over the files of all tools.
        name: Its own.
        type: "table" or "view".
        columns: In their order; none of a view that cannot be read.
    """

    database: str | None
    name: str
    type: Literal["table", "view"]
    columns: tuple[TableColumn, ...]


def databases_in(folder: Path) -> list[Path]:
    """Everything in a folder that is named as a database and is no directory, in order of names."""
    return sorted(
        path
        for path in folder.iterdir()
        if atomic_switch.is_database(path.name) and not path.is_dir()
    )


def schema_names(files: Iterable[Path]) -> dict[Path, str]:
    """Return the name that each file has in SQL: that of the file without `.db`.

    Where SQLite has that name for something else, or another file differs from it in case alone, it
    is the file's whole name, as in `"main.db"`.
    """
    names: dict[Path, str] = {}
    used_names = {*_TAKEN}
    # Our own come first: their names are the contract.
    for path in sorted(files, key=lambda path: (path.name not in _OURS, path)):
        file = os.fsencode(path.name).decode(errors="backslashreplace")
        candidates = chain([file.removesuffix(".db"), file], (f"{file} {n}" for n in count(2)))
        names[path] = next(name for name in candidates if name.lower() not in used_names)
        used_names.add(names[path].lower())
    return names


def as_identifier(name: str) -> str:
    """Give any name as SQL takes it, in quotes; bytes of a file's that are no UTF-8 are escaped."""
    name = os.fsencode(name).decode(errors="backslashreplace")
    return '"' + name.replace('"', '""') + '"'


def tables_of(path: Path, schema: str) -> list[Table]:
    """Return the tables and views of one file.

    Raises:
        StoreError: It cannot be read.
    """
    with opened_reader(path) as connection, translated(path):
        listed = connection.execute(
            "SELECT name, type FROM sqlite_schema"
            r" WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY 1"
        ).fetchall()
        return [Table(schema, name, type, _columns_of(connection, name)) for name, type in listed]


def by_mention(names: dict[Path, str], sql: str) -> list[Path]:
    """Sort files so that those come first of which a statement names something.

    Of those, the tools' events are first: their union is whole, or there is none.
    """
    mentioned = {
        next(filter(None, match.groups())).replace('""', '"').lower()
        for match in _NAME.finditer(sql)
    }

    def rank(path: Path) -> tuple[bool, bool]:
        try:
            tables = tables_of(path, names[path])
        except StoreError:
            # It may hold what is named: whoever opens it says why it is not read.
            return False, path.name not in _TOOL_EVENTS
        own_names = {names[path].lower(), *(table.name.lower() for table in tables)}
        return own_names.isdisjoint(mentioned), path.name not in _TOOL_EVENTS

    return sorted(names, key=rank)


def _columns_of(connection: sqlite3.Connection, table: str) -> tuple[TableColumn, ...]:
    try:
        rows = connection.execute(f"PRAGMA table_info({as_identifier(table)})").fetchall()
    except sqlite3.OperationalError:
        # A view of what is no longer there.
        return ()
    return tuple(TableColumn(row[1], row[2]) for row in rows)
