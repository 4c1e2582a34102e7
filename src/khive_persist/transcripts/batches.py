"""Read what is new of a transcript, some lines at a time, as parts of messages."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

from khive_persist.store import codec
from khive_persist.tools import transcripts_of
from khive_persist.tools.message_part import NO_MESSAGE, Line, MessagePart, row_id
from khive_persist.tools.transcripts import LineReader
from khive_persist.transcripts.discovery import Transcript, session_of
from khive_persist.transcripts.growing_file import Position, RawLine
from khive_persist.transcripts.instants import Neighbours, instant_of
from khive_persist.transcripts.source import Source

# Some batches are held at once, between who reads them and who stores them.
LINES_AT_ONCE: Final = 1_000
BYTES_AT_ONCE: Final = 2 << 20
# In a reader's state: the time of the last line that had one.
_LATEST: Final = "latest"


class Batch:
    """Some lines of a transcript, read: their parts of messages, and the id of the row of each.

    `unknown` counts the lines of each kind that is not known here, `damaged` those that are no
    JSON. Position and state of the reader are those at the end of the lines.
    """

    def __init__(self) -> None:
        self.parts: list[MessagePart] = []
        self.ids: list[str] = []
        self.lines = 0
        self.bytes = 0
        self.unknown: Counter[str] = Counter()
        self.damaged = 0
        self.position = Position()
        self.state: dict[str, Any] = {}


def batches(file: Source, transcript: Path, tool: str, state: dict[str, Any]) -> Iterator[Batch]:
    """Read what is new of a transcript, which is open where it was left.

    `state` is that of its reader there.
    """
    reader = transcripts_of(tool).reader(state)
    batch_start = file.began_at.end
    neighbours = Neighbours(str(state.get(_LATEST, "")))
    batch = Batch()
    file_session: str | None = None
    for raw in file.lines():
        parts, at = _parts(reader, raw, transcript, batch)
        for part in neighbours.dated(parts, at):
            # What could not be read as a message is its session's, too.
            session = reader.state.get("session_id") or file_session
            if session is None and "session_id" not in part.fields:
                session = file_session = session_of(Transcript(tool, transcript)) or ""
            if session:
                part.fields.setdefault("session_id", session)
            part.fields.update(line=raw.number, transcript_path=str(transcript))
            batch.parts.append(part)
            batch.ids.append(row_id(tool, part.key))
        batch.lines += 1
        batch.bytes = raw.end - batch_start
        state[_LATEST] = neighbours.latest
        if batch.lines == LINES_AT_ONCE or batch.bytes >= BYTES_AT_ONCE:
            neighbours.date_first(batch.parts, file.modified_at)
            yield _ended(batch, file, raw, state)
            batch_start, batch = raw.end, Batch()
    if batch.lines:
        neighbours.date_first(batch.parts, file.modified_at)
        yield _ended(batch, file, raw, state)


def _ended(batch: Batch, file: Source, last: RawLine, state: dict[str, Any]) -> Batch:
    batch.position = file.position(last.number, last.end)
    # The reader goes on while this batch is stored.
    batch.state = deepcopy(state)
    return batch


def _parts(
    reader: LineReader, raw: RawLine, transcript: Path, batch: Batch
) -> tuple[tuple[MessagePart, ...], str | None]:
    """Return the parts of messages in a line, and the line's time where it has one."""
    content = raw.content
    if not content or content.isspace():
        return (), None
    try:
        document = codec.load(content)
    except ValueError:
        batch.damaged += 1
        return (_kept(raw, transcript, "damaged", content.decode("utf-8", "replace")),), None
    at = instant_of(document)
    if isinstance(document, Mapping):
        line = reader.read(document)
    else:
        line = Line(type(document).__name__, is_known=False)
    if line.is_known:
        return line.parts, at
    batch.unknown[line.kind] += 1
    if not line.parts:
        return (_kept(raw, transcript, line.kind, document),), at
    for part in line.parts:
        part.fields["role"] = NO_MESSAGE
    return line.parts, at


def _kept(raw: RawLine, transcript: Path, kind: str, payload: Any) -> MessagePart:
    key = hashlib.sha256(raw.content).hexdigest()
    fields = {"role": NO_MESSAGE, "kind": kind, "payload": payload, "message_id": key[:16]}
    return MessagePart(f"{transcript.name} {raw.number} {key}", key, fields, is_whole=True)
