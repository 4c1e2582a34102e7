"""Readers that are left early, cancelled, shared or closed: nothing crashes or stays open."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from khive_persist.errors import StoreClosedError
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.store.planner_sessions import PlannerSessionStore
from khive_persist.store.reader import Reader
from khive_persist.store.source import Source, Statement, select
from tests.factories import plan
from tests.store.records import opened, plan_store

SECONDS = 20
ROWS = 500
ALL = partial(select, filters=())


def endless(_: Source) -> Statement:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    return Statement(f"{numbers} SELECT count(*) FROM n", [])


def open_files(path: Path) -> int:
    """How often this process has a file open, its log and index included."""
    names = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            names.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except OSError:
            continue
    return sum(name.startswith(str(path)) for name in names)


def threads() -> int:
    return sum(thread.name.startswith("khive ") for thread in threading.enumerate())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.fixture
async def filled(folder: Path, database: Path) -> Path:
    async with opened(plan_store(folder)) as store:
        await store.save_many(plan(f"s{number}") for number in range(ROWS))
    return database


@pytest.fixture
def reader(filled: Path) -> Reader:
    return Reader([(filled, PLANNER_SESSIONS)])


async def test_a_stream_that_is_cancelled_anywhere_leaves_nothing_open(
    reader: Reader, filled: Path
) -> None:
    async def read() -> int:
        return sum([len(rows) async for rows in reader.pages(ALL)])

    assert await read() == ROWS
    for steps in range(60):
        task = asyncio.create_task(read())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    assert await read() == ROWS
    await reader.close()
    await until(lambda: not threads())
    assert not open_files(filled)


async def test_a_stream_that_is_left_early_closes_its_file(reader: Reader, filled: Path) -> None:
    async with aclosing(reader.stream(ALL)) as rows:
        async for _ in rows:
            assert open_files(filled)
            break
    await reader.close()
    await until(lambda: not open_files(filled) and not threads())


async def test_closing_a_reader_closes_the_streams_that_are_under_way(
    reader: Reader, filled: Path
) -> None:
    rows = reader.pages(ALL)
    await anext(rows)
    await reader.close()
    assert not open_files(filled)
    assert not threads()
    with pytest.raises(StoreClosedError):
        await anext(rows)
    with pytest.raises(StoreClosedError):
        await anext(reader.pages(ALL))
    with pytest.raises(StoreClosedError):
        await reader.fetch(ALL)


async def test_a_long_statement_ends_soon_after_its_cancellation(reader: Reader) -> None:
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await reader.fetch(endless)
        async with asyncio.timeout(SECONDS):
            assert len(await reader.fetch(ALL)) == ROWS
    await reader.close()


async def test_closing_waits_for_what_others_read(reader: Reader) -> None:
    counting = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000)"
    reading = asyncio.create_task(
        reader.fetch(lambda _: Statement(f"{counting} SELECT count(*) FROM n", []))
    )
    await asyncio.sleep(0)
    await reader.close()
    assert [tuple(row) for row in await reading] == [(300_000,)]


def test_a_store_is_read_from_several_loops_at_once(folder: Path) -> None:
    async def ask(store: PlannerSessionStore) -> int:
        found = await asyncio.gather(*(store.count() for _ in range(20)))
        streamed = [record async for record in store.stream()]
        return sum(found) + len(streamed)

    async def own() -> list[int]:
        sums: list[int] = []
        async with opened(plan_store(folder)) as store:
            await store.save_many(plan() for _ in range(3))
            others = [
                threading.Thread(target=lambda: sums.append(asyncio.run(ask(store))))
                for _ in range(4)
            ]
            for other in others:
                other.start()
            sums.append(await ask(store))
            for other in others:
                await asyncio.to_thread(other.join, SECONDS)
        return sums

    assert asyncio.run(own()) == [63] * 5


@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
async def test_in_a_forked_child_each_call_is_an_error_and_nothing_hangs(reader: Reader) -> None:
    pages = reader.pages(ALL)
    await anext(pages)
    assert len(await reader.fetch(ALL)) == ROWS
    child = os.fork()
    if child == 0:
        # The loop is the parent's: one of its own asks.
        asyncio.events._set_running_loop(None)
        code = 1
        try:
            code = asyncio.run(_in_child(reader, pages))
        finally:
            os._exit(code)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert len(await reader.fetch(ALL)) == ROWS
    await pages.aclose()
    await reader.close()


async def _in_child(reader: Reader, pages: Any) -> int:
    errors = 0
    for call in (reader.fetch(ALL), anext(reader.pages(ALL)), anext(pages)):
        try:
            await call
        except StoreClosedError:
            errors += 1
    await pages.aclose()
    await reader.close()
    return errors - 3


def stop_reads(folder: Path, count: int, seed: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.store.cancelled_reads", str(folder), str(count), str(seed)],
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[2],
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, f"{count} reads stopped\n"), done.stderr
    assert "Traceback" not in done.stderr


def test_reads_stopped_anywhere_in_any_way_leave_nothing(tmp_path: Path) -> None:
    stop_reads(tmp_path, 100, 1)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(10))
def test_ten_thousand_reads_stopped_anywhere_in_any_way_leave_nothing(
    tmp_path: Path, seed: int
) -> None:
    stop_reads(tmp_path, 1_000, seed)


def test_a_program_that_leaves_generators_ends_in_silence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.programs.leaving_reader", str(tmp_path)],
        capture_output=True,
        check=False,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "left\n", "")
