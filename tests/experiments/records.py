"""An experiment, sessions with records in it, and what the databases have."""

from typing import Any

from khive_persist import open_store
from khive_persist.models.node import Node
from khive_persist.project import Project
from tests.stored import contents

HALVES = {"control": 1, "new": 1}


def rows(project: Project, table: str) -> dict[str, dict[str, Any]]:
    """The content of each row of experiments or assignments, by its id."""
    return contents(project, f"{table}.db")


async def save(project: Project, kind: type[Node], *contents: dict[str, Any]) -> None:
    """Save records of these contents."""
    async with open_store(kind, dir=project.root) as store:
        await store.save_many([kind.model_validate({"content": one}) for one in contents])
