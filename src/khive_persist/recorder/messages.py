"""The messages between a server and its recorder: records to store, and the results."""

from pathlib import Path
from typing import Literal, NamedTuple

from khive_persist.capture.payload_to_row import normalise
from khive_persist.capture.spool import Event
from khive_persist.errors import KhiveError
from khive_persist.models.purposes import Purpose
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.store.codec import StoredRow
from khive_persist.store.redacting import redact_row

Status = Literal["new", "same", "changed", "refused"]


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
        """Return the id of its row."""
        return self.event.id

    @property
    def size(self) -> int:
        """Return about how many bytes it takes."""
        return len(self.raw)

    @property
    def replaces(self) -> bool:
        """Return False: an event is what happened, and none takes the place of another."""
        return False

    def row(self, live: LiveSettings) -> StoredRow:
        """Return its row, without secrets."""
        return normalise(self.event, self.raw, live.settings, live.redactor)


class Record(NamedTuple):
    """A record as its five columns.

    Attributes:
        columns: The columns.
        is_timed: As for a payload.
        replaces: Whether it takes the place of a row that has its id and says something else.
    """

    columns: StoredRow
    is_timed: bool = True
    replaces: bool = False

    @property
    def id(self) -> str:
        """Return the id of its row."""
        return self.columns[0]

    @property
    def size(self) -> int:
        """Return about how many bytes it takes."""
        return len(self.columns[1] or "")

    def row(self, live: LiveSettings) -> StoredRow:
        """Return its row, without secrets."""
        return self.columns if live.redactor is None else redact_row(live.redactor, self.columns)


Incoming = Payload | Record


class Result(NamedTuple):
    """The result of one record.

    Attributes:
        status: `new` stored; `same` it was there; `changed` its id was there with other content,
            which it replaced if it was to; `refused` it cannot be stored.
        reason: The reason of a refusal, or an empty string.
    """

    status: Status
    reason: str = ""


class RecorderRequest(NamedTuple):
    """A request to the recorder to store records, all or none."""

    number: int
    purpose: Purpose
    incoming: tuple[Incoming, ...]


class Reload(NamedTuple):
    """The message that config.toml has changed."""


class RecorderReply(NamedTuple):
    """The reply to a request: a result for each record, or the error that kept all out."""

    number: int
    results: tuple[Result, ...]
    error: KhiveError | None = None


class Commit(NamedTuple):
    """The report of one commit.

    Attributes:
        purpose: The purpose of the file.
        rows: The number of its rows.
        seconds: Its duration, with the mirror.
        replies: The answers to its requests.
        ended_transcripts: The transcripts of sessions that stopped with the events that are new.
    """

    purpose: Purpose
    rows: int
    seconds: float
    replies: tuple[RecorderReply, ...]
    ended_transcripts: tuple[Path, ...] = ()
