"""The state of the application sessions that somebody looks at, read once for all who do."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import anyio

from khive_persist.errors import StoreError
from khive_persist.sessions.application_series import PURPOSES, SessionCounts, session_counts
from khive_persist.store.reader import Reader

BEAT_SECONDS: Final = 0.25


class SessionWatch:
    """The watch, which looks at the files while there is a listener.

    Attributes:
        counts: The state of each session that is listened to, once it is read.
    """

    def __init__(self, readers: Sequence[Reader], reader: Reader) -> None:
        """Take the readers, which are the watch's own.

        Args:
            readers: One for each file, in the order of `PURPOSES`: they tell that it has changed.
            reader: A reader of all files.
        """
        self._readers = readers
        self._reader = reader
        self._listening: Counter[str] = Counter()
        self._wanted = anyio.Event()
        self._changed = anyio.Event()
        self.counts: dict[str, SessionCounts] = {}

    @property
    def listening(self) -> int:
        """Return how many listen."""
        return self._listening.total()

    def join(self, id: str) -> None:
        """Count a listener of a session."""
        self._listening[id] += 1
        self._wanted.set()

    def leave(self, id: str) -> None:
        """Count a listener no longer."""
        self._listening[id] -= 1
        if not self._listening[id]:
            del self._listening[id]

    def next(self) -> anyio.Event:
        """Set once some state is another after this call, or when all are to look up."""
        return self._changed

    async def keep(self, stopping: anyio.Event) -> None:
        """Look until cancelled."""
        previous: Any = None
        while True:
            if not self._listening and not stopping.is_set():
                self._wanted = anyio.Event()
                await self._wanted.wait()
            ids = frozenset(self._listening)
            is_news = stopping.is_set()
            try:
                # Before the reading: what is stored meanwhile is seen by the next look.
                versions = [
                    await reader.file_version(purpose)
                    for reader, purpose in zip(self._readers, PURPOSES, strict=True)
                ]
                if (ids, versions) != previous:
                    counts = await session_counts(self._reader, ids)
                    is_news = is_news or counts != self.counts
                    self.counts, previous = counts, (ids, versions)
            except StoreError:
                # Who looks at the session itself is told what is wrong.
                previous = None
            if is_news:
                waiting_event, self._changed = self._changed, anyio.Event()
                waiting_event.set()
            await anyio.sleep(BEAT_SECONDS)

    async def close(self) -> None:
        """Close the files."""
        for reader in (*self._readers, self._reader):
            await reader.close()
