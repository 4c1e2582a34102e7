"""The feed of the events of all tools as they are stored, read once for however many listen."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import anyio

from khive_persist.errors import StoreError
from khive_persist.models.purposes import EVENT_FILES, Purpose
from khive_persist.store.insertion_cursor import Cursor, Stored, Wish, are_there, ends, following
from khive_persist.store.reader import Reader

FILES: Final[tuple[Purpose, ...]] = tuple(EVENT_FILES.values())
WITHOUT: Final = "payload"
BEAT_SECONDS: Final = 0.1
# Of rows that were read and may still be taken: who is further behind reads for itself.
KEPT_CHARACTERS: Final = 8 << 20
KEPT_SECONDS: Final = 10.0

Positions = tuple[Cursor, ...]


class Batch:
    """The rows that were read together, between two positions.

    Attributes:
        number: The number of the batch.
        end: The positions after its rows.
        size: The number of their characters.
        since: The time of the reading, of the monotonic clock.
    """

    def __init__(
        self, number: int, end: Positions, rows: Sequence[Stored], keys: Sequence[Any]
    ) -> None:
        """Take the rows of some wishes, whose keys are in the order of their numbers."""
        self.number = number
        self.after = end
        self.since = time.monotonic()
        self.size = sum(len(row.row[1] or "") + len(row.row[2] or "") for row in rows)
        self._stored = rows
        self._numbers = {key: number for number, key in enumerate(keys)}
        self._texts: list[bytes] | None = None
        self._chunks: dict[Any, list[bytes]] = {}

    def chunks(
        self,
        key: Any,
        spell: Callable[[Stored], bytes],
        join: Callable[[Sequence[bytes]], list[bytes]],
    ) -> list[bytes] | None:
        """Return the rows of one wish as they are sent: made once for all who have it.

        None where no listener had that wish when the rows were read. `spell` makes the text of a
        row, and `join` puts texts together.
        """
        if key not in self._numbers:
            return None
        if key not in self._chunks:
            if self._texts is None:
                self._texts = [spell(row) for row in self._stored]
            number = self._numbers[key]
            pairs = zip(self._stored, self._texts, strict=True)
            self._chunks[key] = join([text for row, text in pairs if number in row.wished])
        return self._chunks[key]


class Feed:
    """The feed, which follows the files while there is a listener.

    A listener at the beginning of a batch takes that. One at another position, because it has just
    come, came back or is slow, reads for itself up to the position of the feed: none waits for
    another, and nothing is kept for one.

    Attributes:
        count: The number of batches that were read; the number of the next.
        losses: The number of times that it began anew, as where its place was gone in a file
            replaced.
        positions: The place after all that was read; None while nothing is followed.
    """

    def __init__(self, readers: Sequence[Reader], reader: Reader) -> None:
        """Take the readers, which are the feed's own.

        Args:
            readers: One for each file, in the order of `FILES`: they tell that it has changed.
            reader: A reader of all files.
        """
        self._readers = readers
        self._reader = reader
        self._wishes: dict[Any, Wish] = {}
        self._listening: Counter[Any] = Counter()
        self._wanted = anyio.Event()
        self._changed = anyio.Event()
        self.positions: Positions | None = None
        self._batches: dict[Positions, Batch] = {}
        self.count = 0
        self.losses = 0

    @property
    def listening(self) -> int:
        """Return how many listen."""
        return self._listening.total()

    def join(self, key: Any, wish: Wish) -> None:
        """Count a listener.

        Args:
            key: The same for all who have the same wish.
            wish: The rows that it listens to.
        """
        self._wishes[key] = wish
        self._listening[key] += 1
        self._wanted.set()

    def leave(self, key: Any) -> None:
        """Count a listener no longer."""
        self._listening[key] -= 1
        if not self._listening[key]:
            del self._listening[key], self._wishes[key]

    def batch(self, positions: Positions, first: int) -> Batch | None:
        """Return what begins at a place, if it is still kept.

        Args:
            positions: The place.
            first: The number of the first that counts: what was read before somebody came to that
                place may have been deleted before, too.
        """
        batch = self._batches.get(positions)
        return None if batch is None or batch.number < first else batch

    def next(self) -> anyio.Event:
        """Set once something is read after this call, or when all are to look up."""
        return self._changed

    def wake(self) -> None:
        """Let all who wait look up."""
        waiting_event, self._changed = self._changed, anyio.Event()
        waiting_event.set()

    async def keep(self, stopping: anyio.Event) -> None:
        """Follow until cancelled."""
        previous_versions: list[Any] = []
        while True:
            if not self._listening and not stopping.is_set():
                self._forget()
                previous_versions = []
                self._wanted = anyio.Event()
                await self._wanted.wait()
            is_more = False
            try:
                versions = [
                    await reader.file_version(purpose)
                    for reader, purpose in zip(self._readers, FILES, strict=True)
                ]
                previous_state = self.positions, self.losses
                if versions != previous_versions:
                    is_more = await self._read()
                is_news = (self.positions, self.losses) != previous_state
            except StoreError:
                # Who listens looks for itself, and is told what is wrong.
                self._forget()
                versions, is_news = [], True
            self._drop()
            previous_versions = [] if is_more else versions
            if is_news or stopping.is_set():
                self.wake()
            await anyio.sleep(0 if is_more else BEAT_SECONDS)

    async def _read(self) -> bool:
        """Read what follows; whether there may be more."""
        if self.positions is None or not await are_there(self._reader, FILES, self.positions):
            self._forget()
            self.positions = await ends(self._reader, FILES)
            # Where those who listen stand may not be there any more, either.
            self.losses += 1
            return False
        listeners = list(self._wishes.items())
        wishes = [wish for _, wish in listeners]
        rows, end = await following(self._reader, FILES, self.positions, wishes, WITHOUT)
        if end == self.positions:
            return False
        self._batches[self.positions] = Batch(self.count, end, rows, [key for key, _ in listeners])
        self.count += 1
        self.positions = end
        return True

    def _drop(self) -> None:
        """Keep no more than may be kept, and the newest."""
        size = sum(batch.size for batch in self._batches.values())
        oldest = time.monotonic() - KEPT_SECONDS
        for positions, batch in [*self._batches.items()][:-1]:
            if size <= KEPT_CHARACTERS and batch.since >= oldest:
                break
            del self._batches[positions]
            size -= batch.size

    def _forget(self) -> None:
        self.positions = None
        self._batches.clear()

    async def close(self) -> None:
        """Close the files."""
        for reader in (*self._readers, self._reader):
            await reader.close()
