"""`/v1/application_sessions`: an application's sessions, from their start to their completion."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from khive_persist.errors import InvalidRecordError
from khive_persist.models.application_session import ApplicationSession
from khive_persist.server.context import ServerContext
from khive_persist.server.http.errors import HTTPError, json_response
from khive_persist.server.request.auth import JSON, route
from khive_persist.server.request.body import read_json
from khive_persist.server.routes.application_sessions import append, read, versions
from khive_persist.server.routes.application_sessions.cache import Entry, SessionCache
from khive_persist.server.routes.application_sessions.inflight_writes import InflightWrites
from khive_persist.server.routes.application_sessions.versions import saying_version
from khive_persist.server.routes.read.operations import routes_of
from khive_persist.store.application_sessions import ApplicationSessionStore

PATH: Final = "/v1/application_sessions"
_PATCH: Final = JSON | {"application/merge-patch+json"}


def routes(context: ServerContext) -> list[BaseRoute]:
    """Return the routes of this group. Who may only write is told a session's state, not its
    fields.
    """
    cache = SessionCache(context)
    writes = InflightWrites()

    async def start(request: Request) -> Response:
        fields = await _object(context, request)
        _check_addressable(fields.get("session_id"))
        is_new = False

        async def work(store: ApplicationSessionStore) -> ApplicationSession:
            nonlocal is_new
            session, is_new = await store.start(fields)
            return session

        # Where it names none, there is none to forget.
        entry = await cache.write(str(fields.get("session_id", "")), work)
        location = {"location": f"{PATH}/{quote(entry.head['session_id'], safe='')}"}
        return _response(entry, 201 if is_new else 200, location)

    async def update(request: Request) -> Response:
        id = request.path_params["id"]
        fields = await _object(context, request)
        version = versions.expected(request, fields)
        if version is None:
            raise HTTPError(
                428,
                "version_needed",
                "an update says which version it is for",
                hint='send If-Match: "3", or version in the body',
            )
        return _response(await cache.write(id, lambda store: store.update(id, fields, version)))

    async def complete(request: Request) -> Response:
        id = request.path_params["id"]
        fields = await _object(context, request)
        version = versions.expected(request, fields)
        entry = await cache.write(id, lambda store: store.complete(id, fields, version))
        # What was begun before is in it; from here on nothing more comes.
        await writes.ended(id)
        return _response(entry)

    session_path = f"{PATH}/{{id}}"
    return [
        route(context, "POST", PATH, saying_version(start), right="ingest"),
        route(context, "PATCH", session_path, saying_version(update), right="ingest", types=_PATCH),
        route(
            context, "POST", f"{session_path}/complete", saying_version(complete), right="ingest"
        ),
        *append.routes(context, session_path, cache, writes),
        *routes_of(context, read.operations(context, PATH, cache)),
    ]


async def _object(context: ServerContext, request: Request) -> dict[str, Any]:
    document = await read_json(context, request)
    if not isinstance(document, dict):
        raise InvalidRecordError("an object with the session's fields is needed")
    return document


def _response(
    entry: Entry, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return json_response(
        entry.head, status, {"etag": versions.tag(entry.version), **(headers or {})}
    )


def _check_addressable(id: object) -> None:
    if not isinstance(id, str) or id == "":
        # What else it may be, the record says.
        return
    if id in (".", "..") or not id.isprintable():
        raise InvalidRecordError("a session_id stands in a path: it has no control codes")
