"""`SerialThread`: functions one after the other, in one thread, asked for from anywhere."""

import asyncio
import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, Protocol, TypeVar

from khive_persist.errors import StoreClosedError

Result = TypeVar("Result")

# At the end of the process: what owns something is waited for; what may wait for input is not.
_EXIT_SECONDS: Final = 10.0
_EXIT_SECONDS_WITHOUT_RESOURCE: Final = 1.0


class Resource(Protocol):
    """Something that belongs to the thread, as a connection does."""

    def interrupt(self) -> None:
        """End what the thread does with it just now; called from other threads."""

    def close(self) -> None:
        """Give it back; called in the thread."""


@dataclass(slots=True, eq=False)
class _Job(Generic[Result]):
    """One call in the thread, and what comes of it."""

    function: Callable[..., Result]
    values: tuple[Any, ...]
    is_stoppable: bool
    # When it runs by itself; None for what somebody asked for.
    due: float | None = None
    future: Future[Result] = field(default_factory=Future)
    is_abandoned: bool = False


class _State:
    """The state that a thread shares with its owner. It does not keep the owner alive."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self.lock = threading.Lock()
        self.pid: int | None = None
        self.thread: threading.Thread | None = None
        self.running: _Job[Any] | None = None
        self.later: _Job[Any] | None = None
        self.resource: Resource | None = None
        self.is_closing = False
        self.ended: Future[None] = Future()
        # From here on nobody can cancel it.
        self.ended.set_running_or_notify_cancel()

    def interrupt_abandoned(self) -> None:
        """End what runs where nobody waits for it; with `lock` held."""
        if self.running is not None and self.running.is_abandoned and self.resource is not None:
            self.resource.interrupt()


# The threads that run: what is open at the end of the process is closed then, in its thread.
_running: Final[set[_State]] = set()


class SerialThread:
    """Runs functions in the order in which they are given, in a thread of its own.

    So nothing is closed while it is used. It may be asked from any event loop and any thread, and
    belongs to none. One that is forgotten ends by itself, and keeps no process alive. Closed, or
    in a forked child, which has no such thread, it raises a StoreClosedError.
    """

    def __init__(self, name: str) -> None:
        """Start nothing yet; the name of its work is for errors."""
        self._name = name
        self._state = _State()
        # It must take no lock: the collector runs it wherever it likes.
        self._forget = weakref.finalize(self, self._state.jobs.put, None)
        self._forget.atexit = False

    def check_open(self) -> None:
        """Raise where it takes no more functions."""
        if self._is_forked():
            raise StoreClosedError(
                f"{self._name} was opened before this process was forked",
                hint="open it again in this process",
            )
        if self._state.is_closing:
            raise StoreClosedError(f"{self._name}: closed", hint="open the store again")

    def submit(self, function: Callable[..., Result], *values: Any) -> Future[Result]:
        """Run a function after those that were given before; nothing stops it."""
        return self._submit(_Job(function, values, is_stoppable=False)).future

    async def run(self, function: Callable[..., Result], *values: Any) -> Result:
        """Run a function after those that were given before, and return what it returns.

        Cancelled before it has begun, it does not run; after, the resource is interrupted, and what
        comes next waits for its end. The await ends at once in both cases.
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

    def hold(self, resource: Resource | None) -> None:
        """Own another resource from now on, and close the one before; called in the thread."""
        with self._state.lock:
            previous, self._state.resource = self._state.resource, resource
        if previous is not None:
            previous.close()

    def call_later(self, seconds: float, function: Callable[[], object]) -> None:
        """Run a function once that time has passed, but for one given before; called in the thread.

        When it is closed before, it does not run, or is stopped.
        """
        due = time.monotonic() + seconds
        self._state.later = _Job(function, (), is_stoppable=True, due=due)

    def finish(self, last: Callable[[], object] | None = None) -> None:
        """Close the resource after all that was given before, and end the thread; no waiting.

        `last` is a function that is run in the thread just before.
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
            state.later = None
            if state.running is not None and state.running.due is not None:
                state.running.is_abandoned = True
            state.interrupt_abandoned()

    async def close(self, last: Callable[[], object] | None = None) -> None:
        """End the thread as `finish` does, and wait for it. Cancelled, it ends all the same."""
        self.finish(last)
        if self._state.thread is not None and not self._is_forked():
            await _completion(self._state.ended)
            # It has nothing left to do but to end.
            self.join()

    def join(self) -> None:
        """Wait until the thread has ended, and let nothing else happen meanwhile."""
        if self._state.thread is not None and not self._is_forked():
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
                # A daemon: others are joined at the end of the process before they are told of it.
                thread = threading.Thread(
                    target=_work, args=(state,), name=f"khive {self._name}", daemon=True
                )
                thread.start()
                state.thread, state.pid = thread, os.getpid()
                _running.add(state)
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
    while (job := _next(state)) is not None:
        _run(state, job)
        # What it holds, as a cursor, must not live until the next one comes.
        del job
    with state.lock:
        resource, state.resource = state.resource, None
    if resource is not None:
        # Nobody could do anything about it.
        with suppress(Exception):
            resource.close()
    _running.discard(state)
    state.ended.set_result(None)


def _next(state: _State) -> _Job[Any] | None:
    while (job := state.later) is not None:
        assert job.due is not None
        remaining = job.due - time.monotonic()
        if remaining <= 0:
            state.later = None
            return job
        try:
            return state.jobs.get(timeout=remaining)
        except Empty:
            continue
    return state.jobs.get()


def _run(state: _State, job: _Job[Any]) -> None:
    with state.lock:
        if not job.future.set_running_or_notify_cancel():
            return
        state.running = job
    error: BaseException | None = None
    try:
        result = job.function(*job.values)
    except BaseException as raised:
        error = raised
    with state.lock:
        state.running = None
    if error is None:
        job.future.set_result(result)
    else:
        job.future.set_exception(error)
        # Its traceback knows this frame, which knows it.
        del error


@atexit.register
def _end_all() -> None:
    """Close what was left open, so that nothing runs while the interpreter goes."""
    ending = [state for state in list(_running) if state.pid == os.getpid()]
    patience = {}
    for state in ending:
        state.jobs.put(None)
        with state.lock:
            is_stoppable = state.running is not None and state.running.is_stoppable
            if state.running is not None and is_stoppable:
                state.running.is_abandoned = True
            owns_nothing = is_stoppable and state.resource is None
            patience[state] = _EXIT_SECONDS_WITHOUT_RESOURCE if owns_nothing else _EXIT_SECONDS
            state.interrupt_abandoned()
    for state in ending:
        if state.thread is not None:
            state.thread.join(patience[state])
