"""Callbacks: what they are told, when, and that nothing they do is in the way."""

import asyncio
import logging
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist import CallbackMetadata, HookEvent, PlannerSession, field, open_store
from khive_persist.errors import (
    InvalidQueryError,
    InvalidRecordError,
    NotFoundError,
    StoreBusyError,
    StoreDamagedError,
)
from khive_persist.project import Project
from khive_persist.store.callbacks import Callbacks
from khive_persist.store.planner_sessions import PlannerSessionStore
from khive_persist.store.sqlite import write_lock
from tests.factories import event, plan
from tests.store.records import opened

PAGE_ROWS = 64


class Notebook:
    """Callbacks that write down what they are told."""

    def __init__(self) -> None:
        self.saved: list[CallbackMetadata] = []
        self.loaded: list[CallbackMetadata] = []
        self.failed: list[tuple[Exception, CallbackMetadata]] = []

    def on_save(self, told: CallbackMetadata) -> None:
        self.saved.append(told)

    async def on_load(self, told: CallbackMetadata) -> None:
        await anyio.lowlevel.checkpoint()
        self.loaded.append(told)

    async def on_error(self, error: Exception, told: CallbackMetadata) -> None:
        await anyio.lowlevel.checkpoint()
        self.failed.append((error, told))

    def all(self) -> Callbacks:
        return Callbacks(self.on_save, self.on_load, self.on_error)


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
async def told_plans(folder: Path, notebook: Notebook) -> AsyncIterator[PlannerSessionStore]:
    """A store that tells the notebook, and does not wait long for a lock."""
    store = PlannerSessionStore(
        PlannerSession,
        lambda purpose: folder / purpose.file,
        busy_timeout_seconds=0.1,
        callbacks=notebook.all(),
    )
    async with opened(store):
        yield store


def stored_bytes(database: Path) -> int:
    """The UTF-8 bytes of all columns, as SQLite counts them."""
    columns = ("id", "content", "node_metadata", "created_at", "embedding")
    each = " + ".join(f"coalesce(length(CAST({name} AS BLOB)), 0)" for name in columns)
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute(f"SELECT sum({each}) FROM planner_sessions").fetchone()[0])


def is_just_now(instant: datetime) -> bool:
    return instant.tzinfo is UTC and abs((datetime.now(UTC) - instant).total_seconds()) < 60


async def test_open_store_tells_of_a_save_that_is_committed(project: Project) -> None:
    database = project.database("planner_sessions.db")
    seen: list[tuple[CallbackMetadata, int]] = []

    def on_save(told: CallbackMetadata) -> None:
        seen.append((told, stored_bytes(database)))

    async with open_store(PlannerSession, dir=project.root, on_save=on_save) as plans:
        saved = plan(complexity="é😀", metadata={"key": "AKIAQWERTYUIOPASDFGH"})
        saved.embedding = [0.5]
        await plans.save(saved)
        ((told, in_the_file),) = seen
        assert (told.path, told.format, told.items) == (database, "sqlite", 1)
        assert told.bytes == in_the_file
        assert is_just_now(told.timestamp)
        await plans.find()
        await plans.delete(saved.id)
        assert len(seen) == 1


async def test_calls_of_a_record_tell_too(project: Project, notebook: Notebook) -> None:
    async with open_store(
        PlannerSession, dir=project.root, on_save=notebook.on_save, on_load=notebook.on_load
    ):
        saved = await plan().save()
        await PlannerSession.get(saved.id)
    assert [told.items for told in (*notebook.saved, *notebook.loaded)] == [1, 1]


async def test_many_that_are_saved_at_once_are_told_at_once(
    told_plans: PlannerSessionStore, notebook: Notebook, database: Path
) -> None:
    await told_plans.save_many(plan(f"é{number}") for number in range(1_201))
    (told,) = notebook.saved
    assert (told.path, told.items, told.bytes) == (database, 1_201, stored_bytes(database))
    await told_plans.save_many([])
    assert len(notebook.saved) == 1


async def test_many_of_several_files_are_told_a_file_at_a_time(
    project: Project, notebook: Notebook
) -> None:
    async with open_store(HookEvent, dir=project.root, on_save=notebook.on_save) as events:
        await events.save_many([event(tool="codex"), event(), event(tool="codex")])
    assert {(told.path.name, told.items) for told in notebook.saved} == {
        ("claude_hooks.db", 1),
        ("codex_hooks.db", 2),
    }


async def test_what_is_found_is_told(
    told_plans: PlannerSessionStore, notebook: Notebook, database: Path
) -> None:
    kept = [plan(f"é{number}") for number in range(5)]
    await told_plans.save_many(kept)
    found = await told_plans.find()
    assert len(found) == 5
    (told,) = notebook.loaded
    assert (told.path, told.format, told.items) == (database, "sqlite", 5)
    assert told.bytes == stored_bytes(database)
    assert is_just_now(told.timestamp)
    await told_plans.get(kept[0].id)
    await told_plans.get_recent(3)
    await told_plans.get_by_session_id("é4")
    assert [told.items for told in notebook.loaded] == [5, 1, 3, 1]


async def test_where_nothing_is_loaded_nothing_is_told(
    told_plans: PlannerSessionStore, notebook: Notebook
) -> None:
    assert await told_plans.find() == []
    assert [one async for one in told_plans.stream()] == []
    with pytest.raises(NotFoundError):
        await told_plans.get("absent")
    await told_plans.save(plan())
    assert await told_plans.count() == 1
    assert (await told_plans.stats())["total"] == 1
    assert (await told_plans.get_stats())["total_sessions"] == 1
    assert (notebook.loaded, notebook.failed) == ([], [])


async def test_a_stream_tells_of_each_page_before_its_first_record(
    told_plans: PlannerSessionStore, notebook: Notebook
) -> None:
    await told_plans.save_many(plan(f"{number}") for number in range(2 * PAGE_ROWS + 5))
    number = 0
    async for one in told_plans.stream():
        assert one.content["session_id"] == f"{number}"
        number += 1
        assert sum(told.items for told in notebook.loaded) == min(
            -(-number // PAGE_ROWS) * PAGE_ROWS, 2 * PAGE_ROWS + 5
        )
    assert [told.items for told in notebook.loaded] == [PAGE_ROWS, PAGE_ROWS, 5]


async def test_what_is_followed_is_told(
    told_plans: PlannerSessionStore, notebook: Notebook
) -> None:
    following = await told_plans.follow(poll_seconds=0.01)
    await told_plans.save(plan("new"))
    with anyio.fail_after(10):
        assert (await anext(following)).content["session_id"] == "new"
    assert [told.items for told in notebook.loaded] == [1]


async def test_a_read_of_several_files_has_the_path_of_their_folder(
    project: Project, notebook: Notebook
) -> None:
    async with open_store(HookEvent, dir=project.root, on_load=notebook.on_load) as events:
        await events.save_many([event(tool="codex"), event()])
        await events.find()
    (told,) = notebook.loaded
    assert (told.path, told.items) == (project.khive, 2)


async def test_an_error_is_told_and_raised(
    told_plans: PlannerSessionStore, notebook: Notebook, database: Path
) -> None:
    async def fails(work: Awaitable[object], wrong: type[Exception]) -> None:
        notebook.failed.clear()
        with pytest.raises(wrong) as caught:
            await work
        ((error, told),) = notebook.failed
        assert error is caught.value
        assert (told.path, told.format, told.bytes, told.items) == (database, "sqlite", 0, 0)
        assert is_just_now(told.timestamp)

    bad = plan(metadata={"cost": float("nan")})
    await fails(told_plans.save(bad), InvalidRecordError)
    await fails(told_plans.save_many([plan(), bad]), InvalidRecordError)
    await fails(told_plans.find(limit=-1), InvalidQueryError)
    await fails(anext(told_plans.stream(limit=-1)), InvalidQueryError)
    held = write_lock.try_acquire(write_lock.lock_path(database))
    assert held is not None
    try:
        await fails(told_plans.save(plan()), StoreBusyError)
        await fails(told_plans.save_many([plan()]), StoreBusyError)
        await fails(told_plans.delete("x"), StoreBusyError)
    finally:
        os.close(held)
    assert notebook.saved == []


async def test_a_database_that_cannot_be_read_is_told(project: Project, notebook: Notebook) -> None:
    project.database("codex_hooks.db").write_bytes(b"garbage " * 1_000)
    async with open_store(HookEvent, dir=project.root, on_error=notebook.on_error) as events:
        for ask in (events.find, events.count, lambda: anext(events.stream())):
            with pytest.raises(StoreDamagedError):
                await ask()
    told = [(type(error), told.path) for error, told in notebook.failed]
    assert told == [(StoreDamagedError, project.khive)] * 3


async def test_a_cancellation_is_no_error(
    told_plans: PlannerSessionStore, notebook: Notebook, database: Path
) -> None:
    held = write_lock.try_acquire(write_lock.lock_path(database))
    assert held is not None
    try:
        saving = asyncio.create_task(told_plans.save(plan()))
        await asyncio.sleep(0)
        saving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await saving
    finally:
        os.close(held)
    assert notebook.failed == []


class Broken(Exception):
    """What a callback raises."""


def breaking(*_: object) -> None:
    raise Broken


async def breaking_later(*_: object) -> None:
    await anyio.lowlevel.checkpoint()
    raise Broken


@pytest.mark.parametrize("broken", [breaking, breaking_later])
async def test_a_callback_that_raises_stops_nothing_and_is_told_to_on_error(
    broken: Any, project: Project, notebook: Notebook, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_store(
        PlannerSession, dir=project.root, on_save=broken, on_load=broken, on_error=notebook.on_error
    ) as plans:
        saved = await plans.save(plan())
        await plans.save_many([plan(), plan()])
        assert (await plans.get(saved.id)).content == saved.content
        assert len([one async for one in plans.stream()]) == 3
    assert [type(error) for error, _ in notebook.failed] == [Broken] * 4
    assert [told.items for _, told in notebook.failed] == [1, 2, 1, 3]
    assert caplog.records == []


@pytest.mark.parametrize("broken", [breaking, breaking_later])
async def test_a_callback_that_raises_without_on_error_is_logged(
    broken: Any, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_store(PlannerSession, dir=project.root, on_save=broken) as plans:
        await plans.save(plan())
        assert await plans.count() == 1
    (logged,) = caplog.records
    assert (logged.name, logged.levelno) == ("khive_persist", logging.ERROR)
    assert broken.__name__ in logged.getMessage()
    assert logged.exc_info is not None
    assert logged.exc_info[0] is Broken


@pytest.mark.parametrize("broken", [breaking, breaking_later])
async def test_an_on_error_that_raises_does_not_hide_the_error(
    broken: Any, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_store(
        PlannerSession, dir=project.root, on_save=broken, on_error=broken
    ) as plans:
        await plans.save(plan())
        with pytest.raises(InvalidQueryError):
            await plans.find(field("complexity") == "x", limit=-1)
        assert await plans.count() == 1
    assert [logged.exc_info[0] for logged in caplog.records if logged.exc_info] == [Broken] * 2


async def test_another_callback_is_refused(project: Project) -> None:
    with pytest.raises(TypeError, match="on_delete"):
        async with open_store(PlannerSession, dir=project.root, on_delete=print):  # type: ignore[call-overload]
            pass
