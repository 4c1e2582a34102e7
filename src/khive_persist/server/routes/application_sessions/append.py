"""What is added to a session: messages, measurements, scores; a batch of them, or one."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import anyio.to_thread
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from khive_persist import clock
from khive_persist.errors import (
    CompletedError,
    InvalidRecordError,
    StoreBusyError,
    StoreUnavailableError,
)
from khive_persist.models.application_session import COMPLETED
from khive_persist.models.measurement import Measurement
from khive_persist.models.message import Message
from khive_persist.models.node import Node
from khive_persist.models.score import Score
from khive_persist.recorder.messages import Record
from khive_persist.server.context import Serving
from khive_persist.server.request.auth import JSON, JSON_LINES, Endpoint, media_type, route
from khive_persist.server.request.body import read_body
from khive_persist.server.routes.application_sessions.cache import SessionCache
from khive_persist.server.routes.application_sessions.inflight_writes import OpenWrites
from khive_persist.server.routes.application_sessions.retries import retried
from khive_persist.server.routes.application_sessions.versions import saying_version
from khive_persist.server.routes.batches import NoJson, Told, batch_response, read_batch
from khive_persist.store import codec
from khive_persist.transfer.row_validation import checked

TOOL: Final = "application"
_INLINE_BYTES: Final = 65_536


class Kind(NamedTuple):
    """One kind of what is added.

    Attributes:
        record: Its class.
        time_field: The field that says when it was.
        fixed: Fields that each of them has.
    """

    record: type[Node]
    time_field: str
    fixed: Mapping[str, str] = {}


KINDS: Final[dict[str, Kind]] = {
    "messages": Kind(Message, "sent_at", {"tool": TOOL}),
    "measurements": Kind(Measurement, Measurement.time_field),
    "scores": Kind(Score, Score.time_field),
}


def routes(serving: Serving, path: str, cache: SessionCache, writes: OpenWrites) -> list[BaseRoute]:
    """The routes of this group.

    Args:
        serving: What the group was given.
        path: Of a session.
        cache: Which sessions take more.
        writes: Told of what is under way.
    """

    def append(kind: Kind) -> Endpoint:
        async def receive(request: Request) -> Response:
            id = request.path_params["id"]
            body = await read_body(serving, request)
            with writes.of(id):
                # Within: who completes the session waits for those that passed.
                await _check_active(cache, id)
                told = await _append(serving, kind, id, body, media_type(request))
            for one in told:
                serving.metrics.recorded(kind.record.purpose, one.result)
            return batch_response(told)

        return receive

    types = JSON | JSON_LINES
    return [
        route(
            serving,
            "POST",
            f"{path}/{name}",
            saying_version(append(kind)),
            right="ingest",
            types=types,
        )
        for name, kind in KINDS.items()
    ]


async def _check_active(cache: SessionCache, id: str) -> None:
    session = await cache.get(id)
    if session.status == COMPLETED:
        raise CompletedError(
            f"the session {id!r} is completed",
            hint='update it with status "active" to go on',
            version=session.version,
        )


async def _append(
    serving: Serving, kind: Kind, id: str, body: bytes, media_type: str
) -> list[Told]:
    if len(body) > _INLINE_BYTES:
        told, ready = await anyio.to_thread.run_sync(_prepare, kind, id, body, media_type)
    else:
        told, ready = _prepare(kind, id, body, media_type)
    if ready:
        rows = [*ready.values()]
        # The recorder may have ended: what it had stored then has its ids.
        purpose = kind.record.purpose
        store = partial(serving.recorder.store, purpose, rows)
        results = await retried(store, (StoreBusyError, StoreUnavailableError))
        for at, row, result in zip(ready, rows, results, strict=True):
            told[at] = Told(row.id, *result)
    return told


def _prepare(
    kind: Kind, session_id: str, body: bytes, media_type: str
) -> tuple[list[Told], dict[int, Record]]:
    told: list[Told] = []
    ready: dict[int, Record] = {}
    for at, document in enumerate(read_batch(body, media_type)):
        try:
            ready[at] = _record(kind, session_id, document)
        except InvalidRecordError as error:
            id = document.get("id") if isinstance(document, dict) else None
            told.append(Told(id if isinstance(id, str) else None, "refused", str(error)))
        else:
            told.append(Told(ready[at].id, "refused"))
    return told, ready


def _record(kind: Kind, session_id: str, document: Any) -> Record:
    if isinstance(document, NoJson):
        raise InvalidRecordError(document.reason)
    if not isinstance(document, dict):
        raise InvalidRecordError("an object with its fields is needed")
    fixed = {"session_id": session_id, **kind.fixed}
    for name, value in fixed.items():
        if document.get(name, value) != value:
            raise InvalidRecordError(f"{name} is {value!r} here")
    given: dict[str, Any] = {"content": {**document, **fixed}}
    if "id" in document:
        given["id"] = given["content"].pop("id")
    time = document.get(kind.time_field)
    if time is not None:
        instant = clock.from_column(time)
        if instant is None:
            raise InvalidRecordError(f"{kind.time_field} is no time")
        given["created_at"] = instant
        given["content"][kind.time_field] = clock.to_text(instant)
    try:
        record = kind.record(**given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidRecordError(f"{where}: {first['msg']}") from error
    return Record(checked(codec.to_row(record)), is_timed=time is not None)
