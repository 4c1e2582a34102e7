"""Stores that calls of one save each share while they overlap.

To open a store reads settings, marks and a key: a thousand calls at once do it once.
"""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from khive_persist.store.store import Store

# Who comes later opens anew, and sees settings that have changed.
_SHARED_SECONDS: Final = 1.0

Opening = Callable[[], AbstractAsyncContextManager[Store[Any]]]


# A process, the root of a project, and a class.
_Key = tuple[int, str, type]


class _Shared:
    def __init__(self, manager: AbstractAsyncContextManager[Store[Any]]) -> None:
        self.manager = manager
        self.opened: Future[Store[Any]] = Future()
        self.until = time.monotonic() + _SHARED_SECONDS
        self.users = 1


_mutex = threading.Lock()
_shared: dict[_Key, _Shared] = {}


@asynccontextmanager
async def shared_store(root: str, record: type, opening: Opening) -> AsyncIterator[Store[Any]]:
    """Use the store of a class in a project, from any task, loop or thread.

    It is opened by the first who comes, and closed by the last who leaves.

    Args:
        root: The directory that holds `.khive`.

    Raises:
        StoreError: As `opening` does.
    """
    key = os.getpid(), root, record
    while True:
        shared, is_first = _joined(key, opening)
        try:
            if is_first:
                await _open(key, shared)
            store = await asyncio.shield(asyncio.wrap_future(shared.opened))
        except BaseException as error:
            await _leave(key, shared)
            task = asyncio.current_task()
            is_own = is_first or (task is not None and task.cancelling() > 0)
            if isinstance(error, asyncio.CancelledError) and not is_own:
                # Only who was opening it has been cancelled.
                continue
            raise
        break
    try:
        yield store
    finally:
        await _leave(key, shared)


def _joined(key: _Key, opening: Opening) -> tuple[_Shared, bool]:
    with _mutex:
        shared = _shared.get(key)
        if shared is not None and time.monotonic() < shared.until:
            shared.users += 1
            return shared, False
        shared = _shared[key] = _Shared(opening())
        return shared, True


async def _open(key: _Key, shared: _Shared) -> None:
    try:
        store = await shared.manager.__aenter__()
    except BaseException as error:
        _forget(key, shared)
        shared.opened.set_exception(error)
        raise
    shared.opened.set_result(store)


async def _leave(key: _Key, shared: _Shared) -> None:
    with _mutex:
        shared.users -= 1
        if shared.users:
            return
        if _shared.get(key) is shared:
            del _shared[key]
    if shared.opened.done() and shared.opened.exception() is None:
        await shared.manager.__aexit__(None, None, None)


def _forget(key: _Key, shared: _Shared) -> None:
    with _mutex:
        if _shared.get(key) is shared:
            del _shared[key]


def _begin_anew() -> None:
    global _mutex
    _mutex = threading.Lock()
    _shared.clear()


os.register_at_fork(after_in_child=_begin_anew)
