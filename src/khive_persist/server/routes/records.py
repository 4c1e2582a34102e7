"""`POST /v1/{kind}`: records of one kind, each with an id of its sender's."""

from functools import partial
from typing import Any, Final

import anyio.to_thread
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from khive_persist.errors import InvalidRecordError, NotFoundError
from khive_persist.models.application_session import ApplicationSession
from khive_persist.models.focus_chain import FocusChain
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.node import Immutable, Node
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import ASSIGNMENTS, BUILT_IN, EVENT_FILES, Purpose
from khive_persist.models.query import column
from khive_persist.models.records import RECORDS
from khive_persist.models.refusal import refusal
from khive_persist.models.todo_list import Changes
from khive_persist.project import Project
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.recorder.messages import Record
from khive_persist.server.http.errors import HTTPError
from khive_persist.server.intake import Intake
from khive_persist.server.request.access import Access
from khive_persist.server.request.auth import JSON, JSON_LINES, authorise, media_type, route
from khive_persist.server.request.body import BodyReader
from khive_persist.server.routes.batches import (
    BatchAnswer,
    BatchResult,
    Piece,
    Status,
    pieces_of,
)
from khive_persist.server.store_pool import Stores
from khive_persist.store import codec
from khive_persist.transfer.row_validation import checked

# Those of the others have routes of their own.
CLASSES: Final[dict[str, type[Node]]] = {
    record.purpose.table: record
    for record in RECORDS
    if not issubclass(record, HookEvent | ApplicationSession | Immutable)
}
_KEYS: Final = frozenset(Node.model_fields)
_FILLED_IN: Final = frozenset({"position", *Changes._fields})


def routes(
    access: Access,
    bodies: BodyReader,
    intake: Intake,
    project: Project,
    live: LiveSettings,
    stores: Stores,
) -> list[BaseRoute]:
    """Return the routes of this group. Its path takes what no other route of `/v1` has."""

    async def receive(request: Request) -> Response:
        kind = request.path_params["kind"]
        record, purpose = await anyio.to_thread.run_sync(_kind, project, kind)
        replaces = _replaces(request)
        if replaces:
            # Who may ingest adds.
            authorise(access, request, "admin")
        body = await bodies.read(request)
        kind = media_type(request)
        recorder = await intake.recorder_of(len(body))
        answer = BatchAnswer()
        make = partial(_row, record, replaces)
        for piece in await intake.preparer.pieces(pieces_of, body, kind, make):
            if record is FocusChain and piece.rows:
                await _store_todo_lists(live, stores, piece, replaces)
            elif piece.rows:
                piece.take(await recorder.store(purpose, [*piece.rows.values()]))
            for status, count in (await answer.add(piece.results)).items():
                intake.metrics.recorded(purpose, status, count)
        return answer.response()

    types = JSON | JSON_LINES
    return [route(access, "POST", "/v1/{kind}", receive, right="ingest", types=types)]


def _kind(project: Project, kind: str) -> tuple[type[Node], Purpose]:
    if kind in CLASSES:
        record = CLASSES[kind]
        return record, record.purpose
    for purpose in known_purposes(project):
        if purpose.name == kind and purpose not in BUILT_IN:
            return Node, purpose
    if kind in {purpose.name for purpose in EVENT_FILES.values()}:
        raise NotFoundError(f"no records {kind!r} here", hint="send events to /v1/events")
    if kind == ASSIGNMENTS.name:
        hint = "a session is assigned below /v1/experiments"
        raise NotFoundError(f"no records {kind!r} here", hint=hint)
    raise no_records(kind)


def no_records(kind: str) -> NotFoundError:
    """Return the refusal of a kind that is not known."""
    hint = "a kind of your own is known once its class was opened in this project"
    return NotFoundError(f"no records {kind[:80]!r} here", hint=hint)


def _replaces(request: Request) -> bool:
    match request.query_params.get("update", "false"):
        case "true":
            return True
        case "false":
            return False
    raise HTTPError(400, "bad_request", "update is true or false")


def _row(record: type[Node], replaces: bool, document: Any) -> Record:
    if not isinstance(document, dict) or "content" not in document:
        raise InvalidRecordError("a record is an object with content")
    if unknown := sorted(document.keys() - _KEYS):
        raise InvalidRecordError(f"a record has no {unknown[0]!r}")
    try:
        node = record(**document)
    except ValidationError as error:
        raise refusal(error) from error
    return Record(checked(codec.to_row(node)), "created_at" in document, replaces)


async def _store_todo_lists(
    live: LiveSettings, stores: Stores, piece: Piece[Record], replaces: bool
) -> None:
    """Store snapshots of to-do lists, in which the store fills in what changed."""
    store = await stores.of(FocusChain)
    ids = [row.id for row in piece.rows.values()]
    snapshots = await store.find(column("id").in_(ids))
    existing = {snapshot.id: _sent_fields(snapshot.content) for snapshot in snapshots}
    # Before they are saved: the store fills in more.
    contents = {at: _sent_fields(codec.column(row.row(live)[1])) for at, row in piece.rows.items()}
    await store.save_many(
        [
            codec.from_row(FocusChain, row.all_columns())
            for row in piece.rows.values()
            if replaces or row.id not in existing
        ]
    )
    for at, row in piece.rows.items():
        is_same = row.id in existing and existing[row.id] == contents[at]
        status: Status = "same" if is_same else "changed" if row.id in existing else "new"
        piece.results[at] = BatchResult(row.id, status)


def _sent_fields(content: Any) -> dict[str, Any]:
    """Return what a snapshot's sender says of it."""
    return {name: value for name, value in content.items() if name not in _FILLED_IN}
