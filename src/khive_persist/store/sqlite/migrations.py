"""The schema of a file: numbered SQL files, then the indexes and the view that its purpose names.

`PRAGMA user_version` is the number of the last file that was applied. A file with a higher one was
written by a newer program; it is not written to.
"""

import re
import sqlite3
from importlib.resources import files
from pathlib import Path
from typing import Final

from khive_persist.errors import StoreNewerError
from khive_persist.purposes import Purpose
from khive_persist.store.sqlite import statements

_FOLDER: Final = files("khive_persist.store.sqlite") / "sql"
_NUMBERED: Final = re.compile(r"(\d{3})_\w+\.sql\Z")
LATEST: Final = 2


def numbered() -> list[tuple[int, str]]:
    """Every migration, as its number and its SQL, in order."""
    found = [(match, item) for item in _FOLDER.iterdir() if (match := _NUMBERED.match(item.name))]
    return sorted((int(match[1]), item.read_text("utf-8")) for match, item in found)


def version(connection: sqlite3.Connection) -> int:
    """The schema's number in a file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def refuse_newer(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that a newer program wrote.

    Raises:
        StoreNewerError: Its schema has a higher number than this program knows.
    """
    if (found := version(connection)) > LATEST:
        raise StoreNewerError(
            f"{path} has schema {found}, this khive-persist knows up to {LATEST}",
            hint="upgrade khive-persist",
        )


def migrate(connection: sqlite3.Connection, purpose: Purpose) -> None:
    """Bring a file to the present schema, in one transaction. Rows are not changed.

    A row of another program's whose content is no JSON makes every expression index on it
    impossible: such a file is left without them, and works.
    """
    if version(connection) == LATEST and not _missing(connection, purpose):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        at = version(connection)
        for number, sql in numbered():
            if number > at:
                text = sql.replace("{table}", purpose.table)
                text = text.replace("{odd_created_at}", statements.ODD_CREATED_AT)
                for statement in text.split(";"):
                    connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {LATEST}")
        if statements.has_malformed(connection, purpose.table):
            wanted: list[str] = []
        else:
            wanted = _missing(connection, purpose)
        for statement in wanted:
            connection.execute(statement)
        connection.execute("COMMIT")
    except BaseException:
        # A full disk has rolled it back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _missing(connection: sqlite3.Connection, purpose: Purpose) -> list[str]:
    present = dict(connection.execute("SELECT name, sql FROM sqlite_schema"))
    wanted = []
    for name, sql in statements.indexes(purpose).items():
        if name not in present:
            wanted.append(sql)
    for name, sql in statements.views(purpose).items():
        if name not in present:
            wanted.append(sql)
        elif present[name] != sql and present[name].startswith("CREATE VIEW"):
            wanted += [f"DROP VIEW {name}", sql]
    return wanted
