"""The additions to sessions that are in progress."""

from collections.abc import Iterator
from contextlib import contextmanager

import anyio


class InflightWrites:
    """The additions in progress, so that a completion of a session can wait for them."""

    def __init__(self) -> None:
        self._open: dict[str, set[anyio.Event]] = {}

    @contextmanager
    def of(self, id: str) -> Iterator[None]:
        """Yield while something is added to a session."""
        finished = anyio.Event()
        self._open.setdefault(id, set()).add(finished)
        try:
            yield
        finally:
            finished.set()
            self._open[id].discard(finished)
            if not self._open[id]:
                del self._open[id]

    async def ended(self, id: str) -> None:
        """Wait for all that has begun by now."""
        for write in [*self._open.get(id, ())]:
            await write.wait()
