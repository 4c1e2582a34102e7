"""Exports and imports that are cancelled anywhere: what they wrote is gone, and nothing runs on."""

import asyncio
import random
import threading
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from khive_persist.models.planner_session import PlannerSession
from khive_persist.project import Project
from khive_persist.transfer.export import Form, export, parts_of
from khive_persist.transfer.import_ import import_rows
from tests.exchange.rows import made, put, row, stored

ROWS = 1_500
SECONDS = 20


@pytest.fixture
def full(tmp_path: Path) -> Project:
    project = made(tmp_path / "full", redacts=False)
    put(project, (row(f"plan-{number}") for number in range(ROWS)))
    return project


async def cancelled(work: Coroutine[Any, Any, Any], seconds: float) -> bool:
    """Whether it was cancelled before it had ended."""
    task = asyncio.create_task(work)
    await asyncio.wait([task], timeout=seconds)
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
    return task.cancelled()


async def until_quiet() -> None:
    async with asyncio.timeout(SECONDS):
        while any(thread.name.startswith("khive ") for thread in threading.enumerate()):
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet", "xlsx"])
async def test_a_cancelled_export_leaves_nothing(full: Project, tmp_path: Path, form: Form) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    target = folder / f"plans.{form}"
    work = partial(export, full, parts_of(PlannerSession), target, form)
    chance = random.Random(form)
    count = 0
    for _ in range(25):
        if await cancelled(work(), chance.uniform(0, 0.05)):
            assert not any(folder.iterdir())
            count += 1
        else:
            target.unlink()
    assert count
    assert await work() == ROWS
    await until_quiet()


async def test_a_cancelled_import_is_completed_by_the_next(full: Project, tmp_path: Path) -> None:
    target = made(tmp_path / "target")
    source = full.database("planner_sessions.db")
    chance = random.Random(1)
    for _ in range(10):
        await cancelled(import_rows(target, source), chance.uniform(0, 0.1))
    await import_rows(target, source)
    await until_quiet()
    assert len(stored(target.database("planner_sessions.db"))) == ROWS
    assert not target.quarantine.exists() or not any(target.quarantine.iterdir())
