"""`GET /v1/sessions/{id}/entries`: an entry of a session as a whole, its records, a search."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, NamedTuple, get_args

from anyio import to_thread

from khive_persist.clock import InstantText
from khive_persist.errors import InvalidQueryError, NotFoundError
from khive_persist.models.node import Node
from khive_persist.models.purposes import Purpose
from khive_persist.models.query import column, field
from khive_persist.project import Project
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.routes.read.operations import Operation, ReadRequest
from khive_persist.server.routes.read.parameters import Parameter
from khive_persist.server.routes.read.sessions import ID, THINKING, find_session
from khive_persist.sessions.read import RECORDS, SESSION_FILES, Session, read_session
from khive_persist.sessions.timeline.build import build_with_calls
from khive_persist.sessions.timeline.details import (
    EntryDetails,
    Excerpt,
    details_of,
    excerpt,
    find_entries,
)
from khive_persist.sessions.timeline.entry import MAX_RECORDS, Kind
from khive_persist.store import codec
from khive_persist.store.keyset_pages import NewestRow, newest

RECORD: Final = Parameter(
    "record", "text", "The id of a record, as `records` of an entry has it.", is_many=True
)
WHOLE: Final = Parameter("whole", "boolean", "Whether long texts are whole.", default=False)
TEXT: Final = Parameter(
    "q", "text", "A text that stands in the entry, in whatever case.", default=""
)
KIND: Final = Parameter("kind", "word", "The kind of the entry.", get_args(Kind))
_CLASSES: Final[dict[Purpose, type[Node]]] = {
    purpose: record for record in RECORDS for purpose in record.purposes()
}
# Of as many files as a reader takes, and of the others.
_FILES: Final = (SESSION_FILES, tuple(_CLASSES.keys() - {*SESSION_FILES}))


class RecordText(NamedTuple):
    """A record as JSON text.

    Attributes:
        id: Its id.
        purpose: Its purpose, as `claude_hooks`.
        created_at: Its time.
        document: The text, or its beginning.
    """

    id: str
    purpose: str
    created_at: InstantText
    document: Excerpt


class RecordTexts(NamedTuple):
    """Records of a session, the earliest first."""

    items: list[RecordText]


class FoundEntries(NamedTuple):
    """The entries of a session that pass filters.

    Attributes:
        session_id: The id of the session.
        entries: The ids of the entries, in order of time.
    """

    session_id: str
    entries: list[str]


def operations(project: Project, readers: ReaderPool) -> list[Operation]:
    """Return what this group answers."""

    async def details(query: ReadRequest) -> Any:
        rows = await _rows(project, readers, query)
        result: EntryDetails | None = await to_thread.run_sync(
            partial(
                _details,
                rows,
                readers,
                query.path["entry"],
                thinking=query["thinking"],
                is_whole=query["whole"],
            )
        )
        if result is None:
            raise NotFoundError("these records have no such entry")
        return result

    async def records(query: ReadRequest) -> Any:
        rows = await _rows(project, readers, query)
        return await to_thread.run_sync(_texts, rows, query["whole"])

    async def search(query: ReadRequest) -> Any:
        id = (await find_session(project, readers, query.path["id"])).session_id

        async def read() -> FoundEntries:
            session = await read_session(project.root, id)
            timeline = build_with_calls(session, readers.prices(), thinking=query["thinking"])
            entries = find_entries(timeline, query["q"], query["kind"], query["record"] or ())
            return FoundEntries(id, entries)

        return await readers.run_heavy(read)

    path = "/v1/sessions/{id}/entries"
    words = ID | {"entry": "The id of an entry, as the story has it."}
    return [
        Operation(path, search, "The entries of a session that have a text, or come of a record.",
                  (TEXT, KIND, RECORD, THINKING), FoundEntries, path_words=ID),
        Operation(f"{path}/{{entry}}", details, "What went into an entry, and what came out.",
                  (RECORD, THINKING, WHOLE), EntryDetails, path_words=words),
        Operation("/v1/sessions/{id}/records", records, "Records of a session as JSON text.",
                  (RECORD, WHOLE), RecordTexts, path_words=ID),
    ]  # fmt: skip


async def _rows(project: Project, readers: ReaderPool, query: ReadRequest) -> list[NewestRow]:
    ids = query["record"] or ()
    if not 0 < len(ids) <= MAX_RECORDS:
        raise InvalidQueryError(f"1 to {MAX_RECORDS} records are needed", hint="as record=ID")
    session_id = (await find_session(project, readers, query.path["id"])).session_id
    filters = [field("session_id") == session_id, column("id").in_(ids)]
    rows: list[NewestRow] = []
    for files in _FILES:
        async with readers.reader(*files) as reader:
            rows += (await newest(reader, files, filters, None, MAX_RECORDS))[0]
    if not rows:
        raise NotFoundError("the session has no such records")
    return sorted(rows, key=lambda row: row.key)


def _details(
    rows: Sequence[NewestRow], readers: ReaderPool, id: str, *, thinking: bool, is_whole: bool
) -> EntryDetails | None:
    records: dict[type[Node], list[Any]] = {record: [] for record in RECORDS}
    for row in rows:
        if (record := _CLASSES.get(row.purpose)) is not None:
            records[record].append(codec.from_row(record, row.row))
    session = Session(*records.values())
    return details_of(session, readers.prices(), id, thinking=thinking, is_whole=is_whole)


def _texts(rows: Sequence[NewestRow], is_whole: bool) -> RecordTexts:
    return RecordTexts([_text(row, is_whole) for row in rows])


def _text(row: NewestRow, is_whole: bool) -> RecordText:
    id, content, metadata, *_ = row.row
    columns = {
        "id": id,
        "created_at": row.key.created_at,
        "content": codec.column(content),
        "node_metadata": codec.column(metadata),
    }
    text = excerpt(codec.dump_lossy(columns, indent=True), is_whole=is_whole)
    return RecordText(id, row.purpose.name, row.key.created_at, text)
