"""`Pulse`: tells those who wait when something was written to the files of events."""

from typing import Any, Final

import anyio

from khive_persist.errors import StoreError
from khive_persist.purposes import HOOK_EVENTS
from khive_persist.store.reader import Reader

BEAT_SECONDS: Final = 0.1


class Pulse:
    """One look at the files for however many wait; none while nobody does."""

    def __init__(self, readers: list[Reader]) -> None:
        """Take a reader for each tool's file, in the order of `HOOK_EVENTS`."""
        self._readers = readers
        self._waiting = 0
        self._wanted = anyio.Event()
        self._changed = anyio.Event()

    def __enter__(self) -> "Pulse":
        self._waiting += 1
        self._wanted.set()
        return self

    def __exit__(self, *error: object) -> None:
        self._waiting -= 1

    @property
    def waiting(self) -> int:
        """How many are inside their `with`."""
        return self._waiting

    def next(self) -> anyio.Event:
        """Set once something is written after this call, or when all are to look up."""
        return self._changed

    def wake(self) -> None:
        """Let all who wait look up."""
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    async def keep(self, stopping: anyio.Event) -> None:
        """Look until cancelled."""
        seen: list[Any] = []
        while True:
            if not self._waiting and not stopping.is_set():
                self._wanted = anyio.Event()
                await self._wanted.wait()
            try:
                now = [
                    await reader.mark(purpose)
                    for reader, purpose in zip(self._readers, HOOK_EVENTS.values(), strict=True)
                ]
            except StoreError:
                # Who waits looks for himself, and is told what is wrong.
                now = []
            if now != seen or not now or stopping.is_set():
                seen = now
                self.wake()
            await anyio.sleep(BEAT_SECONDS)

    async def close(self) -> None:
        """Close the files."""
        for reader in self._readers:
            await reader.close()
