"""An experiment, sessions with records in it, and what the databases have."""

import json
import sqlite3
from contextlib import closing
from typing import Any

from khive_persist import open_store
from khive_persist.models.node import Node
from khive_persist.project import Project

HALVES = {"control": 1, "new": 1}


def rows(project: Project, table: str) -> dict[str, dict[str, Any]]:
    """The content of each row of experiments or assignments, by its id."""
    with closing(sqlite3.connect(project.database(f"{table}.db"))) as connection:
        found = connection.execute(f"SELECT id, content FROM {table}").fetchall()
    return {id: json.loads(content) for id, content in found}


async def save(project: Project, kind: type[Node], *contents: dict[str, Any]) -> None:
    """Save records of these contents."""
    async with open_store(kind, dir=project.root) as store:
        await store.save_many([kind.model_validate({"content": one}) for one in contents])
