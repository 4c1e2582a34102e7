"""Run one drain at a time for all who read a project in this process.

Each would wait in a thread of its own otherwise, for the one that runs.
"""

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar

from khive_persist.capture.drain import DrainResult, drain, drain_records
from khive_persist.capture.spool import Spool
from khive_persist.project import Project

_mutex = threading.Lock()
# A project, and the names of the purposes whose records alone are brought in; None for all.
_Work = tuple[Project, frozenset[str] | None]
# The drain that has not begun yet: whoever comes before it begins is served by it.
_next: "dict[_Work, Future[DrainResult]]" = {}
_running: set[_Work] = set()
_leaves_spools: ContextVar[bool] = ContextVar("_leaves_spools", default=False)


@contextmanager
def spools_left() -> Iterator[None]:
    """Leave all spools as they are for what is read within, by any function: nothing is written."""
    token = _leaves_spools.set(True)
    try:
        yield
    finally:
        _leaves_spools.reset(token)


async def drained(project: Project) -> DrainResult:
    """Bring in all that lay in the spool of a project when this was called; see `drain`."""
    if _leaves_spools.get():
        return DrainResult(0, 0, ())
    return await asyncio.shield(asyncio.wrap_future(_joined((project, None))))


async def records_drained(project: Project, purposes: frozenset[str]) -> None:
    """Bring in the records of some purposes that lay in the spool when this was called."""
    if _leaves_spools.get():
        return
    if any(file.purpose in purposes for file in Spool(project).records()):
        await asyncio.shield(asyncio.wrap_future(_joined((project, purposes))))


def _joined(work: _Work) -> "Future[DrainResult]":
    with _mutex:
        future = _next.get(work)
        if future is None:
            future = _next[work] = Future()
        if work not in _running:
            _running.add(work)
            threading.Thread(target=_run, args=(work,), name="khive-drain", daemon=True).start()
        return future


def _run(work: _Work) -> None:
    project, purposes = work
    while True:
        with _mutex:
            future = _next.pop(work, None)
            if future is None:
                _running.discard(work)
                return
        try:
            result = drain(project) if purposes is None else drain_records(project, purposes)
            future.set_result(result)
        except BaseException as error:  # A mistake of ours; who waits must hear of it.
            future.set_exception(error)


def _begin_anew() -> None:
    """Forget, in the child of a fork, what threads of the parent do."""
    global _mutex
    _mutex = threading.Lock()
    _next.clear()
    _running.clear()


os.register_at_fork(after_in_child=_begin_anew)
