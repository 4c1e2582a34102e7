"""`/team/{key}/…`: one person's project on one machine, to whom the role shows it, and audited."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from khive_persist.errors import KhiveError, NotFoundError
from khive_persist.server.http.errors import HTTPError
from khive_persist.server.request.auth import authorise
from khive_persist.server.routes.metrics import ROUTE
from khive_persist.server.team.context import TeamContext
from khive_persist.server.team.project_key import ProjectKey
from khive_persist.server.team.role import check_person
from khive_persist.store.postgres.team_audit import TeamRead

PREFIX: Final = "/team/"
_API: Final = "/v1/"
_OF_SESSION: Final = "/v1/sessions/{id}"


def with_projects(app: ASGIApp, context: TeamContext) -> ASGIApp:
    """Return an app that answers below `/team/{key}` as the server of a project does."""

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if not path.startswith(PREFIX):
            await app(scope, receive, send)
            return
        text, slash, remainder = path.removeprefix(PREFIX).partition("/")
        key = ProjectKey.from_text(text)
        if key is None or not scope["raw_path"].startswith(f"{PREFIX}{text}".encode()):
            raise NotFoundError("the team has no such project")
        if not slash:
            await RedirectResponse(f"{text}/", 308)(scope, receive, send)
            return
        inner = f"/{remainder}"
        if inner.startswith(_API):
            await _answer(context, key, inner, scope, receive, send)
        else:
            # The files of the dashboard have nothing of anybody.
            await app(_below(scope, inner), receive, send)

    return answering


async def _answer(
    context: TeamContext, key: ProjectKey, path: str, scope: Scope, receive: Receive, send: Send
) -> None:
    request = Request(scope, receive)
    token = authorise(context.access, request, "read")
    assert token is not None
    check_person(token, key.person)
    inner = _below(scope, path)

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] < 400:
            # Written down before any byte of it leaves: where it cannot be, none does.
            route = inner.get(ROUTE, "")
            scope[ROUTE] = f"/team/{{key}}{route}"
            read = TeamRead(token.name, token.role, *key, route, _session(inner, route))
            try:
                await context.audit.write(read)
            except KhiveError as error:
                reason = "it cannot be written down who is shown this, so that nobody is"
                raise HTTPError(503, "audit", reason) from error
        await send(message)

    async with context.copies.app(key) as app:
        await app(inner, receive, sending)


def _below(scope: Scope, path: str) -> Scope:
    """Return the scope of the same request for an app that knows nothing of the project."""
    # A key is spelled in one way, so that the raw path begins as the other does.
    length = len(scope["path"]) - len(path)
    return {**scope, "path": path, "raw_path": scope["raw_path"][length:]}


def _session(scope: Scope, route: str) -> str:
    if route.startswith(_OF_SESSION):
        return str(scope["path_params"].get("id", ""))
    values: Any = Request(scope).query_params.getlist("session")
    return values[0] if values else ""
