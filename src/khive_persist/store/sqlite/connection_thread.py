"""`ConnectionThread`: the one thread in which an SQLite connection is used and closed."""

import asyncio
import atexit
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final, Generic, TypeVar

from khive_persist.errors import StoreClosedError

Result = TypeVar("Result")

_EXIT_SECONDS: Final = 10.0


class _Job(Generic[Result]):
    """One call in the thread, and what comes of it."""

    __slots__ = ("function", "future", "is_abandoned", "is_stoppable", "values")

    def __init__(
        self, function: Callable[..., Result], values: tuple[Any, ...], *, is_stoppable: bool
    ) -> None:
        self.function = function
        self.values = values
        self.is_stoppable = is_stoppable
        self.future: Future[Result] = Future()
        self.is_abandoned = False


class _State:
    """What the thread and its owner share. It holds no owner, so that one can be forgotten."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self.lock = threading.Lock()
        self.pid: int | None = None
        self.thread: threading.Thread | None = None
        self.running: _Job[Any] | None = None
        self.connection: sqlite3.Connection | None = None
        self.is_closing = False
        self.ended: Future[None] = Future()
        # From here on nobody can cancel it.
        self.ended.set_running_or_notify_cancel()

    def interrupt_abandoned(self) -> None:
        """End the running statement where nobody waits for it; with `lock` held."""
        if self.running is not None and self.running.is_abandoned and self.connection is not None:
            self.connection.interrupt()


# The threads that run: what is open at the end of the process is closed then, in its thread.
_running: Final[set[_State]] = set()


class ConnectionThread:
    """Runs functions one after the other in a thread that owns a connection, and closes it there.

    So no connection is closed under a statement that runs. It may be used from any event loop and
    any thread, and belongs to none. One that is forgotten ends by itself, and keeps no process
    alive. In a forked child it raises an error: SQLite's locks are not those of the child.
    """

    def __init__(self, name: str) -> None:
        """Start nothing yet.

        Args:
            name: What it reads or writes, for errors.
        """
        self._name = name
        self._state = _State()
        # It must take no lock: the collector runs it wherever it likes.
        self._forget = weakref.finalize(self, self._state.jobs.put, None)
        self._forget.atexit = False

    @property
    def connection(self) -> sqlite3.Connection | None:
        """The connection that it holds, for the functions that run in it."""
        return self._state.connection

    def check_open(self) -> None:
        """Raise where it takes no more functions.

        Raises:
            StoreClosedError: It is closed, or the process was forked since.
        """
        if self._is_forked():
            raise StoreClosedError(
                f"{self._name} was opened before this process was forked",
                hint="open it again in this process",
            )
        if self._state.is_closing:
            raise StoreClosedError(f"{self._name}: closed", hint="open the store again")

    def hold(self, connection: sqlite3.Connection | None) -> None:
        """Hold another connection from now on, and close the one before; called in the thread."""
        state = self._state
        with state.lock:
            before, state.connection = state.connection, connection
        if before is not None:
            before.close()

    def submit(self, function: Callable[..., Result], *values: Any) -> Future[Result]:
        """Run a function after those that were given before; nothing stops it.

        Raises:
            StoreClosedError: It is closed, or the process was forked since.
        """
        return self._submit(_Job(function, values, is_stoppable=False)).future

    async def run(self, function: Callable[..., Result], *values: Any) -> Result:
        """Run a function after those that were given before, and return what it returns.

        Cancelled before it has begun, it does not run; after, its statement is interrupted. The
        await ends at once in both cases.

        Raises:
            StoreClosedError: It is closed, or the process was forked since.
        """
        job = self._submit(_Job(function, values, is_stoppable=True))
        try:
            await _completion(job.future)
        except BaseException:
            if not job.future.cancel():
                with self._state.lock:
                    job.is_abandoned = True
                    self._state.interrupt_abandoned()
            raise
        return job.future.result()

    def finish(self, last: Callable[[], object] | None = None) -> None:
        """Close the connection after all that was given before, and end the thread; no waiting.

        Args:
            last: A function to run in the thread just before.
        """
        state = self._state
        if self._is_forked():
            return
        with state.lock:
            if not state.is_closing:
                state.is_closing = True
                if last is not None and state.thread is not None:
                    state.jobs.put(_Job(last, (), is_stoppable=False))
                self._forget()
            state.interrupt_abandoned()

    async def close(self, last: Callable[[], object] | None = None) -> None:
        """As `finish`, and wait until it is done. Cancelled, it is done all the same."""
        self.finish(last)
        if self._state.thread is not None and not self._is_forked():
            await _completion(self._state.ended)
            # It has nothing left to do but to end.
            self._state.thread.join()

    def _is_forked(self) -> bool:
        return self._state.pid is not None and self._state.pid != os.getpid()

    def _submit(self, job: _Job[Result]) -> _Job[Result]:
        state = self._state
        # Before the lock too, which another thread may have held when the process was forked.
        self.check_open()
        with state.lock:
            self.check_open()
            if state.thread is None:
                state.pid = os.getpid()
                # A daemon: others are joined at the end of the process before they are told of it.
                state.thread = threading.Thread(
                    target=_work, args=(state,), name=f"sqlite {self._name}", daemon=True
                )
                _running.add(state)
                state.thread.start()
            state.interrupt_abandoned()
            state.jobs.put(job)
        return job


async def _completion(future: Future[Any]) -> None:
    """Wait until a future is done, in whichever loop runs here."""
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()

    def release() -> None:
        if not waiter.done():
            waiter.set_result(None)

    def tell(_: Future[Any]) -> None:
        # A loop that was closed meanwhile has nobody who waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(release)

    future.add_done_callback(tell)
    await waiter


def _work(state: _State) -> None:
    while (job := state.jobs.get()) is not None:
        with state.lock:
            if not job.future.set_running_or_notify_cancel():
                continue
            state.running = job
        try:
            result = job.function(*job.values)
        except BaseException as error:
            _finish(state)
            job.future.set_exception(error)
        else:
            _finish(state)
            job.future.set_result(result)
            del result
        # What it holds, as a cursor, must not live until the next one comes.
        del job
    with state.lock:
        connection, state.connection = state.connection, None
    if connection is not None:
        with suppress(sqlite3.Error):
            connection.close()
    _running.discard(state)
    state.ended.set_result(None)


def _finish(state: _State) -> None:
    with state.lock:
        state.running = None


@atexit.register
def _end_all() -> None:
    """Close what was left open, so that no statement runs while the interpreter goes."""
    ending = [state for state in list(_running) if state.pid == os.getpid()]
    for state in ending:
        state.jobs.put(None)
        with state.lock:
            if state.running is not None and state.running.is_stoppable:
                state.running.is_abandoned = True
            state.interrupt_abandoned()
    for state in ending:
        if state.thread is not None:
            state.thread.join(_EXIT_SECONDS)
