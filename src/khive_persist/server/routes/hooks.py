"""`POST /hooks/{tool}`: one event, as an AI tool's HTTP hook sends it."""

import asyncio
from typing import Final

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from khive_persist.capture.hook_config.http_hook import OFF_HEADER
from khive_persist.capture.pauses import count_off
from khive_persist.capture.spool import Event
from khive_persist.errors import KhiveError, NotFoundError
from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.recorder.event_fallback import new_event
from khive_persist.recorder.messages import Payload
from khive_persist.server.http.errors import HTTPError
from khive_persist.server.intake import Intake
from khive_persist.server.request.access import Access
from khive_persist.server.request.auth import route
from khive_persist.server.request.body import BodyReader

# The tools give a hook 5 seconds; past this the event is safe sooner in the spool.
COMMIT_SECONDS: Final = 1.0
# A large one is first read, by a process that may have to be started.
LARGE_COMMIT_SECONDS: Final = 3.0


def routes(access: Access, bodies: BodyReader, intake: Intake) -> list[BaseRoute]:
    """Return the routes of this group."""

    async def receive(request: Request) -> Response:
        tool = request.path_params["tool"]
        if tool not in HOOK_EVENTS:
            raise NotFoundError(f"no tool {tool!r}", hint="one of " + ", ".join(HOOK_EVENTS))
        payload = await bodies.read(request)
        event = new_event(tool)
        if request.headers.get(OFF_HEADER, "") not in ("", "0"):
            await anyio.to_thread.run_sync(count_off, payload, event.arrival_ns)
        else:
            await record(intake, event, payload)
        # Empty: the tool goes on as if there were no hook, and writes nothing of it down.
        return Response()

    return [route(access, "POST", "/hooks/{tool}", receive, right="ingest")]


async def record(intake: Intake, event: Event, raw: bytes) -> None:
    """Record one event, whatever its bytes are: durable on return.

    It is in its database and the mirror, or where that cannot be had soon, in the spool. While
    recording is off it is counted alone.

    Raises:
        CaptureError: Neither could take it.
        ProjectError: The pauses cannot be read.
    """
    if await intake.is_paused(event, raw):
        return
    purpose = HOOK_EVENTS[event.tool]
    recorder = await intake.recorder_of(len(raw))
    is_large = recorder is not intake.recorder
    if not recorder.is_stalled(purpose):
        try:
            if is_large:
                async with asyncio.timeout(LARGE_COMMIT_SECONDS):
                    record = await intake.preparer.record(event, raw)
                    (result,) = await recorder.store(purpose, [record])
            else:
                (result,) = await recorder.store(purpose, [Payload(event, raw)], COMMIT_SECONDS)
        except (KhiveError, HTTPError, TimeoutError):
            # Locked, full, damaged or slow: it goes where a hook would put it.
            pass
        else:
            if result.status != "refused":
                intake.metrics.recorded(purpose, result.status)
                return
    await anyio.to_thread.run_sync(intake.event_fallback.save, event, raw)
    intake.metrics.recorded(purpose, "spooled")
