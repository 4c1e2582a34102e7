"""Note which events a drain is at, for the next one in case this one is killed."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from khive_persist.capture.spool import Event
from khive_persist.files import read_regular

JOURNAL: Final = "drain.journal"
_MOST_BYTES: Final = 1 << 20
# Nobody reads a pipe that lies in its place: it is not waited for.
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class DrainJournal:
    """The file `spool/drain.journal`: whoever has the drain's lock writes and reads it.

    It is never synced: a power loss is no event's fault. Where it cannot be written, as on a full
    disk, the drain goes on without it.
    """

    def __init__(self, spool: Path) -> None:
        self._path = spool / JOURNAL

    def deaths(self) -> Mapping[str, int]:
        """Return how many drains in a row died at an event, by the name of its file."""
        try:
            count, *names = read_regular(self._path, _MOST_BYTES).decode().split("\n")
            deaths = int(count)
        except (OSError, ValueError):
            return {}
        return dict.fromkeys(names, deaths)

    @contextmanager
    def at(self, events: Sequence[Event], deaths: int = 0) -> Iterator[None]:
        """Note that a drain is at some events, until it has stored them, or failed and lives.

        `deaths` drains in a row have died at them before.
        """
        content = "\n".join([str(deaths + 1), *(event.name for event in events)]).encode()
        with suppress(OSError):
            descriptor = os.open(self._path, _FLAGS, 0o600)
            try:
                os.write(descriptor, content)
            finally:
                os.close(descriptor)
        try:
            yield
        finally:
            with suppress(OSError):
                os.unlink(self._path)
