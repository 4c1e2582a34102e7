"""Callbacks: what a program is told of what was saved, was loaded, or failed."""

import inspect
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, TypedDict

from khive_persist import clock

SQLITE: Final = "sqlite"

# Not `warnings`: a filter can make an exception of one, and shows one of each place only once.
_logger = logging.getLogger("khive_persist")


class CallbackMetadata(NamedTuple):
    """A save, a load or a failure, as a callback is told of it.

    Attributes:
        path: The file. Where a store reads several files as one, the folder that they lie in.
        format: `sqlite`, or that of a file: `json`, `json-compact`, `json-gzip` or `json-zstd`. One
            that was read is `json`, indented or not; one that could not be read has none, "".
        bytes: The size of a file, or the UTF-8 bytes of the columns of records. 0 where it failed.
        items: The number of records; a file has one. 0 where it failed.
        timestamp: The time of its end, aware, in UTC.
    """

    path: Path
    format: str
    bytes: int
    items: int
    timestamp: datetime


Callback = Callable[[CallbackMetadata], object]
ErrorCallback = Callable[[Exception, CallbackMetadata], object]


class CallbackOptions(TypedDict, total=False):
    """The callbacks that can be named, as keywords.

    Each is a plain function, which runs in the event loop and must not block it, or an async one.
    It is awaited before the call that it is told of returns. One that raises changes nothing of
    that call: its exception goes to `on_error`, and where that is missing or is the one that
    raised, to the log of `khive_persist`.

    Attributes:
        on_save: Told of what was committed, synced and copied, at least one item.
        on_load: Told of what was read, at least one item; of a stream, a page at a time.
        on_error: Told of each exception that a call is about to raise; a cancellation is none.
    """

    on_save: Callback | None
    on_load: Callback | None
    on_error: ErrorCallback | None


class Callbacks(NamedTuple):
    """The callbacks that `CallbackOptions` names."""

    on_save: Callback | None = None
    on_load: Callback | None = None
    on_error: ErrorCallback | None = None

    async def failed(self, error: Exception, metadata: CallbackMetadata) -> None:
        """Tell of an exception."""
        if self.on_error is not None:
            await tell_last(self.on_error, error, metadata)

    async def tell(self, callback: Callback | None, metadata: CallbackMetadata) -> None:
        """Tell one of them, if there is one, of what was saved or loaded."""
        if callback is None:
            return
        try:
            await _call(callback, metadata)
        except Exception as error:  # A user's function: the save that it hears of is done.
            if self.on_error is None:
                _log_raised(callback, error)
            else:
                await tell_last(self.on_error, error, metadata)


class Reporter:
    """The callbacks of what lies in one place. As an `async with`, it tells of its exceptions."""

    def __init__(self, callbacks: Callbacks, paths: Sequence[Path], format: str) -> None:
        self._callbacks = callbacks
        self._path = paths[0] if len(paths) == 1 else Path(os.path.commonpath(paths))
        self._format = format

    async def saved(self, path: Path, tally: "Tally") -> None:
        """Tell of rows that were saved to one of the files."""
        if tally.items:
            await self._callbacks.tell(self._callbacks.on_save, self._metadata(path, tally))

    async def loaded(self, rows: Sequence[Sequence[Any]]) -> None:
        """Tell of rows that were loaded."""
        if rows and self._callbacks.on_load is not None:
            metadata = self._metadata(self._path, Tally(rows))
            await self._callbacks.tell(self._callbacks.on_load, metadata)

    async def __aenter__(self) -> None:
        return

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, Exception):
            await self._callbacks.failed(error, self._metadata(self._path, Tally()))

    def _metadata(self, path: Path, tally: "Tally") -> CallbackMetadata:
        return CallbackMetadata(path, self._format, tally.bytes, tally.items, clock.now())


class Tally:
    """A count of rows, and of their bytes."""

    def __init__(self, rows: Iterable[Sequence[Any]] = ()) -> None:
        self.items = 0
        self.bytes = 0
        self._add(rows)

    def counting(self, chunks: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        """Yield the same chunks of rows, counted as they are taken."""
        for rows in chunks:
            self._add(rows)
            yield rows

    def _add(self, rows: Iterable[Sequence[Any]]) -> None:
        for row in rows:
            self.items += 1
            self.bytes += sum(map(_bytes, row))


async def tell_last(callback: Callable[..., object], *arguments: object) -> None:
    """Call a callback behind which there is no other: one that raises goes to the log."""
    try:
        await _call(callback, *arguments)
    except Exception as error:  # A user's function, as above.
        _log_raised(callback, error)


async def _call(callback: Callable[..., object], *arguments: object) -> None:
    answer = callback(*arguments)
    if inspect.isawaitable(answer):
        await answer


def _log_raised(callback: Callable[..., object], error: Exception) -> None:
    _logger.error("the callback %r raised", callback, exc_info=error)


def _bytes(value: object) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    # An old file may have a number there, as SQLite spells it, or nothing.
    return len(value) if isinstance(value, bytes) else 0 if value is None else len(str(value))
