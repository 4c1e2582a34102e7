"""A limit of processor time for what a thread does, in a program that must not end for it."""

import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

# How long a hang may last beyond its limit; a thread that nobody uses ends after as long.
_LOOK_SECONDS: Final = 0.5
# Where only the clock on the wall is known, others may have the processor meanwhile.
_WAITED_OUT: Final = 3
_Result = TypeVar("_Result")


class OutOfTime(BaseException):
    """The time is over. No `except Exception` on its way takes it for a fault."""


class _Limited(NamedTuple):
    thread: int
    until: float


class TimeLimit:
    """End what one thread at a time does for too long, by an exception in that thread.

    A thread of its own looks at it now and then. A call into C that never comes back to the
    interpreter cannot be ended so; those of ours take time in proportion to their input, and the
    expressions of users have a limit of their own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._limited: _Limited | None = None
        self._looking: threading.Thread | None = None

    def call(self, work: Callable[[], _Result], seconds: float) -> _Result:
        """Do some work in this thread, in so many seconds of the processor's time.

        Raises:
            OutOfTime: It has taken more.
        """
        thread = threading.get_ident()
        try:
            self._begin(thread, seconds)
            return work()
        finally:
            self._end(thread)

    def _begin(self, thread: int, seconds: float) -> None:
        with self._lock:
            self._limited = _Limited(thread, _clock(thread) + seconds)
            if self._looking is None or not self._looking.is_alive():
                self._looking = threading.Thread(
                    target=self._look, name="khive-time-limit", daemon=True
                )
                self._looking.start()

    def _end(self, thread: int) -> None:
        with self._lock:
            is_over, self._limited = self._limited is None, None
        if is_over:
            # It may not have come yet, and must not come later.
            _interrupt(thread, None)
            raise OutOfTime

    def _look(self) -> None:
        was_used = True
        while True:
            time.sleep(_LOOK_SECONDS)
            with self._lock:
                if self._limited is None and not was_used:
                    self._looking = None
                    return
                was_used = self._limited is not None
                if self._limited and _clock(self._limited.thread) > self._limited.until:
                    thread, self._limited = self._limited.thread, None
                    _interrupt(thread, OutOfTime)


def _clock(thread: int) -> float:
    """Return the processor's time of a thread that runs, in seconds."""
    if hasattr(time, "pthread_getcpuclockid"):
        return time.clock_gettime(time.pthread_getcpuclockid(thread))
    return time.monotonic() / _WAITED_OUT


def _interrupt(thread: int, error: type[BaseException] | None) -> None:
    """Let a thread raise an error as soon as it runs; None takes back what it has not raised."""
    # Importing it costs more than most drains, and hardly any needs it.
    import ctypes

    raised = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)
