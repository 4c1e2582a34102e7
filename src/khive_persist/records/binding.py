"""How a record's own class reaches its store: through what the opening of a store bound here."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from typing import Any

from khive_persist.errors import StoreClosedError

# Stores are generic in their record; which one belongs to which class only the opener knows.
Opener = Callable[[type], AbstractAsyncContextManager[Any]]

_stores: ContextVar[tuple[tuple[type, Any], ...]] = ContextVar("stores", default=())
_openers: list[Opener] = []


def set_opener(opener: Opener) -> None:
    """Name what opens a store for a single call where none is open."""
    _openers[:] = [opener]


def bind(record: type, store: Any) -> None:
    """Make an open store the one of this class, for this task and the tasks that it starts."""
    _stores.set(((record, store), *_stores.get()))


def unbind(store: Any) -> None:
    """Forget a store that closes. Where it is not bound, as in another task, nothing changes."""
    _stores.set(tuple(pair for pair in _stores.get() if pair[1] is not store))


@asynccontextmanager
async def bound(record: type) -> AsyncIterator[Any]:
    """The store of this class that is open here, else one opened for this call alone.

    Raises:
        StoreClosedError: None is open, and nothing can open one.
    """
    for known, store in _stores.get():
        if known is record and store.is_open:
            yield store
            return
    if not _openers:
        raise StoreClosedError(
            f"no store is open for {record.__name__}", hint="use `async with open_store(...)`"
        )
    async with _openers[0](record) as store:
        # It closes with this call: who calls next, in the midst of a stream, must not count on it.
        unbind(store)
        yield store
