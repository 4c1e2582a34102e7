"""Many tasks, threads, event loops and forks of one process save and read at once."""

import asyncio
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist import HookEvent, PlannerSession, open_store, save_planning_session, verify
from khive_persist.errors import AmbiguousStoreError, StoreClosedError
from khive_persist.project import Project
from khive_persist.store.sqlite import write_lock
from tests.factories import event, plan

MANY = 1_000


@pytest.fixture(params=["fresh", "old"])
async def somewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A directory without a `.khive`, or with one that has a plan."""
    if request.param == "old":
        await save_planning_session(session_id="old", task_description="t", dir=tmp_path)
    return tmp_path


async def all_once(folder: Path, saved: set[str]) -> None:
    async with open_store(PlannerSession, dir=folder) as plans:
        ids = [one.content["session_id"] async for one in plans.stream()]
    assert sorted(set(ids) - {"old"}) == sorted(saved)
    assert len(ids) == len(set(ids))
    assert (await verify(dir=folder)).is_equal


async def test_a_thousand_calls_that_open_a_store_each(somewhere: Path) -> None:
    names = {f"s{number}" for number in range(MANY)}
    (somewhere / "other").mkdir()
    async with open_store(PlannerSession, dir=somewhere / "other") as plans:
        records = [plan(name) for name in names]
        # Of the processor: what else the machine does counts for neither.
        began = time.process_time()
        await asyncio.gather(*map(plans.save, records))
        together = time.process_time() - began
    began = time.process_time()
    await asyncio.gather(
        *(
            save_planning_session(session_id=name, task_description="t", dir=somewhere)
            for name in names
        )
    )
    assert time.process_time() - began < 6 * together, "each waits for the others' opening"
    await all_once(somewhere, names)


async def test_a_thousand_saves_of_records_themselves(
    somewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KHIVE_DIR", str(somewhere))
    names = {f"s{number}" for number in range(MANY)}
    await asyncio.gather(*(plan(name).save() for name in names))
    await all_once(somewhere, names)


async def test_two_hundred_stores_at_once(somewhere: Path) -> None:
    async def one(name: str) -> None:
        async with open_store(PlannerSession, dir=somewhere) as plans:
            await plans.save(plan(name))
            assert await plans.count() > 0

    names = {f"s{number}" for number in range(200)}
    await asyncio.gather(*map(one, names))
    await all_once(somewhere, names)


async def test_who_waits_for_another_program_holds_up_no_other_file(
    project: Project, tmp_path: Path
) -> None:
    """However many wait: none takes a thread that others need."""
    (tmp_path / "free").mkdir()
    async with open_store(PlannerSession, dir=project.root) as plans:
        await plans.save(plan("first"))
    holder = write_lock.acquire(write_lock.lock_path(project.database("planner_sessions.db")), 5)
    try:
        async with anyio.create_task_group() as group:
            for number in range(100):
                content = {"session_id": f"w{number}", "task_description": "t"}
                group.start_soon(save_here, project.root, content)
            await anyio.sleep(0)
            with anyio.fail_after(20):
                await save_here(tmp_path / "free", {"session_id": "x", "task_description": "t"})
            os.close(holder)
            holder = -1
    finally:
        if holder >= 0:
            os.close(holder)
    await all_once(project.root, {"first", *(f"w{number}" for number in range(100))})


async def save_here(folder: Path, content: dict[str, Any]) -> None:
    await save_planning_session(content, dir=folder)


async def test_others_save_while_many_are_saved(project: Project) -> None:
    """A large `save_many` keeps nobody waiting for longer than one of its transactions."""
    done: list[str] = []
    async with open_store(PlannerSession, dir=project.root) as plans:

        async def many() -> None:
            await plans.save_many(plan(f"m{number}") for number in range(6_000))
            done.append("many")

        async def other() -> None:
            for number in range(3):
                await plans.save(plan(f"o{number}"))
            done.append("other")

        async with anyio.create_task_group() as group:
            group.start_soon(many)
            await anyio.sleep(0)
            group.start_soon(other)
    assert done == ["other", "many"]


async def test_a_store_serves_other_threads_and_loops(project: Project) -> None:
    async with open_store(PlannerSession, dir=project.root) as plans:
        failed: list[BaseException] = []

        async def work(worker: int) -> None:
            for number in range(20):
                await plans.save(plan(f"{worker} {number}"))
                assert await plans.count() > number

        def run(worker: int) -> None:
            try:
                asyncio.run(work(worker))
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        with anyio.fail_after(60):
            await work(4)
            for thread in threads:
                await asyncio.to_thread(thread.join)
        assert failed == []
        assert await plans.count() == 100
    assert (await verify(dir=project.root)).is_equal


async def test_a_records_own_call_goes_to_the_store_that_the_program_opened(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a thread, and from a task that was begun before, as a web server's are."""
    monkeypatch.setenv("KHIVE_DIR", str(tmp_path / "elsewhere"))
    opened, ended = anyio.Event(), anyio.Event()

    async def lifespan() -> None:
        async with open_store(PlannerSession, dir=project.root):
            opened.set()
            await ended.wait()

    async with anyio.create_task_group() as group:
        group.start_soon(lifespan)
        await opened.wait()
        await plan("of a task").save()
        await asyncio.to_thread(lambda: anyio.run(plan("of a thread").save))
        assert await PlannerSession.count() == 2
        ended.set()
    await all_once(project.root, {"of a task", "of a thread"})
    assert not (tmp_path / "elsewhere").exists()


async def test_two_stores_that_could_be_meant_are_an_error(
    project: Project, tmp_path: Path
) -> None:
    entered, left = anyio.Event(), anyio.Event()

    async def hold(*folders: Path) -> None:
        async with (
            open_store(PlannerSession, dir=folders[0]),
            open_store(PlannerSession, dir=folders[1]),
        ):
            entered.set()
            await left.wait()

    for folders, is_error in (
        ((project.root, project.root), False),
        ((project.root, tmp_path), True),
    ):
        entered, left = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(hold, *folders)
            await entered.wait()
            if is_error:
                with pytest.raises(AmbiguousStoreError, match="open one in this task"):
                    await plan("never").save()
                async with open_store(PlannerSession, dir=project.root):
                    await plan("b").save()
            else:
                await plan("a").save()
            left.set()
    await all_once(project.root, {"a", "b"})


async def test_who_is_cancelled_while_he_waits_leaves_at_once(project: Project) -> None:
    async with open_store(PlannerSession, dir=project.root) as plans:
        await plans.save(plan("first"))
    with write_lock.held(write_lock.lock_path(project.database("planner_sessions.db")), 5):
        began = time.monotonic()
        with anyio.move_on_after(0.2) as scope:
            await save_here(project.root, {"session_id": "never", "task_description": "t"})
        assert scope.cancelled_caught
        assert time.monotonic() - began < 5
    await all_once(project.root, {"first"})


async def test_a_forked_child_is_told_and_opens_other_files(
    project: Project, tmp_path: Path
) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "tests.programs.forking",
            str(project.root),
            str(tmp_path),
        ],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    async with open_store(PlannerSession, dir=project.root) as plans:
        assert await plans.count() == 21
    await all_once(tmp_path, {"child"})


def in_a_spawned_process(root: str) -> None:
    anyio.run(save_here, Path(root), {"session_id": str(os.getpid()), "task_description": "t"})


async def test_spawned_processes_save_at_the_first_use(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=in_a_spawned_process, args=(str(tmp_path),)) for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join, 60)
    assert [process.exitcode for process in processes] == [0] * 4
    await all_once(tmp_path, {str(process.pid) for process in processes})


async def test_a_store_that_is_closed_says_so_in_every_thread(project: Project) -> None:
    async with open_store(HookEvent, dir=project.root) as events:
        await events.save(event("stop"))
    with pytest.raises(StoreClosedError):
        await events.save(event("stop"))
    with pytest.raises(StoreClosedError):
        await asyncio.to_thread(lambda: anyio.run(events.save, event("stop")))
