"""`GET /v1/application_sessions/{id}/live`: that a session has changed, as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import time
from collections.abc import AsyncGenerator
from functools import partial
from typing import Final

import anyio
from starlette.responses import Response

from khive_persist.server.http.errors import HTTPError
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.request.access import Access
from khive_persist.server.request.auth import may_read
from khive_persist.server.routes.application_sessions.cache import SessionCache
from khive_persist.server.routes.read.live_events import AT_ONCE, HEARTBEAT_SECONDS, MEDIA_TYPE
from khive_persist.server.routes.read.operations import Operation, ReadRequest
from khive_persist.server.routes.read.streaming import ClosingStreamingResponse
from khive_persist.sessions.application_series import SessionCounts
from khive_persist.store import codec

_HEADERS: Final = {"cache-control": "no-store", "x-accel-buffering": "no"}


def operation(
    access: Access, readers: ReaderPool, path: str, cache: SessionCache, stopping: anyio.Event
) -> Operation:
    """Return the operation, at the path of a session."""
    watch = readers.session_watch

    async def live(query: ReadRequest) -> Response:
        id = query.path["id"]
        await cache.get(id)
        if query.request.method == "HEAD":
            return Response(headers=_HEADERS | {"content-type": MEDIA_TYPE})
        if watch.listening >= AT_ONCE:
            raise HTTPError(503, "busy", f"{AT_ONCE} are told of sessions already")
        # Nothing is awaited between the two, so no more get in.
        watch.join(id)
        content = _stream(access, readers, stopping, query, id)
        return ClosingStreamingResponse(content, _HEADERS, MEDIA_TYPE, partial(watch.leave, id))

    return Operation(
        f"{path}/live",
        live,
        "The state of a session, at once and whenever it is another: one `change` each, with its"
        " `version` and the number of its `messages`, `measurements` and `scores`.",
        (),
        SessionCounts,
        media_type=MEDIA_TYPE,
        path_words={"id": "The session's id."},
    )


async def _stream(
    access: Access, readers: ReaderPool, stopping: anyio.Event, query: ReadRequest, id: str
) -> AsyncGenerator[bytes, None]:
    watch = readers.session_watch
    previous: SessionCounts | None = None
    yield b"retry: 2000\n\n"
    due = time.monotonic() + HEARTBEAT_SECONDS
    while not stopping.is_set():
        # Before the look: what is read after it wakes us.
        next_change = watch.next()
        counts = watch.counts.get(id)
        if counts is not None and counts != previous:
            yield f"event: change\ndata: {codec.dump(counts._asdict())}\n\n".encode()
            previous = counts
        if time.monotonic() >= due:
            if not may_read(access, query.request):
                return
            yield b":\n\n"
            due = time.monotonic() + HEARTBEAT_SECONDS
        with anyio.move_on_after(due - time.monotonic()):
            await next_change.wait()
