"""What the databases of a project hold, read with SQLite alone."""

import json
import sqlite3
from contextlib import closing
from typing import Any

from khive_persist.models.purposes import BUILT_IN
from khive_persist.project import Project

TABLES = {purpose.file: purpose.table for purpose in BUILT_IN}


def select(project: Project, file: str, sql: str) -> list[Any]:
    """Return the rows of a statement; none where the database is missing."""
    path = project.database(file)
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def contents(project: Project, file: str, table: str = "") -> dict[str, Any]:
    """Return the content of each row by its id, the oldest first."""
    sql = f"SELECT id, content FROM {table or TABLES[file]} ORDER BY created_at, rowid"
    return {id: json.loads(content) for id, content in select(project, file, sql)}
