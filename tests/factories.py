"""One way to make a record of each kind, a row of a file, a project, and to store them.

A time is an instant, its text, or so many minutes after `NOON`.
"""

import json
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import anyio

from khive_persist import (
    FocusChain,
    HookEvent,
    Message,
    Node,
    Outcome,
    PlannerSession,
    clock,
    open_store,
)
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project
from khive_persist.store.sqlite.connection import open_writer
from khive_persist.store.sqlite.statements import replace

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
Time = datetime | str | float | None
Row = tuple[str, str, str, str, None]
AnyNode = TypeVar("AnyNode", bound=Node)
Result = TypeVar("Result")


def record(kind: type[AnyNode], at: Time = None, /, **content: Any) -> AnyNode:
    return _record(kind, at, None, content)


def _record(kind: type[AnyNode], at: Time, id: str | None, content: dict[str, Any]) -> AnyNode:
    """Make a record of a class; its own id and time hold where none is named."""
    at = NOON + timedelta(minutes=at) if isinstance(at, int | float) else at
    named = {"id": id, "created_at": at}
    fields = {name: value for name, value in named.items() if value is not None}
    return kind.model_validate({**fields, "content": content})


def plan(
    session_id: str = "s1", at: Time = None, *, id: str | None = None, **content: Any
) -> PlannerSession:
    fields = {"session_id": session_id, "task_description": "", **content}
    return _record(PlannerSession, at, id, fields)


def event(
    event_type: str = "stop",
    session_id: str | None = None,
    at: Time = None,
    *,
    id: str | None = None,
    **content: Any,
) -> HookEvent:
    if session_id is not None:
        content["session_id"] = session_id
    return _record(HookEvent, at, id, {"event_type": event_type, **content})


def message(session_id: str, at: Time = None, **content: Any) -> Message:
    fields = {"tool": "claude-code", "role": "assistant", "session_id": session_id, **content}
    return record(Message, at, **fields)


def outcome(session_id: str, verdict: str, at: Time = None, **content: Any) -> Outcome:
    return record(Outcome, at, session_id=session_id, verdict=verdict, **content)


def todos(session_id: str, at: Time, *items: tuple[str, str], **content: Any) -> FocusChain:
    """Make a list of texts and their states."""
    listed = [{"text": text, "status": status} for text, status in items]
    return record(FocusChain, at, session_id=session_id, items=listed, **content)


def make_project(root: Path, config: str = "") -> Project:
    """Make a project, with settings where a text is given."""
    root.mkdir(parents=True, exist_ok=True)
    project = Project(root)
    project.make()
    if config:
        project.config.write_text(config)
    return project


def in_own_thread(work: Callable[[], Awaitable[Result]]) -> Result:
    """Run asynchronous work also where the thread has a loop, as Playwright's has."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(anyio.run, work).result()


def save(project: Project, *records: Node) -> None:
    """Save records of one class, each in a commit of its own."""

    async def write() -> None:
        async with open_store(type(records[0]), dir=project.root) as store:
            for each in records:
                await store.save(each)

    in_own_thread(write)


def save_many(project: Project, records: Sequence[Node]) -> None:
    """Save records of whatever classes."""

    async def write() -> None:
        kinds: dict[type[Any], None] = dict.fromkeys(map(type, records))
        for kind in kinds:
            async with open_store(kind, dir=project.root) as store:
                await store.save_many([each for each in records if type(each) is kind])

    in_own_thread(write)


def row(content: dict[str, Any], at: datetime, id: str | None = None) -> Row:
    """Make a row of a database."""
    return (id or str(uuid.uuid4()), json.dumps(content), "{}", clock.to_text(at), None)


def store_rows(project: Project, purpose: Purpose, rows: Iterable[Sequence[Any]]) -> Path:
    """Store rows past all checks, those that are there already anew; return their database."""
    path = project.database(purpose.file)
    connection = open_writer(path, purpose)
    try:
        connection.execute("BEGIN")
        connection.executemany(replace(purpose.table), rows)
        connection.execute("COMMIT")
    finally:
        connection.close()
    return path
