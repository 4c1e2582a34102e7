"""A person's own SQL over all files of a place, for reading only."""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from khive_persist.errors import InvalidQueryError, StoreError
from khive_persist.purposes import HOOK_EVENTS
from khive_persist.store.sqlite.connection import attach, open_memory
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.statements import COLUMNS, view_columns

MAX_FILES: Final = 10
_STEPS_BETWEEN_SIGNALS: Final = 100_000
_READING: Final = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
    }
)


class AdHoc:
    """All databases of a place together, under their file names.

    A table is found by its name alone, or as `claude_hooks.hook_events`. `hook_events` alone is
    that of all tools together, `events` and `plans` are it and the plans as plain columns.

    Attributes:
        unread: The files that could not be read, each with the reason.
    """

    def __init__(self, files: Iterable[Path], sql: str = "") -> None:
        """Open the files.

        Args:
            files: SQLite reads at most 10 of them together.
            sql: Of more than 10, those that it names come first, then those of the tools' events.
        """
        self._connection = open_memory()
        self.unread: list[StoreError] = []
        events = {purpose.name for purpose in HOOK_EVENTS.values()}
        ordered = sorted(files, key=lambda path: (path.stem not in sql, path.stem not in events))
        self._left_out = [path.stem for path in ordered[MAX_FILES:]]
        attached = []
        for path in ordered[:MAX_FILES]:
            try:
                attach(self._connection, path, f'"{path.stem}"')
            except StoreError as error:
                self.unread.append(error)
            else:
                attached.append(path.stem)
        self._make_views([p.name for p in HOOK_EVENTS.values() if p.name in attached])
        # A connection without a file of its own would take a CREATE TABLE, and forget it.
        self._connection.set_authorizer(_only_reading)
        # Lets Ctrl-C in: Python looks at signals only while it runs itself.
        self._connection.set_progress_handler(lambda: 0, _STEPS_BETWEEN_SIGNALS)

    def close(self) -> None:
        """Close the files."""
        self._connection.close()

    def run(self, sql: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
        """The names of the columns, and the rows as they are found.

        Raises:
            InvalidQueryError: The SQL is wrong, or more than one statement, or would write; or it
                reads a table of a file that it does not name, and there are too many files.
        """
        try:
            with translated("query"):
                cursor = self._connection.execute(sql)
        except InvalidQueryError as error:
            if not self._left_out:
                raise
            hint = f"a file can be named, as in FILE.TABLE; not read: {', '.join(self._left_out)}"
            raise InvalidQueryError(str(error), hint=hint) from error
        names = [column[0] for column in cursor.description or ()]
        return names, _rows(cursor)

    def _make_views(self, schemas: list[str]) -> None:
        tool_events = next(iter(HOOK_EVENTS.values()))
        table = tool_events.table
        nothing = "SELECT " + ", ".join(f"NULL AS {name}" for name in COLUMNS.split(", "))
        tables = [f"SELECT {COLUMNS} FROM {name}.{table}" for name in schemas]
        union = " UNION ALL ".join(tables or [f"{nothing} LIMIT 0"])
        self._connection.execute(f"CREATE TEMP VIEW {table} AS {union}")
        # Each file's own columns: where a text stands in a payload, the tool decides.
        shown = [
            f"SELECT {view_columns(purpose)} FROM {purpose.name}.{table}"
            for purpose in HOOK_EVENTS.values()
            if purpose.name in schemas
        ] or [f"SELECT {view_columns(tool_events)} FROM {table}"]
        self._connection.execute(
            f"CREATE TEMP VIEW {tool_events.view} AS {' UNION ALL '.join(shown)}"
        )


def _only_reading(action: int, *_: str | None) -> int:
    return sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY


def _rows(cursor: sqlite3.Cursor) -> Iterator[tuple[Any, ...]]:
    with translated("query"):
        yield from cursor
