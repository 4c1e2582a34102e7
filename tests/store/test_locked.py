"""A file that another program holds: waited for as long as was said, and no longer."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from khive_persist.errors import StoreBusyError
from khive_persist.store.planner_sessions import PlannerSessionStore
from khive_persist.store.sqlite import write_lock
from tests.factories import plan
from tests.store import old_files
from tests.store.records import opened, plan_store

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
connection.execute("UPDATE planner_sessions SET node_metadata = node_metadata")
print("held", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
"""
SHORT_SECONDS = 0.3


@contextmanager
def held(database: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process writes to the file, until it is sent a line."""
    command = [sys.executable, "-c", HOLDER, str(database)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        if process.poll() is None:
            release(process)


def release(process: "subprocess.Popen[str]") -> None:
    process.communicate("\n", timeout=10)
    assert process.returncode == 0


async def waits(database: Path) -> None:
    """Return once a writer of ours has begun to wait: it holds its project in the queue."""
    with anyio.fail_after(10):
        while (descriptor := write_lock.try_acquire(write_lock.lock_path(database))) is not None:
            os.close(descriptor)
            await anyio.lowlevel.checkpoint()


async def test_a_lock_that_is_held_too_long_is_an_error_in_time_and_loses_nothing(
    folder: Path, database: Path
) -> None:
    async with opened(plan_store(folder, busy_timeout_seconds=SHORT_SECONDS)) as store:
        kept = await store.save(plan())
        refused = []

        async def save() -> None:
            with pytest.raises(StoreBusyError, match=database.name):
                await store.save(plan())
            refused.append(1)

        with held(database):
            start = time.monotonic()
            async with anyio.create_task_group() as group:
                for _ in range(32):
                    group.start_soon(save)
            assert SHORT_SECONDS <= time.monotonic() - start < SHORT_SECONDS + 3
            assert len(refused) == 32
            assert [one.id for one in await store.find()] == [kept.id]
        after = await store.save(plan())
        assert {one.id for one in await store.find()} == {kept.id, after.id}


async def test_a_lock_that_is_released_in_time_is_waited_for(
    plans: PlannerSessionStore, database: Path
) -> None:
    with held(database) as process:
        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(plans.save, plan(f"s{number}"))
            await waits(database)
            release(process)
    assert await plans.count() == 8


async def test_an_old_file_that_is_held_is_busy_and_not_damaged(
    folder: Path, database: Path
) -> None:
    old_files.make(database)
    before = old_files.stored(database)
    store = plan_store(folder, busy_timeout_seconds=SHORT_SECONDS)
    with held(database), pytest.raises(StoreBusyError):
        await store.open()
    async with opened(store):
        assert await store.count() == len(before)
    assert old_files.stored(database) == before


async def test_an_old_file_that_is_released_in_time_is_opened(folder: Path, database: Path) -> None:
    old_files.make(database)

    async def open_and_save() -> None:
        async with opened(plan_store(folder)) as store:
            await store.save(plan())

    with held(database) as process:
        async with anyio.create_task_group() as group:
            group.start_soon(open_and_save)
            await waits(database)
            release(process)
    assert len(old_files.stored(database)) == len(old_files.ROWS) + 1


async def test_a_writer_of_ours_that_holds_its_place_too_long_is_an_error_in_time(
    folder: Path, database: Path
) -> None:
    async with opened(plan_store(folder, busy_timeout_seconds=SHORT_SECONDS)) as store:
        with write_lock.held(write_lock.lock_path(database), 1):
            start = time.monotonic()
            with pytest.raises(StoreBusyError, match="held by other writers"):
                await store.save(plan())
            with pytest.raises(StoreBusyError):
                await store.save_many([plan()])
            assert time.monotonic() - start < 2 * SHORT_SECONDS + 3
        assert await store.count() == 0
        await store.save(plan())


async def test_a_store_closes_also_while_another_holds_its_place(
    folder: Path, database: Path
) -> None:
    async with opened(plan_store(folder, busy_timeout_seconds=SHORT_SECONDS)) as store:
        await store.save(plan())
        with write_lock.held(write_lock.lock_path(database), 1):
            await store.close()
    async with opened(plan_store(folder)) as again:
        assert await again.count() == 1


async def test_only_one_at_a_time_is_at_the_head_of_the_queue(database: Path) -> None:
    path = write_lock.lock_path(database)
    inside: list[int] = []
    most = 0

    def take_often(number: int) -> None:
        nonlocal most
        for _ in range(50):
            with write_lock.held(path, 20):
                inside.append(number)
                most = max(most, len(inside))
                inside.remove(number)

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(anyio.to_thread.run_sync, take_often, number)
    assert most == 1
