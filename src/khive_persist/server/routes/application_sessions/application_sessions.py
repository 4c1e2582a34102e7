"""`/v1/application_sessions`: an application's sessions, from their start to their completion."""

from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import quote

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from khive_persist.models.application_session import ApplicationSession
from khive_persist.project import Project
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.server.http.errors import json_response
from khive_persist.server.http.headers import version_tag
from khive_persist.server.intake import Intake
from khive_persist.server.preparer import INLINE_BYTES
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.request.access import Access
from khive_persist.server.request.auth import JSON, route
from khive_persist.server.request.body import BodyReader
from khive_persist.server.routes.application_sessions import append, changes, live_changes, read
from khive_persist.server.routes.application_sessions.cache import Entry, SessionCache
from khive_persist.server.routes.application_sessions.changes import (
    Change,
    Changed,
    apply_here,
    fields_of,
)
from khive_persist.server.routes.application_sessions.inflight_writes import InflightWrites
from khive_persist.server.routes.application_sessions.retries import retried
from khive_persist.server.routes.read.operations import routes_of
from khive_persist.server.store_pool import Stores
from khive_persist.store.application_sessions import ApplicationSessionStore

PATH: Final = "/v1/application_sessions"
_PATCH: Final = JSON | {"application/merge-patch+json"}


def routes(
    access: Access,
    bodies: BodyReader,
    intake: Intake,
    project: Project,
    live: LiveSettings,
    readers: ReaderPool,
    stores: Stores,
    stopping: anyio.Event,
) -> list[BaseRoute]:
    """Return the routes of this group. Who may only write is told a session's state, not its
    fields.
    """
    cache = SessionCache(project, live, stores, intake.metrics)
    writes = InflightWrites()

    async def apply(change: Change, request: Request) -> Changed:
        body = await bodies.read(request)
        if len(body) > INLINE_BYTES:
            run = intake.preparer.run
            # The cache finds that another process has written, and forgets what it had.
            return await retried(lambda: run(apply_here, body, change, project.root))
        fields = fields_of(body)
        is_new = False

        async def work(store: ApplicationSessionStore) -> ApplicationSession:
            nonlocal is_new
            session, is_new = await changes.apply(change, fields, store)
            return session

        # Where it names none, there is none to forget.
        id = change.id or str(fields.get("session_id", ""))
        return Changed(await cache.write(id, work), is_new)

    async def start(request: Request) -> Response:
        entry, is_new = await apply(Change("start"), request)
        location = {"location": f"{PATH}/{quote(entry.head['session_id'], safe='')}"}
        return _response(entry, 201 if is_new else 200, location)

    async def update(request: Request) -> Response:
        entry, _ = await apply(_change("update", request), request)
        return _response(entry)

    async def complete(request: Request) -> Response:
        entry, _ = await apply(_change("complete", request), request)
        # What was begun before is in it; from here on nothing more comes.
        await writes.ended(request.path_params["id"])
        return _response(entry)

    session_path = f"{PATH}/{{id}}"
    return [
        route(access, "POST", PATH, start, right="ingest"),
        route(access, "PATCH", session_path, update, right="ingest", types=_PATCH),
        route(access, "POST", f"{session_path}/complete", complete, right="ingest"),
        *append.routes(access, bodies, intake, session_path, cache, writes),
        *routes_of(access, read.operations(project, live, readers, PATH, cache)),
        *routes_of(
            access, [live_changes.operation(access, readers, session_path, cache, stopping)]
        ),
    ]


def _change(kind: Literal["update", "complete"], request: Request) -> Change:
    return Change(kind, request.path_params["id"], tuple(request.headers.getlist("if-match")))


def _response(
    entry: Entry, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return json_response(
        entry.head, status, {"etag": version_tag(entry.version), **(headers or {})}
    )
