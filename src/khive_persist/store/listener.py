"""`Listener`: who is told of what was committed."""

from collections.abc import Sequence
from typing import Protocol

from khive_persist.purposes import Purpose
from khive_persist.store.codec import StoredRow


class Listener(Protocol):
    """Told what was committed, in a thread, before the lock of the file's writers is given back."""

    def written(self, purpose: Purpose, rows: Sequence[StoredRow]) -> None:
        """These rows were saved, and are so in the file now."""

    def removed(
        self, purpose: Purpose, rows: Sequence[StoredRow], now: Sequence[StoredRow]
    ) -> None:
        """These rows were there, and are no longer, or are as `now` has them, which is told."""
