"""What a database of events holds, read as anyone would."""

import json
import sqlite3
from contextlib import closing
from typing import Any

from khive_persist.project import Project


def contents(project: Project, file: str) -> list[dict[str, Any]]:
    """The contents of its events, in the order in which they were stored."""
    with closing(sqlite3.connect(project.database(file))) as connection:
        rows = connection.execute("SELECT content FROM hook_events ORDER BY rowid")
        return [json.loads(content) for (content,) in rows]
