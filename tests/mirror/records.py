"""Records in a project, and both copies of them read in the plainest way there is."""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import anyio

from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.copies import mirrored
from khive_persist.mirror.mirror import Mirror
from khive_persist.mirror.recovery import recover
from khive_persist.mirror.verify import Comparison, compared
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.node import Node
from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.purpose_file import SUFFIX
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import HOOK_EVENTS, PLANNER_SESSIONS, Purpose
from khive_persist.opening import open_store
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store.sqlite.mirror_progress import Batch
from khive_persist.store.sqlite.sync_writer import FileWriter
from tests import factories
from tests.stored import select

CLAUDE = HOOK_EVENTS["claude-code"]
CODEX = HOOK_EVENTS["codex"]
DAY = "2026-11-01T12:00:00Z"
NOON = "2026-11-01 12:00:00.000000"


def plan(id: str, created_at: str = DAY, **content: Any) -> PlannerSession:
    return factories.plan(id=id, at=created_at, **{"task_description": "do it", **content})


def event(
    id: str, session_id: str | None = "s1", created_at: str = DAY, **content: Any
) -> HookEvent:
    content = {"event_type": "stop", "tool": "claude-code", **content}
    return factories.event(session_id=session_id, at=created_at, id=id, **content)


def delete(project: Project, record: type[Node], *ids: str) -> list[bool]:
    async def run() -> list[bool]:
        async with open_store(record, dir=project.root) as store:
            return [await store.delete(id) for id in ids]

    return anyio.run(run)


def hook(project: Project, session: str | None, number: int, tool: str = "claude-code") -> str:
    """An event in the spool, as the hook leaves it; its id."""
    payload = {"hook_event_name": "Stop", "number": number}
    if session is not None:
        payload["session_id"] = session
    return Spool(project).accept(tool, json.dumps(payload).encode()).id


def drained(project: Project) -> None:
    result = drain(project)
    assert (result.waiting_count, result.errors) == (0, ())


def recovered(project: Project) -> None:
    """Open every file for writing, as the next one does who writes to it."""
    assert recover(project, known_purposes(project), Settings()) == []


def committed_only(project: Project, purpose: Purpose, *ids: str) -> None:
    """Commit as a process does that is killed before it copies."""
    mirror = Mirror(project, Settings()).follower(purpose)
    path = project.database(purpose.file)
    writer = FileWriter(path, purpose, 5, mirror)
    batches: list[Batch] = []
    with writer.commit(batches) as writing:
        writing.upsert(
            [
                (id, f'{{"session_id":"{id}"}}', "{}", "2026-11-01 00:00:00.000000", None)
                for id in ids
            ]
        )
    for batch in batches:
        # The kernel does it for who is killed.
        os.close(batch.gate)
    assert writer._connection is not None
    writer._connection.close()


def copies_of(project: Project, id: str) -> int:
    """How many files of the mirror have a record."""
    word = f'"{id}"'.encode()
    return sum(word in (project.sessions / name).read_bytes() for name in files(project))


def files(project: Project) -> list[str]:
    """The names in sessions/, but for hidden ones and definitions."""
    if not project.sessions.exists():
        return []
    names = [path.name for path in project.sessions.iterdir()]
    return sorted(name for name in names if name[0] != "." and not name.endswith(SUFFIX))


def unfinished(project: Project) -> list[str]:
    return [path.name for path in project.sessions.glob(".*.tmp")]


def document(project: Project, name: str) -> Any:
    return json.loads((project.sessions / name).read_bytes())


def lines(project: Project, name: str) -> list[Any]:
    content = (project.sessions / name).read_bytes()
    assert content.endswith(b"\n")
    return [json.loads(line) for line in content.splitlines()]


def set_row(
    project: Project, sql: str, *values: object, purpose: Purpose = PLANNER_SESSIONS
) -> None:
    """Change a database past all of our code."""
    with closing(sqlite3.connect(project.database(purpose.file))) as connection, connection:
        connection.execute(sql.replace("TABLE", purpose.table), values)


def rows(project: Project, purpose: Purpose = PLANNER_SESSIONS) -> list[tuple[Any, ...]]:
    """Every column of every row with its type, by id."""
    path = project.database(purpose.file)
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as connection:
        if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            # Killed while it was made.
            return []
        return connection.execute(
            "SELECT typeof(id), id, typeof(content), content, typeof(node_metadata), node_metadata,"
            " typeof(created_at), created_at, typeof(embedding), embedding"
            f' FROM "{purpose.table}" ORDER BY id'
        ).fetchall()


def everything(project: Project) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of all databases."""
    return {purpose.name: rows(project, purpose) for purpose in known_purposes(project)}


def ids(project: Project, purpose: Purpose = PLANNER_SESSIONS) -> list[str]:
    """In the order of storing."""
    sql = f'SELECT id FROM "{purpose.table}" ORDER BY rowid'
    return [id for (id,) in select(project, purpose.file, sql)]


def content_of(document: Any) -> Any:
    """What JSON cannot say of it in the same text stands as its text."""
    texts = document.get("text", {})
    return json.loads(texts["content"]) if "content" in texts else document["content"]


def copied(project: Project) -> dict[tuple[str, str], Any]:
    """Content and created_at of every record of the mirror, by purpose and id; each is there once.

    Of several lines in one file the last counts, as its documentation says.
    """
    found: dict[tuple[str, str], Any] = {}
    for name in files(project):
        here: dict[tuple[str, str], Any] = {}
        for one in lines(project, name) if name.endswith(".jsonl") else [document(project, name)]:
            key = one["purpose"], one["id"]
            here.pop(key, None)
            if not one.get("deleted"):
                here[key] = content_of(one), one["created_at"]
        assert not here.keys() & found.keys(), "in two files"
        found |= here
    return found


def recorded(project: Project) -> dict[tuple[str, str], Any]:
    """The same of the databases."""
    return {
        (name, row[1]): (json.loads(row[3]), row[7])
        for name, found in everything(project).items()
        for row in found
    }


def assert_equal(project: Project) -> None:
    """Both copies have the same, by what is in them and by what `verify` says."""
    assert copied(project) == recorded(project)
    kinds = mirrored(project)
    # Of the others neither copy has anything, by now.
    kept = [purpose for purpose in kinds if project.database(purpose.file).exists()]
    with compared(project, kept or kinds) as comparison:
        assert list(comparison.differences()) == []
        assert comparison.is_equal


@contextmanager
def comparing(project: Project) -> Iterator[Comparison]:
    with compared(project, mirrored(project)) as comparison:
        yield comparison


def found(project: Project) -> list[tuple[str, str]]:
    """Kind and id, or file where there is none, of each difference that `verify` finds."""
    with comparing(project) as comparison:
        return sorted((one.kind, one.id or one.file) for one in comparison.differences())


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, links as where they lead to."""
    return {
        str(path.relative_to(folder)): (
            str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        )
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def with_ids(records: Iterable[tuple[str, str]]) -> list[str]:
    return [id for _, id in records]
