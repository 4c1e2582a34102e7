"""`Autosave`: records that a program keeps in memory, saved whenever they have changed."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, Final, NamedTuple, Self, TypeVar

import anyio
import anyio.lowlevel

from khive_persist import clock
from khive_persist.errors import InvalidRecordError
from khive_persist.models.node import Node
from khive_persist.store import codec
from khive_persist.store.callbacks import tell_last
from khive_persist.store.store import Store

Result = TypeVar("Result")
OnError = Callable[[Exception, Node], object]

DEFAULT_EVERY_SECONDS: Final = 5.0
# To compare a record takes some ten microseconds, in which nothing else runs.
_COMPARED_AT_ONCE: Final = 100

_logger = logging.getLogger("khive_persist")


class AutosaveRound(NamedTuple):
    """The result of one round.

    Attributes:
        saved: The records that had changed, and are committed and synced.
        failed: The records that could not be saved, each with the exception.
    """

    saved: tuple[Node, ...]
    failed: tuple[tuple[Node, Exception], ...]


class Autosave:
    """Saves the records that it tracks, for the time of an `async with`.

        async with open_store(Session) as sessions, Autosave(sessions) as autosave:
            autosave.track(session)
            session.content["turns"] += 1

    Every `every_seconds`, and at the end of the `async with`, a round saves each tracked record
    whose row is another than the one that was last saved: a change deep inside its content counts,
    an assignment of the same value does not. A killed process loses what was changed since the
    last round began.

    The last round comes however the block is left, by an exception or a cancellation too; no
    further cancellation of its task stops it. A record whose save fails is reported, holds up no
    other, and is tried again in each round. Rounds come one after the other; what they save is
    saved like any other record, and the callbacks of its store are told.

    Attributes:
        every_seconds: The time between the beginnings of two rounds; one that takes longer
            is followed by the next at once.
        enabled: Whether rounds come by themselves, the last one included. It may be set at any
            time; `save_now` saves in any case.
        last_save_time: The time of the last save here, aware, in UTC; None before the first.
    """

    def __init__(
        self,
        *stores: Store[Any],
        every_seconds: float = DEFAULT_EVERY_SECONDS,
        on_error: OnError | None = None,
    ) -> None:
        """Prepare it; nothing is saved before the `async with`.

        Args:
            stores: Open stores, one for each class of records; they are closed later than this.
            every_seconds: More than 0. Infinity leaves only the round at the end.
            on_error: A function, async or not, that is told of each record that was not saved.
                Without it, and where it raises, the log of `khive_persist` has it.

        Raises:
            ValueError: `every_seconds` is not more than 0.
        """
        if not every_seconds > 0:
            raise ValueError(f"every_seconds is more than 0, not {every_seconds}")
        self.every_seconds = every_seconds
        self.enabled = True
        self.last_save_time: datetime | None = None
        self._stores = stores
        self._on_error = on_error
        self._tracked: dict[tuple[Store[Any], str], _Tracked] = {}
        self._turn = anyio.Lock()
        self._closing = asyncio.Event()
        self._rounds: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._closing = asyncio.Event()
        # A task of its own: what is cancelled around it does not stop a round half-way.
        self._rounds = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        await _to_the_end(self._finish())

    def track(self, record: Node, *, is_saved: bool = False) -> None:
        """Save this record from now on, whenever it has changed; it is kept until `untrack`.

        Of two objects with one id and store, only the one that is tracked last is saved.

        Args:
            record: Its id stays as it is.
            is_saved: Whether its store has it as it is now, as after loading it. Otherwise the
                next round saves it.

        Raises:
            InvalidRecordError: None of the stores is for records of its class.
        """
        store = self._store(record)
        digest = _digest(record) if is_saved else None
        self._tracked[store, record.id] = _Tracked(record, store, digest)

    def untrack(self, record: Node) -> bool:
        """Save this record no longer, nor what has changed since the last round.

        Returns:
            Whether it was tracked.

        Raises:
            InvalidRecordError: None of the stores is for records of its class.
        """
        return self._tracked.pop((self._store(record), record.id), None) is not None

    async def save_now(self) -> AutosaveRound:
        """Run a round now: what had changed before is committed, synced and copied on return.

        It waits for a round that has begun, so no callback may await it. Cancelled, some of the
        records are saved; the next round saves the others.

        Returns:
            What was saved, and what could not be; nothing is raised for that.
        """
        saved: list[Node] = []
        failed: list[tuple[Node, Exception]] = []

        async def save(tracked: _Tracked) -> None:
            # What is saved is what has this digest: nothing else runs until its row was made.
            digest = _digest(tracked.record)
            try:
                await tracked.store.save(tracked.record)
            except Exception as error:  # Whatever it is, the others are saved.
                failed.append((tracked.record, error))
                await self._report(error, tracked.record)
            else:
                tracked.digest = digest
                saved.append(tracked.record)
                self.last_save_time = clock.now()

        # Those of a round at once: the store commits them together. Not anyio's group: of a task of
        # its that is cancelled before it begins, a coroutine is left that nobody awaited.
        async with self._turn, asyncio.TaskGroup() as group:
            for number, tracked in enumerate(tuple(self._tracked.values()), start=1):
                if tracked.has_changed():
                    group.create_task(save(tracked))
                if number % _COMPARED_AT_ONCE == 0:
                    await anyio.lowlevel.checkpoint()
        return AutosaveRound(tuple(saved), tuple(failed))

    async def _run(self) -> None:
        due = anyio.current_time()
        while True:
            due = max(due + self.every_seconds, anyio.current_time())
            with anyio.move_on_after(due - anyio.current_time()):
                await self._closing.wait()
                return
            if self.enabled:
                await self.save_now()

    async def _finish(self) -> None:
        if self._rounds is not None:
            await asyncio.wait([self._rounds])
        if self.enabled:
            await self.save_now()

    async def _report(self, error: Exception, record: Node) -> None:
        if self._on_error is not None:
            await tell_last(self._on_error, error, record)
        else:
            name = type(record).__name__
            _logger.error("%s %s was not saved", name, record.id, exc_info=error)

    def _store(self, record: Node) -> Store[Any]:
        for store in self._stores:
            if isinstance(record, store.record):
                return store
        raise InvalidRecordError(
            f"no store for {type(record).__name__} is here", hint="give its store to Autosave"
        )


class _Tracked:
    """A record, and the digest of its row as it was last saved; None before."""

    def __init__(self, record: Node, store: Store[Any], digest: bytes | None) -> None:
        self.record = record
        self.store = store
        self.digest = digest

    def has_changed(self) -> bool:
        digest = _digest(self.record)
        return digest is None or digest != self.digest


def _digest(record: Node) -> bytes | None:
    """Return what tells a row from another; None where its save will say that there is none."""
    try:
        # No column has a NUL: an id must not, and JSON escapes it.
        text = "\0".join(value or "" for value in codec.to_row(record))
        return hashlib.blake2b(text.encode()).digest()
    except Exception:  # What has no row yet has changed: the save says why it cannot be made.
        return None


async def _to_the_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Await what must not stop half-way, however often this is cancelled; that comes after it."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            # Or a scope that was cancelled would cancel each wait anew.
            with anyio.CancelScope(shield=True):
                await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return task.result()
