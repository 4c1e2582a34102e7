"""What is to be stored, on its way from a request to its row; and what became of it."""

from pathlib import Path
from typing import Literal, NamedTuple

from khive_persist.capture.payload_to_row import normalise
from khive_persist.capture.spool import Event
from khive_persist.errors import KhiveError
from khive_persist.models.purposes import Purpose
from khive_persist.recorder.live_settings import Live
from khive_persist.store.codec import StoredRow
from khive_persist.store.redacting import seal

Word = Literal["new", "same", "changed", "refused"]


class Payload(NamedTuple):
    """An event as a tool sent it.

    Attributes:
        event: Its id and time.
        raw: Its bytes, whatever they are.
        is_timed: Whether its sender said when it was. If not, the event that has its id may have
            another time, and keeps it.
    """

    event: Event
    raw: bytes
    is_timed: bool = True

    @property
    def id(self) -> str:
        """The id that its row has."""
        return self.event.id

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return len(self.raw)

    @property
    def replaces(self) -> bool:
        """An event is what happened: none takes the place of another."""
        return False

    def row(self, live: Live) -> StoredRow:
        """Its row, without secrets."""
        return normalise(self.event, self.raw, live.settings, live.redactor)


class Record(NamedTuple):
    """A record as its five columns.

    Attributes:
        columns: They.
        is_timed: As for a payload.
        replaces: Whether it takes the place of a row that has its id and says something else.
    """

    columns: StoredRow
    is_timed: bool = True
    replaces: bool = False

    @property
    def id(self) -> str:
        """The id that its row has."""
        return self.columns[0]

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return len(self.columns[1] or "")

    def row(self, live: Live) -> StoredRow:
        """Its row, without secrets."""
        return self.columns if live.redactor is None else seal(live.redactor, self.columns)


Incoming = Payload | Record


class Result(NamedTuple):
    """What became of one of them.

    Attributes:
        word: `new` stored; `same` it was there; `changed` its id was there with other content,
            which it replaced if it was to; `refused` it cannot be stored.
        reason: Why it was refused, or an empty string.
    """

    word: Word
    reason: str = ""


class Ask(NamedTuple):
    """What the server asks of its recorder: to store these, all or none."""

    number: int
    purpose: Purpose
    incoming: tuple[Incoming, ...]


class Reload(NamedTuple):
    """config.toml has changed."""


class Told(NamedTuple):
    """What became of one ask: a result for each, or why none of them is stored."""

    number: int
    results: tuple[Result, ...]
    error: KhiveError | None = None


class Commit(NamedTuple):
    """What one commit did.

    Attributes:
        purpose: To which file.
        rows: How many rows it had.
        seconds: How long it took, with the mirror.
        told: What it answers.
        ended: The transcripts of sessions that stopped with the events that are new.
    """

    purpose: Purpose
    rows: int
    seconds: float
    told: tuple[Told, ...]
    ended: tuple[Path, ...] = ()
