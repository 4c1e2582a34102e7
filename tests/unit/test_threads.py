"""Long work in a thread: a cancelled await stops it, and ends once it has ended."""

import asyncio
import threading
from collections.abc import Callable

import anyio
import pytest

from khive_persist.threads import Advance, run_stoppable


class Endless:
    """Work that goes on until it is stopped."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.ended = threading.Event()

    def __call__(self, advance: Advance) -> None:
        try:
            self.began.set()
            while True:
                advance(1)
        finally:
            self.ended.set()


async def test_it_gives_what_the_work_returns_and_raises_what_it_raises() -> None:
    def work(advance: Advance) -> int:
        advance(1)
        return 5

    def wrong(_: Advance) -> int:
        raise LookupError("not there")

    assert await run_stoppable(work) == 5
    with pytest.raises(LookupError, match="not there"):
        await run_stoppable(wrong)


async def with_timeout(work: Callable[[Advance], None]) -> None:
    async with asyncio.timeout(0.05):
        await run_stoppable(work)


async def with_cancel_scope(work: Callable[[Advance], None]) -> None:
    with anyio.fail_after(0.05):
        await run_stoppable(work)


@pytest.mark.parametrize("cancelled", [with_timeout, with_cancel_scope])
async def test_a_timeout_stops_it(cancelled: Callable[[Endless], object]) -> None:
    work = Endless()
    with pytest.raises(TimeoutError):
        await cancelled(work)  # type: ignore[misc]
    assert work.ended.is_set()


async def test_a_cancelled_task_stops_it() -> None:
    work = Endless()
    task = asyncio.create_task(run_stoppable(work))
    await anyio.to_thread.run_sync(work.began.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.ended.is_set()


async def test_a_hundred_at_once_do_not_wait_for_each_other() -> None:
    """More than the threads that all share."""
    together = threading.Barrier(100, timeout=20)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(100):
            tasks.create_task(run_stoppable(lambda _: together.wait()))
