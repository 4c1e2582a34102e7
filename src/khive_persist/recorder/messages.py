"""The messages between a server and its recorder: records to store, and the results."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

from khive_persist.capture.payload_to_row import normalise
from khive_persist.capture.spool import Event
from khive_persist.errors import KhiveError
from khive_persist.models.purposes import Purpose
from khive_persist.recorder.framing import BESIDE_BYTES, Content, beside
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.store.codec import StoredRow
from khive_persist.store.redacting import redact_row

Status = Literal["new", "same", "changed", "refused"]


class Payload(NamedTuple):
    """An event as a tool sent it.

    Attributes:
        event: Its id and time.
        raw: Its bytes, whatever they are; those of a large one that was received, in a memoryview.
        is_timed: Whether its sender said when it was. If not, the event that has its id may have
            another time, and keeps it.
        record: Its row without secrets, where that is made already.
    """

    event: Event
    raw: Content
    is_timed: bool = True
    record: "Record | None" = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Payload, (self.event, beside(self.raw), self.is_timed, self.record)

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
        return normalise(self.event, bytes(self.raw), live.settings, live.redactor)

    def with_row(self, live: LiveSettings) -> "Payload":
        """Return it with its row."""
        return self._replace(record=Record(self.row(live), self.is_timed, is_redacted=True))


class Record(NamedTuple):
    """A record as its five columns.

    Attributes:
        columns: The columns; where there is a large content, without content.
        is_timed: As for a payload.
        replaces: Whether it takes the place of a row that has its id and says something else.
        is_redacted: Whether its secrets are taken out already.
        large_content: The content in UTF-8 of a large one that was received.
    """

    columns: StoredRow
    is_timed: bool = True
    replaces: bool = False
    is_redacted: bool = False
    large_content: Content | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        columns, large_content = self.columns, self.large_content
        content = columns[1]
        if content is not None and len(content) >= BESIDE_BYTES:
            large_content = content.encode("utf-8", "surrogatepass")
            columns = columns[0], None, *columns[2:]
        held = None if large_content is None else beside(large_content)
        return Record, (columns, self.is_timed, self.replaces, self.is_redacted, held)

    @property
    def id(self) -> str:
        """Return the id of its row."""
        return self.columns[0]

    @property
    def size(self) -> int:
        """Return about how many bytes it takes."""
        return len(self.columns[1] or "" if self.large_content is None else self.large_content)

    def all_columns(self) -> StoredRow:
        """Return the five columns."""
        if self.large_content is None:
            return self.columns
        id, _, metadata, created_at, embedding = self.columns
        content = str(self.large_content, "utf-8", "surrogatepass")
        return id, content, metadata, created_at, embedding

    def row(self, live: LiveSettings) -> StoredRow:
        """Return its row, without secrets."""
        columns = self.all_columns()
        if self.is_redacted or live.redactor is None:
            return columns
        return redact_row(live.redactor, columns)

    def with_row(self, live: LiveSettings) -> "Record":
        """Return it with its row in the place of what was sent."""
        return Record(self.row(live), self.is_timed, self.replaces, is_redacted=True)


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
