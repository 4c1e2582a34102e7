"""From a transcript into `conversations.db`: what is new of it, each message once."""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from khive_persist import clock
from khive_persist.mirror.mirror import Mirror
from khive_persist.place import Place, make_directory, write_private
from khive_persist.purposes import CONVERSATIONS
from khive_persist.records.message import Message
from khive_persist.redaction import Redactor
from khive_persist.sealing import seal
from khive_persist.settings import Settings
from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.store.sqlite import statements
from khive_persist.store.sqlite.file_writer import FileWriter
from khive_persist.store.sqlite.rows import fetch_ids
from khive_persist.transcripts import claude_code, codex, gemini_cli
from khive_persist.transcripts.focus import Focus
from khive_persist.transcripts.lines import GrowingFile, Position, RawLine
from khive_persist.transcripts.merging import merged
from khive_persist.transcripts.piece import Line, Piece, row_id

Advance = Callable[[int], None]

FOLDER: Final = "sync"
READERS: Final = {reader.TOOL: reader.Reader for reader in (claude_code, codex, gemini_cli)}
_BATCH_LINES: Final = 500
_BATCH_BYTES: Final = 4 << 20
_METADATA: Final = codec.dump({"lion_class": Message.lion_class()})


class Synced(NamedTuple):
    """What a sync of one transcript did.

    Attributes:
        path: The transcript.
        new: How many messages it brought.
        changed: How many that were there have more to say now.
        lines: How many lines were read.
        bytes: How many bytes those were.
        unknown: Lines of kinds that are not known here, by kind; they are kept as they are.
        damaged: Lines that are no JSON; they are kept as they are.
        is_restarted: Whether it was read anew, for it was rewritten since.
    """

    path: Path
    new: int = 0
    changed: int = 0
    lines: int = 0
    bytes: int = 0
    unknown: dict[str, int] = {}  # noqa: RUF012 - never changed
    damaged: int = 0
    is_restarted: bool = False


class Sync:
    """Reads transcripts into one place."""

    def __init__(self, place: Place, settings: Settings, redactor: Redactor | None) -> None:
        self._place = place
        self._redactor = redactor
        self._mirror = Mirror(place, settings).of(CONVERSATIONS)
        self._focus = Focus(place, settings, redactor)
        self._timeout = settings.store_busy_timeout_seconds
        self._path = place.database(CONVERSATIONS.file)

    def run(self, transcript: Path, tool: str, advance: Advance = lambda _: None) -> Synced:
        """Bring in what is new of a transcript: committed and synced on return.

        It may be written to meanwhile; a last line without an end is left for the next time. A
        file that was rewritten is read anew, and its messages are the same again. Killed, the next
        sync goes on from the last batch.

        Args:
            transcript: The file.
            tool: Whose it is.
            advance: Called with the number of bytes that were read since.

        Raises:
            OSError: It cannot be read.
            StoreError: As its subclasses say; batches before are stored.
            MirrorError: The second copy cannot be written.
        """
        memory = _Memory(self._place, transcript)
        # What was read into a database that is gone has to be read again.
        known, state = memory.load() if self._path.exists() else (Position(), {})
        result = Synced(transcript)
        unknown: Counter[str] = Counter()
        with (
            closing(GrowingFile(transcript, known)) as file,
            FileWriter(self._path, CONVERSATIONS, self._timeout) as writer,
        ):
            if not file.is_known:
                state = _first_state(transcript, tool)
            result = result._replace(is_restarted=known.end > 0 and not file.is_known)
            reader = READERS[tool](state)
            for batch in _batches(file.lines()):
                pieces = []
                for raw in batch:
                    line = _read(reader, raw)
                    if line is None:
                        result = result._replace(damaged=result.damaged + 1)
                        line = _damaged(raw, transcript)
                    if not line.is_known:
                        unknown[line.kind] += 1
                        line = line if line.pieces else _unknown(raw, line, transcript)
                    pieces += [
                        piece._replace(
                            fields=piece.fields
                            | {"line": raw.number, "transcript_path": str(transcript)}
                        )
                        for piece in line.pieces
                    ]
                # The first batch may be one that was stored by a sync that was killed then.
                new, changed = self._store(writer, tool, pieces, again=not result.lines)
                self._focus.follow(writer.connection, tool, pieces, reader.state)
                last = batch[-1]
                memory.save(file.position(last.number, last.end), reader.state, tool)
                read = last.end - (batch[0].end - len(batch[0].content))
                result = result._replace(
                    new=result.new + new,
                    changed=result.changed + changed,
                    lines=result.lines + len(batch),
                    bytes=result.bytes + read,
                )
                advance(read)
        return result._replace(unknown=dict(unknown))

    def _store(
        self, writer: FileWriter, tool: str, pieces: list[Piece], *, again: bool
    ) -> tuple[int, int]:
        ids = [row_id(tool, piece.key) for piece in pieces]
        after: list[Callable[[], None]] = []
        with writer.transaction(after) as connection:
            found = fetch_ids(connection, CONVERSATIONS.table, list(dict.fromkeys(ids)))
            before = {row[0]: row for row in found}
            contents = {id: codec.column(row[1]) for id, row in before.items()}
            instants: dict[str, str] = {}
            touched: dict[str, dict[str, Any]] = {}
            for id, piece in zip(ids, pieces, strict=True):
                content = touched.get(id, contents.get(id))
                made = merged(content if isinstance(content, dict) else None, piece)
                if made != content:
                    touched[id] = {"tool": tool} | made
                instants.setdefault(id, _instant(piece.created_at))
            rows = [self._row(id, content, instants[id]) for id, content in touched.items()]
            fresh = [row for row in rows if row[0] not in before or row[1] != before[row[0]][1]]
            connection.executemany(statements.upsert(CONVERSATIONS.table), fresh)
            copied = list(dict.fromkeys(ids)) if again else [row[0] for row in fresh]
            if self._mirror is not None and copied:
                after.append(partial(self._copy, connection, copied, may_be_there=again))
        new = sum(row[0] not in before for row in fresh)
        return new, len(fresh) - new

    def _copy(self, connection: sqlite3.Connection, ids: list[str], *, may_be_there: bool) -> None:
        assert self._mirror is not None
        rows = fetch_ids(connection, CONVERSATIONS.table, ids)
        self._mirror.written(CONVERSATIONS, rows, may_be_there=may_be_there)

    def _row(self, id: str, content: dict[str, Any], created_at: str) -> StoredRow:
        row = (id, codec.dump_lossy(content), _METADATA, created_at, None)
        if self._redactor is None:
            return row
        # The word "tokens" makes every count of them look as if a secret followed. Counts are none.
        words = {name: value for name, value in content.items() if name not in ("tokens", "usage")}
        words["usage"] = [v for v in content.get("usage", {}).values() if not isinstance(v, int)]
        if not self._redactor.redact_json(codec.dump_lossy(words))[1]:
            return row
        return seal(self._redactor, row)


class _Memory:
    """How far a transcript was read, in a file of its own in `.khive/sync/`."""

    def __init__(self, place: Place, transcript: Path) -> None:
        self._folder = place.khive / FOLDER
        self._transcript = transcript
        name = hashlib.sha256(str(transcript).encode("utf-8", "surrogateescape")).hexdigest()
        self._path = self._folder / f"{name[:32]}.json"

    def load(self) -> tuple[Position, dict[str, Any]]:
        try:
            said = json.loads(self._path.read_bytes())
            return Position(**said["position"]), dict(said["state"])
        except (OSError, ValueError, TypeError, KeyError):
            # Without it the transcript is read anew, and its messages are the same again.
            return Position(), {}

    def save(self, position: Position, state: dict[str, Any], tool: str) -> None:
        make_directory(self._folder)
        said = {
            "path": str(self._transcript),
            "tool": tool,
            "position": position._asdict(),
            "state": state,
        }
        write_private(self._path, codec.dump_lossy(said).encode())


def _batches(lines: Iterator[RawLine]) -> Iterator[list[RawLine]]:
    batch: list[RawLine] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line.content)
        if len(batch) == _BATCH_LINES or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _first_state(transcript: Path, tool: str) -> dict[str, Any]:
    return gemini_cli.state_of(transcript) if tool == gemini_cli.TOOL else {}


def _read(reader: Any, raw: RawLine) -> Line | None:
    if not raw.content.strip():
        return Line("")
    try:
        document = codec.load(raw.content)
    except ValueError:
        return None
    if not isinstance(document, Mapping):
        return Line(type(document).__name__, is_known=False)
    line: Line = reader.read(document)
    return line


def _damaged(raw: RawLine, transcript: Path) -> Line:
    return Line(
        "damaged", (_kept(raw, transcript, "damaged", raw.content.decode("utf-8", "replace")),)
    )


def _unknown(raw: RawLine, line: Line, transcript: Path) -> Line:
    return line._replace(pieces=(_kept(raw, transcript, line.kind, codec.load(raw.content)),))


def _kept(raw: RawLine, transcript: Path, kind: str, payload: Any) -> Piece:
    key = hashlib.sha256(raw.content).hexdigest()
    fields = {"role": "system", "kind": kind, "payload": payload, "message_id": key[:16]}
    return Piece(f"{transcript.name} {raw.number} {key}", key, fields, is_whole=True)


def _instant(text: str | None) -> str:
    found = clock.from_column(text) if text else None
    return clock.to_text(found or clock.now())
