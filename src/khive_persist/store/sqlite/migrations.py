"""The schema of a file: numbered SQL files, then the indexes and the view that its purpose names.

`PRAGMA user_version` is the number of the last file that was applied. A file with a higher one was
written by a newer program; it is not written to.
"""

import re
import sqlite3
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final

from khive_persist.errors import StoreNewerError, StoreUnavailableError
from khive_persist.models.purposes import BUILT_IN_NAMES, Purpose
from khive_persist.store.source import COLUMNS
from khive_persist.store.sqlite import statements
from khive_persist.store.sqlite.words import quoted

_FOLDER: Final = files("khive_persist.store.sqlite") / "sql"
_NUMBERED: Final = re.compile(r"(\d{3})_\w+\.sql\Z")
# A term of an index as `statements.indexes` writes it.
_TERM: Final = re.compile(r"json_extract\(content, '\$\.(?P<path>[\w.]+)'\)|\bcreated_at\b")
LATEST: Final = 2


def numbered() -> list[tuple[int, str]]:
    """Return every migration, as its number and its SQL, in order."""
    matches = [(match, item) for item in _FOLDER.iterdir() if (match := _NUMBERED.match(item.name))]
    return sorted((int(match[1]), item.read_text("utf-8")) for match, item in matches)


def version(connection: sqlite3.Connection) -> int:
    """Return the schema's number in a file."""
    return int(statements.scalar(connection, "PRAGMA user_version"))


def refuse_newer(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that a newer program wrote.

    Raises:
        StoreNewerError: Its schema has a higher number than this program knows.
    """
    if (number := version(connection)) > LATEST:
        raise StoreNewerError(
            f"{path} has schema {number}, this khive-persist knows up to {LATEST}",
            hint="upgrade khive-persist",
        )


def migrate(connection: sqlite3.Connection, purpose: Purpose) -> None:
    """Bring a file to the present schema, in one transaction. Rows are not changed.

    A row of another program's whose content is no JSON makes every expression index on it
    impossible: such a file is left without them, and works. An index that the class of the records
    no longer names goes; what a person added stays.

    Raises:
        StoreUnavailableError: The file has its records in a table of another name.
    """
    is_there = has_table(connection, purpose.table)
    if is_there and version(connection) == LATEST and not _missing(connection, purpose):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        at = version(connection)
        if at and not has_table(connection, purpose.table):
            _refuse_other_tables(connection, purpose)
            at = 0
        for number, sql in numbered():
            if number > at:
                # In front of a name's other half, a word of SQL needs no quotes.
                text = sql.replace("{table}_", f"{purpose.table}_")
                text = text.replace("{table}", quoted(purpose.table))
                text = text.replace("{odd_created_at}", statements.ODD_CREATED_AT)
                for statement in statements_in(text):
                    connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {LATEST}")
        if not statements.has_malformed(connection, purpose.table):
            for statement in _missing(connection, purpose):
                connection.execute(statement)
        connection.execute("COMMIT")
    except BaseException:
        # A full disk has rolled it back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def statements_in(sql: str) -> Iterator[str]:
    """Yield the statements of a migration: a `;` in a text, a comment or a trigger ends none."""
    statement = ""
    for part in re.split("(?<=;)", sql):
        statement += part
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement


def has_table(connection: sqlite3.Connection, table: str) -> bool:
    """Return whether a file has a table of this name."""
    sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE"
    return connection.execute(sql, (table,)).fetchone() is not None


def _refuse_other_tables(connection: sqlite3.Connection, purpose: Purpose) -> None:
    """Refuse to begin a second table beside one that has records.

    Raises:
        StoreUnavailableError: There is one with the columns of records.
    """
    columns = set(COLUMNS.split(", "))
    for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'"):
        listed = connection.execute("SELECT name FROM pragma_table_info(?)", (name,))
        if columns <= {column for (column,) in listed}:
            raise StoreUnavailableError(
                f"{purpose.file} has its records in the table {name}, not in {purpose.table}",
                hint=f"write purpose({purpose.name!r}, table={name!r}), or rename it with"
                f" ALTER TABLE {quoted(name)} RENAME TO {quoted(purpose.table)}",
            )


def _missing(connection: sqlite3.Connection, purpose: Purpose) -> list[str]:
    """Return the statements that make indexes and view those that the purpose names."""
    present = dict(connection.execute("SELECT name, sql FROM sqlite_schema"))
    missing = _indexes(connection, purpose)
    for name, sql in statements.views(purpose).items():
        if name not in present:
            missing.append(sql)
        elif present[name] != sql and present[name].startswith("CREATE VIEW"):
            missing += [f"DROP VIEW {quoted(name)}", sql]
    return missing


def _indexes(connection: sqlite3.Connection, purpose: Purpose) -> list[str]:
    listed = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
    present = {name.lower(): (name, sql) for name, sql in connection.execute(listed)}
    expected = {name.lower(): sql for name, sql in statements.indexes(purpose).items()}
    # What people add to the files of built-in purposes may be spelled as ours is.
    drops = {
        key: f"DROP INDEX {quoted(name)}"
        for key, (name, sql) in present.items()
        if sql != expected.get(key)
        and purpose.name not in BUILT_IN_NAMES
        and is_made_for(purpose, name, sql)
    }
    new = [sql for key, sql in expected.items() if key not in present or key in drops]
    return [*drops.values(), *new]


def is_made_for(purpose: Purpose, name: str, sql: str) -> bool:
    """Return whether an index is spelled, to the letter, as one that a class of the table named."""
    text = sql.partition(" (")[2].removesuffix(")")
    paths = tuple(match["path"] or "created_at" for match in _TERM.finditer(text))
    return bool(paths) and statements.indexes(purpose._replace(indexes=(paths,))) == {name: sql}
