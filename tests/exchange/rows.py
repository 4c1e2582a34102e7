"""Rows put into a project past all checks, and what an import of them does."""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio

from khive_persist.models.hook_event import HookEvent
from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.purposes import EVENT_FILES, HOOK_EVENTS, PLANNER_SESSIONS, Purpose
from khive_persist.project import Project
from khive_persist.store.source import COLUMNS
from khive_persist.transfer.export import ExportPart, Form, export, parts_of
from khive_persist.transfer.import_ import Imported, import_rows
from tests.factories import make_project, store_rows

PLANS = "planner_sessions.db"
CLAUDE = HOOK_EVENTS["claude-code"]
METADATA = '{"lion_class":"khive_persist.records.planner_session.PlannerSession"}'
LOSSLESS: tuple[Form, ...] = ("json", "jsonl", "csv", "parquet")


def made(root: Path, *, redacts: bool = True) -> Project:
    project = make_project(root)
    if not redacts:
        project.local_config.write_text("[redaction]\nenabled = false\n")
    return project


def row(id: str, content: str | None = '{"session_id":"s","task_description":"t"}',
        created_at: object = "2026-11-01 12:00:00.000000", metadata: str | None = METADATA,
        embedding: str | None = None) -> tuple[Any, ...]:  # fmt: skip
    return id, content, metadata, created_at, embedding


def put(
    project: Project, rows: Iterable[Sequence[Any]], purpose: Purpose = PLANNER_SESSIONS
) -> Path:
    return store_rows(project, purpose, rows)


def stored(path: Path, table: str = "planner_sessions") -> dict[str, tuple[Any, ...]]:
    """Every column of every row with its type, by id."""
    columns = ", ".join(f"typeof({name}), {name}" for name in COLUMNS.split(", "))
    with closing(sqlite3.connect(path)) as connection:
        return {row[1]: row for row in connection.execute(f"SELECT {columns} FROM {table}")}


def everything(project: Project) -> dict[str, dict[str, tuple[Any, ...]]]:
    """The rows of every database of a project."""
    tables = {p.file: p.table for p in (PLANNER_SESSIONS, *EVENT_FILES.values())}
    return {
        path.name: stored(path, tables[path.name]) for path in sorted(project.khive.glob("*.db"))
    }


def all_parts() -> list[ExportPart]:
    return [*parts_of(PlannerSession), *parts_of(HookEvent)]


def write(project: Project, target: Path, form: Form, parts: list[ExportPart] | None = None) -> int:
    async def run() -> int:
        return await export(project, parts or parts_of(PlannerSession), target, form)

    return anyio.run(run)


def read(project: Project, source: Path, **options: Any) -> Imported:
    async def run() -> Imported:
        return await import_rows(project, source, **options)

    return anyio.run(run)
