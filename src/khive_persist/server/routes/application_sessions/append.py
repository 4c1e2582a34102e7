"""Additions to a session: messages, measurements, scores; a batch of them, or one."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final, NamedTuple

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
from khive_persist.models.refusal import refusal
from khive_persist.models.score import Score
from khive_persist.recorder.messages import Record
from khive_persist.server.intake import Intake
from khive_persist.server.request.access import Access
from khive_persist.server.request.auth import JSON, JSON_LINES, Endpoint, media_type, route
from khive_persist.server.request.body import BodyReader
from khive_persist.server.routes.application_sessions.cache import SessionCache
from khive_persist.server.routes.application_sessions.inflight_writes import InflightWrites
from khive_persist.server.routes.application_sessions.retries import retried
from khive_persist.server.routes.batches import BatchAnswer, pieces_of
from khive_persist.store import codec
from khive_persist.transfer.row_validation import checked

TOOL: Final = "application"


class Kind(NamedTuple):
    """A kind of addition.

    Attributes:
        record: The class of its records.
        time_field: The field with the time of a record.
        fixed: The fields that each record has.
    """

    record: type[Node]
    time_field: str
    fixed: Mapping[str, str] = {}


KINDS: Final[dict[str, Kind]] = {
    "messages": Kind(Message, "sent_at", {"tool": TOOL}),
    "measurements": Kind(Measurement, Measurement.time_field),
    "scores": Kind(Score, Score.time_field),
}


def routes(
    access: Access,
    bodies: BodyReader,
    intake: Intake,
    path: str,
    cache: SessionCache,
    writes: InflightWrites,
) -> list[BaseRoute]:
    """Return the routes of this group, below the path of a session."""

    def append(kind: Kind) -> Endpoint:
        async def receive(request: Request) -> Response:
            id = request.path_params["id"]
            body = await bodies.read(request)
            with writes.of(id):
                # Within: who completes the session waits for those that passed.
                await _check_active(cache, id)
                return await _append(intake, kind, id, body, media_type(request))

        return receive

    types = JSON | JSON_LINES
    return [
        route(access, "POST", f"{path}/{name}", append(kind), right="ingest", types=types)
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


async def _append(intake: Intake, kind: Kind, id: str, body: bytes, media_type: str) -> Response:
    purpose = kind.record.purpose
    recorder = await intake.recorder_of(len(body))
    answer = BatchAnswer()
    make = partial(_record, kind, id)
    for piece in await intake.preparer.pieces(pieces_of, body, media_type, make):
        if piece.rows:
            # The recorder may have ended: what it had stored then has its ids.
            store = partial(recorder.store, purpose, [*piece.rows.values()])
            piece.take(await retried(store, (StoreBusyError, StoreUnavailableError)))
        for status, count in (await answer.add(piece.results)).items():
            intake.metrics.recorded(purpose, status, count)
    return answer.response()


def _record(kind: Kind, session_id: str, document: Any) -> Record:
    if not isinstance(document, dict):
        raise InvalidRecordError("an object with its fields is needed")
    fixed = {"session_id": session_id, **kind.fixed}
    for name, value in fixed.items():
        if document.get(name, value) != value:
            raise InvalidRecordError(f"{name} is {value!r} here")
    values: dict[str, Any] = {"content": {**document, **fixed}}
    if "id" in document:
        values["id"] = values["content"].pop("id")
    time = document.get(kind.time_field)
    if time is not None:
        instant = clock.from_column(time)
        if instant is None:
            raise InvalidRecordError(f"{kind.time_field} is no time")
        values["created_at"] = instant
        values["content"][kind.time_field] = clock.to_text(instant)
    try:
        record = kind.record(**values)
    except ValidationError as error:
        raise refusal(error) from error
    return Record(checked(codec.to_row(record)), is_timed=time is not None)
