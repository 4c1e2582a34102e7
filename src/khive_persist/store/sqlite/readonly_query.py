"""A person's own SQL over all files of a project, for reading only."""

import base64
import math
import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

from khive_persist.errors import InvalidQueryError, StoreError
from khive_persist.models.purposes import EVENT_FILES
from khive_persist.store import codec
from khive_persist.store.source import COLUMNS
from khive_persist.store.sqlite.catalogue import (
    Table,
    TableColumn,
    as_identifier,
    by_mention,
    schema_names,
    tables_of,
)
from khive_persist.store.sqlite.connection import (
    MOST_ATTACHED,
    attach,
    check_frozen,
    frozen_version,
    open_memory,
)
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.statements import view_columns

_TOOL_EVENTS: Final = next(iter(EVENT_FILES.values()))
_STEPS_BETWEEN_SIGNALS: Final = 100_000
_READING: Final = (
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
)


class AdHoc:
    """All databases of a project together, under their file names.

    A table is found by its name alone, or as `claude_hooks.hook_events`; `catalogue.schema_names`
    says what a file is called. `hook_events` alone is that of all tools together, `events` and
    `plans` are it and the plans as plain columns.

    Attributes:
        unread: The files that could not be read, each with the reason.
    """

    def __init__(
        self, files: Iterable[Path], sql: str = "", look: Callable[[], object] = lambda: None
    ) -> None:
        """Open the files.

        Args:
            files: SQLite reads at most 10 of them together.
            sql: Of more than 10, those come first that it names, or a table or a view of.
            look: A function called now and then while a statement runs; it raises to stop it.
        """
        self._connection = open_memory()
        self._opened = ExitStack()
        self._opened.callback(self._connection.close)
        self.unread: list[StoreError] = []
        self._versions: dict[Path, tuple[int, int] | None] = {}
        names = schema_names(files)
        ordered = list(names) if len(names) <= MOST_ATTACHED else by_mention(names, sql)
        self._left_out = [names[path] for path in ordered[MOST_ATTACHED:]]
        attached = []
        for path in ordered[:MOST_ATTACHED]:
            try:
                self._versions[path] = frozen_version(path)
                attach(self._connection, path, as_identifier(names[path]))
            except StoreError as error:
                self.unread.append(error)
            else:
                attached.append(names[path])
        self._make_views([p.name for p in EVENT_FILES.values() if p.name in attached])
        # A connection without a file of its own would take a CREATE TABLE, and forget it.
        self._connection.set_authorizer(_only_reading)
        # Lets Ctrl-C in, too: Python looks at signals only while it runs itself.
        self._connection.set_progress_handler(_going_on(look), _STEPS_BETWEEN_SIGNALS)

    def close(self) -> None:
        """Close the files, and what was begun to be read of them."""
        self._opened.close()

    def run(
        self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()
    ) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
        """Return the names of the columns, each another, and the rows as they are found.

        The second column of a name is `name_2`.

        Raises:
            InvalidQueryError: The SQL is wrong, or more than one statement, or would write; or the
                values do not fit it; or it reads a table of a file that it does not name, and
                there are too many files.
        """
        try:
            with _translated():
                cursor = self._connection.execute(sql, values)
        except InvalidQueryError as error:
            if not self._left_out:
                raise
            hint = f"a file can be named, as in FILE.TABLE; not read: {', '.join(self._left_out)}"
            raise InvalidQueryError(str(error), hint=hint) from error
        names = _distinct([column[0] for column in cursor.description or ()])
        return names, self._opened.enter_context(closing(self._rows(cursor)))

    def views(self) -> list[Table]:
        """Return the views that stand for the tables of several files."""
        views = []
        for name in (_TOOL_EVENTS.table, _TOOL_EVENTS.view):
            columns, _ = self.run(f"SELECT * FROM {name} LIMIT 0")
            views.append(Table(None, name, "view", tuple(TableColumn(c, "") for c in columns)))
        return views

    def _rows(self, cursor: sqlite3.Cursor) -> Generator[tuple[Any, ...], None, None]:
        with _translated(), closing(cursor):
            yield from cursor
            check_frozen(self._versions)

    def _make_views(self, schemas: list[str]) -> None:
        table = _TOOL_EVENTS.table
        nothing = "SELECT " + ", ".join(f"NULL AS {name}" for name in COLUMNS.split(", "))
        tables = [f"SELECT {COLUMNS} FROM {name}.{table}" for name in schemas]
        union = " UNION ALL ".join(tables or [f"{nothing} LIMIT 0"])
        self._connection.execute(f"CREATE TEMP VIEW {table} AS {union}")
        # Each file's own columns: where a text stands in a payload, the tool decides.
        selects = [
            f"SELECT {view_columns(purpose)} FROM {purpose.name}.{table}"
            for purpose in EVENT_FILES.values()
            if purpose.name in schemas
        ] or [f"SELECT {view_columns(_TOOL_EVENTS)} FROM {table}"]
        self._connection.execute(
            f"CREATE TEMP VIEW {_TOOL_EVENTS.view} AS {' UNION ALL '.join(selects)}"
        )


def tables_in(files: Iterable[Path]) -> tuple[list[Table], list[StoreError]]:
    """List the tables and views that SQL can read, and why some files have none to read."""
    tables: list[Table] = []
    unread: list[StoreError] = []
    for path, name in schema_names(files).items():
        try:
            tables += tables_of(path, name)
        except StoreError as error:
            unread.append(error)
    with closing(AdHoc(())) as nothing:
        return [*nothing.views(), *tables], unread


def _going_on(look: Callable[[], object]) -> Callable[[], int]:
    def go_on() -> int:
        look()
        return 0

    return go_on


def to_document(names: Iterable[str], row: Iterable[Any]) -> dict[str, Any]:
    """Return a row as JSON that holds all of it.

    Bytes stand as `{"base64": "…"}`, and an infinite number as text, as SQLite spells it: `9e999`.
    """
    values = ({"base64": _base64(v)} if isinstance(v, bytes) else _finite(v) for v in row)
    return dict(zip(names, values, strict=True))


def to_texts(row: Iterable[Any]) -> list[Any]:
    """Return a row as CSV holds it: bytes as base64, an infinite number as SQLite spells it."""
    return [_base64(value) if isinstance(value, bytes) else _finite(value) for value in row]


def to_cells(row: Iterable[Any]) -> list[Any]:
    """Return a row as a person reads it: bytes and infinite numbers as SQLite spells them."""
    return [f"x'{value.hex()}'" if isinstance(value, bytes) else _finite(value) for value in row]


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _finite(value: Any) -> Any:
    return codec.infinite(value) if isinstance(value, float) and math.isinf(value) else value


def _distinct(names: list[str]) -> list[str]:
    distinct: list[str] = []
    for name in names:
        number, candidate = 1, name
        # Nor may it be that of a later column.
        while candidate in distinct or (number > 1 and candidate in names):
            number += 1
            candidate = f"{name}_{number}"
        distinct.append(candidate)
    return distinct


def _only_reading(action: int, *_: str | None) -> int:
    return sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY


@contextmanager
def _translated() -> Iterator[None]:
    with translated("query"):
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                # Of Ctrl-C, which was raised in the handler, this is all that SQLite lets through.
                raise KeyboardInterrupt from error
            raise
