"""Events and plans of several sessions and ages, in a project."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from khive_persist import HookEvent
from khive_persist.copies import mirrored
from khive_persist.mirror.verify import compared
from khive_persist.project import Project
from tests import factories, stored
from tests.factories import plan, save_many

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FAT = "fat " * 1_000


def event(age_days: float, **content: Any) -> HookEvent:
    fields = {
        "event_type": "pre_command",
        "tool": "codex",
        "session_id": f"session-of-{age_days:g}",
        "command": "make",
        "payload": {"text": FAT, "age": age_days},
    }
    return factories.event(at=NOW - timedelta(days=age_days), **{**fields, **content})


def put_events(project: Project, *ages_days: float, **content: Any) -> list[str]:
    """Store an event of each age; their ids."""
    events = [event(age, **content) for age in ages_days]
    save_many(project, events)
    return [event.id for event in events]


def put_plans(project: Project, session_ids: Iterable[str]) -> None:
    save_many(project, [plan(id, task_description=f"of {id}") for id in session_ids])


def contents(project: Project, file: str = "codex_hooks.db") -> dict[str, Any]:
    return stored.contents(project, file)


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
