"""The thread of a connection: in which order what is asked of it runs, and how it ends."""

import asyncio
import gc
import os
import sqlite3
import subprocess
import sys
import threading
import weakref
from collections.abc import AsyncIterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from khive_persist.errors import StoreClosedError
from khive_persist.store.sqlite.connection_thread import ConnectionThread

SECONDS = 20
ENDLESS = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT begun() FROM numbers)
SELECT count(*) FROM numbers
"""


class Connected(ConnectionThread):
    """A thread with a connection, in which it is told once a statement has begun."""

    def __init__(self) -> None:
        super().__init__("numbers")
        self.begun = threading.Event()

    def open(self) -> None:
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        connection.create_function("begun", 0, weakref.proxy(self.begun).set)
        self.hold(connection)

    def execute(self, sql: str) -> list[tuple[int]]:
        assert self.connection is not None
        return self.connection.execute(sql).fetchall()


@pytest.fixture
async def numbers() -> AsyncIterator[Connected]:
    thread = Connected()
    await thread.run(thread.open)
    yield thread
    await thread.close()


def alive() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "khive numbers"]


async def cancelled_when_begun(thread: Connected) -> None:
    thread.begun.clear()
    task = asyncio.create_task(thread.run(thread.execute, ENDLESS))
    await asyncio.to_thread(thread.begun.wait, SECONDS)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_statement_ends_and_the_next_one_runs(numbers: Connected) -> None:
    async with asyncio.timeout(SECONDS):
        for _ in range(5):
            await cancelled_when_begun(numbers)
            assert await numbers.run(numbers.execute, "SELECT 1") == [(1,)]


async def test_what_is_cancelled_before_it_begins_does_not_run(numbers: Connected) -> None:
    gate = threading.Event()
    ran: list[int] = []
    numbers.submit(gate.wait)
    task = asyncio.create_task(numbers.run(ran.append, 1))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    last = numbers.submit(ran.append, 2)
    gate.set()
    await asyncio.to_thread(last.result, SECONDS)
    assert ran == [2]


async def test_what_another_awaits_is_not_interrupted(numbers: Connected) -> None:
    gate = threading.Event()
    numbers.submit(gate.wait)
    counting = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000)"
    other = asyncio.create_task(numbers.run(numbers.execute, f"{counting} SELECT count(*) FROM n"))
    cancelled = asyncio.create_task(numbers.run(numbers.execute, ENDLESS))
    await asyncio.sleep(0)
    cancelled.cancel()
    gate.set()
    assert await other == [(300_000,)]


async def test_nothing_interrupts_what_was_submitted(numbers: Connected) -> None:
    counting = "WITH RECURSIVE n(i) AS (SELECT begun() UNION ALL SELECT i + 1 FROM n LIMIT 300000)"
    done: Future[list[tuple[int]]] = numbers.submit(
        numbers.execute, f"{counting} SELECT count(i) FROM n"
    )
    await asyncio.to_thread(numbers.begun.wait, SECONDS)
    await numbers.close()
    assert len(done.result(0)) == 1


async def test_the_connection_is_closed_in_its_thread_after_the_statement() -> None:
    thread = Connected()
    await thread.run(thread.open)
    order: list[str] = []
    gate = threading.Event()

    def statement() -> None:
        gate.wait(SECONDS)
        order.append("statement")

    thread.submit(statement)
    thread.finish(lambda: order.append(threading.current_thread().name))
    gate.set()
    await thread.close()
    assert order == ["statement", "khive numbers"]
    assert thread.connection is None
    assert not alive()
    with pytest.raises(StoreClosedError, match="closed"):
        await thread.run(thread.execute, "SELECT 1")


async def test_a_close_that_is_cancelled_closes_all_the_same() -> None:
    thread = Connected()
    await thread.run(thread.open)
    gate = threading.Event()
    thread.submit(gate.wait)
    closing = asyncio.create_task(thread.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    gate.set()
    await thread.close()
    assert thread.connection is None


async def test_one_that_is_forgotten_ends(numbers: Connected) -> None:
    before = alive()
    thread = Connected()
    await thread.run(thread.open)
    (forgotten,) = set(alive()) - set(before)
    del thread
    gc.collect()
    await asyncio.to_thread(forgotten.join, SECONDS)
    assert not forgotten.is_alive()


def test_it_serves_several_loops_at_once() -> None:
    thread = Connected()
    thread.submit(thread.open)

    async def ask() -> int:
        answers = await asyncio.gather(
            *(thread.run(thread.execute, f"SELECT {n}") for n in range(50))
        )
        return sum(answer[0][0] for answer in answers)

    sums: list[int] = []
    threads = [threading.Thread(target=lambda: sums.append(asyncio.run(ask()))) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(SECONDS)
    asyncio.run(thread.close())
    assert sums == [1225] * 4


def test_a_loop_that_is_closed_while_it_waits_disturbs_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    thread = Connected()
    thread.submit(thread.open)
    gate = threading.Event()
    waiting = thread.submit(gate.wait)
    loop = asyncio.new_event_loop()
    task = loop.create_task(thread.run(thread.execute, "SELECT 1"))
    loop.run_until_complete(asyncio.sleep(0))
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # so it is left on purpose
    loop.close()
    gate.set()
    waiting.result(SECONDS)
    assert asyncio.run(thread.run(thread.execute, "SELECT 2")) == [(2,)]
    asyncio.run(thread.close())
    assert not caplog.records


@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
async def test_a_forked_child_gets_an_error(numbers: Connected) -> None:
    child = os.fork()
    if child == 0:
        try:
            numbers.submit(numbers.execute, "SELECT 1")
        except StoreClosedError as error:
            numbers.finish()
            os._exit("forked" not in str(error))
        os._exit(2)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert await numbers.run(numbers.execute, "SELECT 1") == [(1,)]


LEFT_OPEN = f"""
import asyncio, threading
from tests.store.test_connection_thread import Connected, ENDLESS

thread = Connected()
thread.submit(thread.open)

async def main():
    asyncio.get_running_loop().create_task(thread.run(thread.execute, ENDLESS))
    await asyncio.to_thread(thread.begun.wait, {SECONDS})

if __name__ == "__main__":
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    print("left", flush=True)
    import os, sys
    sys.stderr = open(os.devnull, "w")
"""


def test_a_process_ends_that_leaves_one_open_and_at_work() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEFT_OPEN],
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[2],
        text=True,
        timeout=SECONDS,
    )
    assert (done.returncode, done.stdout) == (0, "left\n")


def test_a_process_that_ends_waits_for_what_was_submitted() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.programs.working_thread"],
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[2],
        text=True,
        timeout=SECONDS,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "finished\n", "")
