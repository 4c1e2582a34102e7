"""Run long work in a thread of its own, which a cancelled await stops."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import anyio
import anyio.to_thread

Result = TypeVar("Result")
# Called every now and then with the number of bytes or records done since its last call.
Advance = Callable[[int], None]


def silent(_: int) -> None:
    """Ignore the progress."""


class _StoppedError(Exception):
    """The await was cancelled."""


async def run_stoppable(work: Callable[[Advance], Result]) -> Result:
    """Run work in a thread that it does not share, and return its result.

    Cancelled, the work stops at its next report of progress, and the await ends once it has ended.
    It then leaves its files as if its process had been killed there.

    Args:
        work: A function that is given one to call every now and then, with any number.
    """
    stop = threading.Event()

    def advance(_: int) -> None:
        if stop.is_set():
            raise _StoppedError

    # Not of the threads that all share: it may take an hour.
    thread = anyio.to_thread.run_sync(work, advance, limiter=anyio.CapacityLimiter(1))
    task = asyncio.ensure_future(thread)
    try:
        # No shield of anyio's holds off `task.cancel()` or `asyncio.timeout`.
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task])
        if not task.cancelled():
            # Seen: asyncio would log one that nobody asks for.
            task.exception()
        raise


async def run_abandonable(work: Callable[[], Result]) -> Result:
    """Run work in a thread of its own that keeps no process from ending, and return its result.

    Cancelled, the await ends at once, and what the work still does is nobody's.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]
        else:
            future.set_exception(error)

    def run() -> None:
        outcome: tuple[Result | None, BaseException | None]
        try:
            outcome = work(), None
        except Exception as error:
            outcome = None, error
        # The loop may be closed by then.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=run, daemon=True).start()
    return await future
