"""`POST /v1/{kind}`: records of one kind, each with an id of its sender's."""

from typing import Any, Final, NamedTuple

import anyio.to_thread
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from khive_persist.errors import InvalidRecordError, NotFoundError
from khive_persist.models.focus_chain import FocusChain
from khive_persist.models.measurement import Measurement
from khive_persist.models.message import Message
from khive_persist.models.node import Node
from khive_persist.models.outcome import Outcome
from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import ASSIGNMENTS, BUILT_IN, HOOK_EVENTS, Purpose
from khive_persist.models.query import column
from khive_persist.models.score import Score
from khive_persist.models.todo_list import Changes
from khive_persist.recorder.messages import Record
from khive_persist.server.context import Serving
from khive_persist.server.http.errors import Refused
from khive_persist.server.request.auth import JSON, JSON_LINES, authorise, media_type, route
from khive_persist.server.request.body import read_body
from khive_persist.server.routes.batches import NoJson, Told, batch_response, read_batch
from khive_persist.store import codec
from khive_persist.transfer.row_validation import checked

CLASSES: Final[dict[str, type[Node]]] = {
    "planner_sessions": PlannerSession,
    "messages": Message,
    "focus_chains": FocusChain,
    "outcomes": Outcome,
    "measurements": Measurement,
    "scores": Score,
}
_KEYS: Final = frozenset(Node.model_fields)
_FILLED_IN: Final = frozenset({"position", *Changes._fields})


class _Ready(NamedTuple):
    """A record of a batch that can be stored."""

    at: int
    record: Node
    is_timed: bool


def routes(serving: Serving) -> list[BaseRoute]:
    """The routes of this group. Its path takes what no other route of `/v1` has."""

    async def receive(request: Request) -> Response:
        kind = request.path_params["kind"]
        record, purpose = await anyio.to_thread.run_sync(_kind, serving, kind)
        replaces = _replaces(request)
        if replaces:
            # Who may ingest adds.
            authorise(serving, request, "admin")
        body = await read_body(serving, request)
        run = serving.preparer.run
        if record is FocusChain:
            told, ready = await run(_prepare, body, record, media_type(request))
            if ready:
                await _weave(serving, ready, told, replaces)
        else:
            told, rows = await run(_prepare_rows, body, record, media_type(request), replaces)
            if rows:
                results = await serving.recorder.store(purpose, [*rows.values()])
                for (at, row), result in zip(rows.items(), results, strict=True):
                    told[at] = Told(row.id, *result)
        for each in told:
            serving.metrics.recorded(purpose, each.result)
        return batch_response(told)

    types = JSON | JSON_LINES
    return [route(serving, "POST", "/v1/{kind}", receive, right="ingest", types=types)]


def _kind(serving: Serving, kind: str) -> tuple[type[Node], Purpose]:
    if kind in CLASSES:
        record = CLASSES[kind]
        return record, record.purpose
    for purpose in known_purposes(serving.project):
        if purpose.name == kind and purpose not in BUILT_IN:
            return Node, purpose
    if kind in {purpose.name for purpose in HOOK_EVENTS.values()}:
        raise NotFoundError(f"no records {kind!r} here", hint="send events to /v1/events")
    if kind == ASSIGNMENTS.name:
        hint = "a session is assigned below /v1/experiments"
        raise NotFoundError(f"no records {kind!r} here", hint=hint)
    raise NotFoundError(
        f"no records {kind!r} here",
        hint="a kind of your own is known once its class was opened in this project",
    )


def _replaces(request: Request) -> bool:
    match request.query_params.get("update", "false"):
        case "true":
            return True
        case "false":
            return False
    raise Refused(400, "bad_request", "update is true or false")


def _prepare(body: bytes, record: type[Node], kind: str) -> tuple[list[Told], list[_Ready]]:
    told: list[Told] = []
    ready: list[_Ready] = []
    for at, document in enumerate(read_batch(body, kind)):
        id = document.get("id") if isinstance(document, dict) else None
        try:
            made = _record(record, document)
        except InvalidRecordError as error:
            told.append(Told(id if isinstance(id, str) else None, "refused", str(error)))
        else:
            ready.append(_Ready(at, made, "created_at" in document))
            told.append(Told(made.id, "refused"))
    return told, ready


def _prepare_rows(
    body: bytes, record: type[Node], kind: str, replaces: bool
) -> tuple[list[Told], dict[int, Record]]:
    told, ready = _prepare(body, record, kind)
    rows = {one.at: Record(codec.to_row(one.record), one.is_timed, replaces) for one in ready}
    return told, rows


def _record(record: type[Node], document: Any) -> Node:
    if isinstance(document, NoJson):
        raise InvalidRecordError(document.reason)
    if not isinstance(document, dict) or "content" not in document:
        raise InvalidRecordError("a record is an object with content")
    if unknown := sorted(document.keys() - _KEYS):
        raise InvalidRecordError(f"a record has no {unknown[0]!r}")
    try:
        made = record(**document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidRecordError(f"{where}: {first['msg']}") from error
    checked(codec.to_row(made))
    return made


async def _weave(serving: Serving, ready: list[_Ready], told: list[Told], replaces: bool) -> None:
    """Store snapshots of to-do lists, in which the store fills in what changed."""
    store = await serving.stores.of(FocusChain)
    ids = [one.record.id for one in ready]
    there = {one.id: _said(one.content) for one in await store.find(column("id").in_(ids))}
    wanted = [one.record for one in ready if replaces or one.record.id not in there]
    # Before they are saved: the store fills in more.
    given = {one.at: _said(_sealed(serving, one.record)) for one in ready}
    await store.save_many(wanted)
    for one in ready:
        id = one.record.id
        same = id in there and there[id] == given[one.at]
        told[one.at] = Told(id, "same" if same else "changed" if id in there else "new")


def _said(content: Any) -> dict[str, Any]:
    """Return what a snapshot's sender says of it."""
    return {name: value for name, value in content.items() if name not in _FILLED_IN}


def _sealed(serving: Serving, record: Node) -> Any:
    row = codec.to_row(record)
    return codec.column((Record(row).row(serving.live))[1])
