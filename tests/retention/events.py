"""Events and plans of several sessions and ages, in a project."""

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio

from khive_persist import HookEvent, PlannerSession, open_store
from khive_persist.copies import mirrored
from khive_persist.mirror.verify import compared
from khive_persist.project import Project

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FAT = "fat " * 1_000


def event(age_days: float, **content: Any) -> HookEvent:
    return HookEvent.model_validate(
        {
            "content": {
                "event_type": "pre_command",
                "tool": "codex",
                "session_id": f"session-of-{age_days:g}",
                "command": "make",
                "payload": {"text": FAT, "age": age_days},
                **content,
            },
            "created_at": NOW - timedelta(days=age_days),
        }
    )


def put_events(project: Project, *ages_days: float, **content: Any) -> list[str]:
    """Store an event of each age; their ids."""
    return put(project, [event(age, **content) for age in ages_days])


def put(project: Project, events: list[HookEvent]) -> list[str]:
    async def save() -> None:
        async with open_store(HookEvent, dir=project.root) as store:
            await store.save_many(events)

    anyio.run(save)
    return [event.id for event in events]


def put_plans(project: Project, session_ids: Iterable[str]) -> None:
    plans = [
        PlannerSession(content={"session_id": id, "task_description": f"of {id}"})
        for id in session_ids
    ]

    async def put() -> None:
        async with open_store(PlannerSession, dir=project.root) as store:
            await store.save_many(plans)

    anyio.run(put)


def contents(project: Project, file: str = "codex_hooks.db") -> dict[str, Any]:
    """The content of each row, by id."""
    tables = {"planner_sessions.db": "planner_sessions", "conversations.db": "messages"}
    table = tables.get(file, "hook_events")
    with closing(sqlite3.connect(project.database(file))) as connection:
        rows = connection.execute(f"SELECT id, content FROM {table} ORDER BY created_at")
        return {id: json.loads(content) for id, content in rows}


def are_equal(project: Project) -> bool:
    with compared(project, mirrored(project)) as comparison:
        return comparison.is_equal


def files_with(project: Project, needle: bytes) -> list[str]:
    """The files of .khive that have these bytes; nobody has a database open."""
    found: list[str] = []
    for path in sorted(project.khive.rglob("*")):
        if path.is_file() and needle in Path(path).read_bytes():
            found.append(path.name)
    return found
