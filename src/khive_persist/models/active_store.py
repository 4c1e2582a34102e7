"""Find the store of a record's own class: the one that the program has open."""

import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from khive_persist.errors import AmbiguousStoreError, StoreClosedError

# Stores are generic in their record; which one belongs to which class only the opener knows.
Opener = Callable[[type], AbstractAsyncContextManager[Any]]
Saver = Callable[[Any], Awaitable[object]]


class Binding(NamedTuple):
    """An open store, and the class whose calls go to it."""

    record: type
    store: Any


# Those that this task has opened, or the task that started it: the last one first.
_of_task: ContextVar[tuple[Binding, ...]] = ContextVar("stores", default=())
_of_process: list[Binding] = []
_mutex = threading.Lock()
_openers: list[tuple[Opener, Saver]] = []


def set_opener(opener: Opener, saver: Saver) -> None:
    """Set the functions that open a store for a call, and save a record, where none is open."""
    _openers[:] = [(opener, saver)]


def bind(record: type, store: Any) -> Binding:
    """Let the calls of a class go to an open store, until `unbind`.

    Those of this task, and of the tasks that it starts, go there first; those of any other task or
    thread where no other file could be meant.
    """
    binding = Binding(record, store)
    _of_task.set((binding, *_of_task.get()))
    with _mutex:
        _of_process.append(binding)
    return binding


def unbind(binding: Binding) -> None:
    """Forget a store that closes."""
    _of_task.set(tuple(other for other in _of_task.get() if other is not binding))
    with _mutex:
        _of_process[:] = [other for other in _of_process if other is not binding]


@asynccontextmanager
async def bound(record: type) -> AsyncIterator[Any]:
    """Yield the store that the calls of a class go to, else one opened for this call alone.

    Raises:
        AmbiguousStoreError: Other tasks have several files open that could be meant.
        StoreClosedError: None is open, and nothing can open one.
    """
    store = _store_of(record)
    if store is not None:
        yield store
        return
    if not _openers:
        raise StoreClosedError(
            f"no store is open for {record.__name__}", hint="use `async with open_store(...)`"
        )
    open_store, _ = _openers[0]
    async with open_store(record) as store:
        yield store


async def save(record: Any) -> None:
    """Save a record to the store that its calls go to, else by itself.

    Raises:
        AmbiguousStoreError: Other tasks have several files open that could be meant.
        StoreClosedError: None is open, and nothing can open one.
    """
    store = _store_of(type(record))
    if store is None and _openers:
        _, save_alone = _openers[0]
        await save_alone(record)
        return
    async with bound(type(record)) as store:
        await store.save(record)


def _store_of(record: type) -> Any:
    for binding in _of_task.get():
        if binding.record is record and binding.store.is_open:
            return binding.store
    with _mutex:
        stores = [b.store for b in _of_process if b.record is record and b.store.is_open]
    files = {store.paths: store for store in stores}
    if len(files) > 1:
        names = ", ".join(sorted(str(paths[0].parent) for paths in files))
        raise AmbiguousStoreError(
            f"several stores of {record.__name__} are open, in {names}",
            hint="call the store's own methods, or open one in this task",
        )
    return next(iter(files.values()), None)
