"""`OpenWrites`: what is being added to sessions just now."""

from collections.abc import Iterator
from contextlib import contextmanager

import anyio


class OpenWrites:
    """Counts what is under way, so that who completes a session can wait for it."""

    def __init__(self) -> None:
        self._open: dict[str, set[anyio.Event]] = {}

    @contextmanager
    def of(self, id: str) -> Iterator[None]:
        """For the time in which something is added to a session."""
        ended = anyio.Event()
        self._open.setdefault(id, set()).add(ended)
        try:
            yield
        finally:
            ended.set()
            self._open[id].discard(ended)
            if not self._open[id]:
                del self._open[id]

    async def ended(self, id: str) -> None:
        """Wait for all that has begun by now."""
        for one in [*self._open.get(id, ())]:
            await one.wait()
