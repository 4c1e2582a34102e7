"""`POST /v1/events`: many events, each with an id of its sender's, so that it may be sent again."""

import json
import re
from collections import Counter
from typing import Any, Final

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from khive_persist import clock
from khive_persist.capture.spool import Event
from khive_persist.errors import InvalidRecordError, MirrorError, StoreError
from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.recorder.client import Recorder
from khive_persist.recorder.event_fallback import new_event
from khive_persist.recorder.messages import Payload
from khive_persist.server.intake import Intake
from khive_persist.server.request.access import Access
from khive_persist.server.request.auth import JSON, JSON_LINES, media_type, route
from khive_persist.server.request.body import BodyReader
from khive_persist.server.routes.batches import BatchAnswer, BatchResult, pieces_of
from khive_persist.store import codec
from khive_persist.transfer.row_validation import checked

_KEYS: Final = frozenset({"id", "tool", "payload", "created_at"})
# Such an id can stand in the name of a spool file.
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


def routes(access: Access, bodies: BodyReader, intake: Intake) -> list[BaseRoute]:
    """Return the routes of this group."""

    async def receive(request: Request) -> Response:
        body = await bodies.read(request)
        kind = media_type(request)
        recorder = await intake.recorder_of(len(body))
        answer = BatchAnswer()
        for piece in await intake.preparer.pieces(pieces_of, body, kind, _payload):
            for tool in HOOK_EVENTS:
                events = {
                    at: payload for at, payload in piece.rows.items() if payload.event.tool == tool
                }
                if events:
                    await _store(intake, recorder, tool, events, piece.results)
            await answer.add(piece.results)
        return answer.response()

    types = JSON | JSON_LINES
    return [route(access, "POST", "/v1/events", receive, right="ingest", types=types)]


async def _store(
    intake: Intake,
    recorder: Recorder,
    tool: str,
    events: dict[int, Payload],
    results: list[BatchResult],
) -> None:
    purpose = HOOK_EVENTS[tool]
    for at, payload in list(events.items()):
        if await intake.is_paused(payload.event, payload.raw):
            results[at] = BatchResult(payload.id, "refused", "recording was paused")
            intake.metrics.recorded(purpose, "refused")
            del events[at]
    if not events:
        return
    payloads = [*events.values()]
    try:
        incoming = [payload.record or payload for payload in payloads]
        replies = await recorder.store(purpose, incoming)
        pairs = zip(payloads, replies, strict=True)
        batch_results = [BatchResult(payload.id, *reply) for payload, reply in pairs]
    except (StoreError, MirrorError):
        if not all(_UUID.match(payload.id) for payload in payloads):
            # They have ids that the spool cannot keep: their sender sends them again.
            raise
        await anyio.to_thread.run_sync(_keep, intake, payloads)
        batch_results = [BatchResult(payload.id, "spooled") for payload in payloads]
    for at, result in zip(events, batch_results, strict=True):
        results[at] = result
    for status, count in Counter(result.result for result in batch_results).items():
        intake.metrics.recorded(purpose, status, count)


def _keep(intake: Intake, payloads: list[Payload]) -> None:
    for payload in payloads:
        intake.event_fallback.save(payload.event, bytes(payload.raw))


def _payload(document: Any) -> Payload:
    if not isinstance(document, dict) or "payload" not in document:
        raise InvalidRecordError("an event is an object with tool and payload")
    if unknown := sorted(document.keys() - _KEYS):
        raise InvalidRecordError(f"an event has no {unknown[0]!r}")
    tool = document.get("tool")
    if not isinstance(tool, str) or tool not in HOOK_EVENTS:
        raise InvalidRecordError(f"no tool {tool!r}", hint="one of " + ", ".join(HOOK_EVENTS))
    event = _event(tool, document)
    return Payload(event, _spelled(document["payload"]), is_timed="created_at" in document)


def _event(tool: str, document: dict[str, Any]) -> Event:
    event = new_event(tool)
    arrival_ns, id = event.arrival_ns, event.id
    if "id" in document:
        id = document["id"]
        checked((id, None, None, None, None))
    if "created_at" in document:
        instant = clock.from_column(document["created_at"])
        if instant is None or instant.timestamp() < 0:
            raise InvalidRecordError("created_at is no time")
        arrival_ns = int(instant.timestamp()) * 1_000_000_000 + instant.microsecond * 1_000
    return Event(f"{arrival_ns:020d}_{id}_{tool}.event", arrival_ns, id, tool, False, False)


def _spelled(payload: Any) -> bytes:
    try:
        return codec.dump_spelled(payload).encode()
    except InvalidRecordError:
        # Lone surrogates: JSON can say them, and so they stay.
        return json.dumps(payload, separators=(",", ":")).encode()
