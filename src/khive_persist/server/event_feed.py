"""`Feed`: the events of all tools as they are stored, read once for however many listen."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import anyio

from khive_persist.errors import StoreError
from khive_persist.models.purposes import HOOK_EVENTS, Purpose
from khive_persist.store.insertion_cursor import Stand, Stored, Wish, are_there, ends, following
from khive_persist.store.reader import Reader

FILES: Final[tuple[Purpose, ...]] = tuple(HOOK_EVENTS.values())
WITHOUT: Final = "payload"
BEAT_SECONDS: Final = 0.1
# Of rows that were read and may still be taken: who is further behind reads for itself.
KEPT_CHARACTERS: Final = 8 << 20
KEPT_SECONDS: Final = 10.0

Stands = tuple[Stand, ...]


class Batch:
    """Rows that were read together, between two places.

    Attributes:
        number: Which one it is.
        after: The place after them.
        size: How many characters they have.
        since: When they were read, of the monotonic clock.
    """

    def __init__(
        self, number: int, after: Stands, stored: Sequence[Stored], asked: Sequence[Any]
    ) -> None:
        """Take rows of some wishes.

        Args:
            number: Which one it is.
            after: The place after them.
            stored: The rows.
            asked: Whose wishes were looked at, in the order of their numbers.
        """
        self.number = number
        self.after = after
        self.since = time.monotonic()
        self.size = sum(len(one.row[1] or "") + len(one.row[2] or "") for one in stored)
        self._stored = stored
        self._numbers = {key: number for number, key in enumerate(asked)}
        self._texts: list[bytes] | None = None
        self._chunks: dict[Any, list[bytes]] = {}

    def chunks(
        self,
        key: Any,
        spell: Callable[[Stored], bytes],
        join: Callable[[Sequence[bytes]], list[bytes]],
    ) -> list[bytes] | None:
        """The rows of one wish as they are sent: made once for all who have it.

        Args:
            key: Whose wish.
            spell: Makes the text of a row.
            join: Puts the texts together.

        Returns:
            None where nobody had that wish when the rows were read.
        """
        if key not in self._numbers:
            return None
        if key not in self._chunks:
            if self._texts is None:
                self._texts = [spell(one) for one in self._stored]
            number = self._numbers[key]
            pairs = zip(self._stored, self._texts, strict=True)
            self._chunks[key] = join([text for one, text in pairs if number in one.wished])
        return self._chunks[key]


class Feed:
    """Follows the files while anybody listens.

    Who stands where a batch begins takes that. Who stands elsewhere, because it has just come,
    came back or is slow, reads for itself up to where the feed stands: nobody waits for another,
    and nothing is kept for anybody.
    """

    def __init__(self, readers: Sequence[Reader], reader: Reader) -> None:
        """Take the readers, which are the feed's own.

        Args:
            readers: One for each file, in the order of `FILES`: they tell that it has changed.
            reader: One of all files.
        """
        self._readers = readers
        self._reader = reader
        self._wishes: dict[Any, Wish] = {}
        self._listening: Counter[Any] = Counter()
        self._wanted = anyio.Event()
        self._changed = anyio.Event()
        self._stands: Stands | None = None
        self._batches: dict[Stands, Batch] = {}
        self._count = 0
        self._losses = 0

    @property
    def count(self) -> int:
        """Return how many batches were read; the number of the next."""
        return self._count

    @property
    def listening(self) -> int:
        """Return how many listen."""
        return self._listening.total()

    @property
    def losses(self) -> int:
        """Return how often it began anew, as where its place was not there any more in a file
        replaced.
        """
        return self._losses

    @property
    def stands(self) -> Stands | None:
        """The place after all that was read; None while nothing is followed."""
        return self._stands

    def join(self, key: Any, wish: Wish) -> None:
        """Count somebody who listens.

        Args:
            key: The same for all who have the same wish.
            wish: What it listens to.
        """
        self._wishes[key] = wish
        self._listening[key] += 1
        self._wanted.set()

    def leave(self, key: Any) -> None:
        """Count somebody no longer."""
        self._listening[key] -= 1
        if not self._listening[key]:
            del self._listening[key], self._wishes[key]

    def batch(self, stands: Stands, first: int) -> Batch | None:
        """Return what begins at a place, if it is still kept.

        Args:
            stands: The place.
            first: The number of the first that counts: what was read before somebody came to that
                place may have been deleted before, too.
        """
        found = self._batches.get(stands)
        return None if found is None or found.number < first else found

    def next(self) -> anyio.Event:
        """Set once something is read after this call, or when all are to look up."""
        return self._changed

    def wake(self) -> None:
        """Let all who wait look up."""
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    async def keep(self, stopping: anyio.Event) -> None:
        """Follow until cancelled."""
        seen: list[Any] = []
        while True:
            if not self._listening and not stopping.is_set():
                self._forget()
                seen = []
                self._wanted = anyio.Event()
                await self._wanted.wait()
            is_more = False
            try:
                now = [
                    await reader.mark(purpose)
                    for reader, purpose in zip(self._readers, FILES, strict=True)
                ]
                before = self._stands, self._losses
                if now != seen:
                    is_more = await self._read()
                is_news = (self._stands, self._losses) != before
            except StoreError:
                # Who listens looks for itself, and is told what is wrong.
                self._forget()
                now, is_news = [], True
            self._drop()
            seen = [] if is_more else now
            if is_news or stopping.is_set():
                self.wake()
            await anyio.sleep(0 if is_more else BEAT_SECONDS)

    async def _read(self) -> bool:
        """Read what follows; whether there may be more."""
        if self._stands is None or not await are_there(self._reader, FILES, self._stands):
            self._forget()
            self._stands = await ends(self._reader, FILES)
            # Where those who listen stand may not be there any more, either.
            self._losses += 1
            return False
        asked = list(self._wishes.items())
        wishes = [wish for _, wish in asked]
        stored, after = await following(self._reader, FILES, self._stands, wishes, WITHOUT)
        if after == self._stands:
            return False
        self._batches[self._stands] = Batch(self._count, after, stored, [key for key, _ in asked])
        self._count += 1
        self._stands = after
        return True

    def _drop(self) -> None:
        """Keep no more than may be kept, and the newest."""
        size = sum(batch.size for batch in self._batches.values())
        oldest = time.monotonic() - KEPT_SECONDS
        for stands, one in [*self._batches.items()][:-1]:
            if size <= KEPT_CHARACTERS and one.since >= oldest:
                break
            del self._batches[stands]
            size -= one.size

    def _forget(self) -> None:
        self._stands = None
        self._batches.clear()

    async def close(self) -> None:
        """Close the files."""
        for reader in (*self._readers, self._reader):
            await reader.close()
