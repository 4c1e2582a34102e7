"""Remove the files of stored events while those that follow are read and stored."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Final, Self

from khive_persist.capture.spool import Event, Spool

# Removing waits for the disk more than for the processor: four at once take a third of the time.
_THREADS: Final = 4
_FEW: Final = 32


class Removal:
    """Remove files from one spool: all that it was given are gone when its `with` ends.

    Who is killed before that leaves files of stored events: the next drain finds their rows there.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._threads: ThreadPoolExecutor | None = None
        self._under_way: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        under_way, self._under_way = self._under_way, []
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown()
        # Why it ends comes before what went wrong here.
        if error is None:
            _check(under_way)

    def remove(self, events: Sequence[Event]) -> None:
        """Begin to remove the files of stored events, once those before are removed.

        Raises:
            OSError: One of those before cannot be removed.
        """
        under_way, self._under_way = self._under_way, []
        _check(under_way)
        if len(events) < _FEW:
            self._remove(events)
            return
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, "khive-removal")
        self._under_way = [
            self._threads.submit(self._remove, events[offset::_THREADS])
            for offset in range(_THREADS)
        ]

    def _remove(self, events: Sequence[Event]) -> None:
        for event in events:
            # One that is gone is no fault.
            with suppress(FileNotFoundError):
                self._spool.remove(event)


def _check(under_way: Sequence[Future[None]]) -> None:
    for removing in under_way:
        removing.result()
