"""The position in a played session: the entries shown, the next one due. No clock, no screen."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

SLOWEST: Final = 1 / 16
FASTEST: Final = 1024.0


def offsets(times: Sequence[datetime], max_gap_seconds: float | None = None) -> list[float]:
    """Return the seconds from the first of `times`, which ascend, to each of them.

    A pause longer than `max_gap_seconds` is as long as that.
    """
    at, result = 0.0, [0.0] if times else []
    for start, end in pairwise(times):
        gap = max((end - start).total_seconds(), 0.0)
        at += gap if max_gap_seconds is None else min(gap, max_gap_seconds)
        result.append(at)
    return result


class Playback:
    """A position in a session that is played.

    Attributes:
        shown: The number of entries that were shown, and the index of the next one.
        at: The seconds of the session that have passed.
        is_paused: Whether time stands still.
    """

    def __init__(self, offsets: Sequence[float], *, speed: float = 1.0) -> None:
        """Stand before the first entry; `offsets` are seconds from the session's begin, in order.

        `speed` is the seconds of the session in a second; infinite shows all at once.
        """
        self._offsets = offsets
        self.speed = speed
        self.shown = 0
        self.at = 0.0
        self.is_paused = False

    def __len__(self) -> int:
        return len(self._offsets)

    @property
    def end(self) -> float:
        """The seconds of the session in all."""
        return self._offsets[-1] if self._offsets else 0.0

    @property
    def is_over(self) -> bool:
        """Return whether all entries were shown."""
        return self.shown >= len(self._offsets)

    def pass_by(self, seconds: float) -> None:
        """Let some time pass; the entries that became due count as shown."""
        if self.is_paused:
            return
        if math.isinf(self.speed):
            self.at = self.end
        else:
            self.at = min(self.at + seconds * self.speed, self.end)
        # Never back: after a step, the clock stands at the entry that was stepped to.
        self.shown = max(self.shown, bisect_right(self._offsets, self.at))

    def wait(self) -> float | None:
        """Return the seconds until the next entry is due; None while paused and at the end."""
        if self.is_paused or self.is_over:
            return None
        return max(self._offsets[self.shown] - self.at, 0.0) / self.speed

    def seek(self, at: float) -> None:
        """Go to a second of the session; entries of that very second are shown."""
        self.at = min(max(at, 0.0), self.end)
        self.shown = bisect_right(self._offsets, self.at)

    def step(self, count: int = 1) -> None:
        """Show so many entries more, or fewer; at least none and at most all."""
        self.show(self.shown + count)

    def show(self, count: int) -> None:
        """Go to where exactly so many entries are shown."""
        self.shown = min(max(count, 0), len(self._offsets))
        self.at = self._offsets[self.shown - 1] if self.shown else 0.0

    def faster(self, times: float) -> None:
        """Change the speed by this factor, between 1/16 and 1,024."""
        if not math.isinf(self.speed):
            self.speed = min(max(self.speed * times, SLOWEST), FASTEST)

    def find(self, marked: Sequence[int], *, backwards: bool = False) -> int | None:
        """Return the next of marked entries, whose indexes ascend, or None for none.

        Backwards it is the one before the entry that was shown last.
        """
        if backwards:
            index = bisect_left(marked, self.shown - 1) - 1
            return marked[index] if index >= 0 else None
        index = bisect_left(marked, self.shown)
        return marked[index] if index < len(marked) else None
