"""`/login` and `/logout`: a browser changes a token for a cookie, and gives it back."""

from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from khive_persist.server.http.errors import HTTPError, json_response
from khive_persist.server.http.tokens import Right
from khive_persist.server.request import session_cookie
from khive_persist.server.request.access import Access
from khive_persist.server.request.auth import authorise, route
from khive_persist.server.request.body import BodyReader


class TokenRights(NamedTuple):
    """A token's name, and its rights. Where none is asked for, it has no name."""

    name: str | None
    rights: tuple[Right, ...]


def routes(access: Access, bodies: BodyReader) -> list[BaseRoute]:
    """Return the routes of this group."""

    async def login(request: Request) -> Response:
        document = await bodies.read_json(request, is_strangers=True)
        secret = document.get("token") if isinstance(document, dict) else None
        token = access.tokens.find(secret.strip()) if isinstance(secret, str) else None
        if token is None:
            access.refused_tokens.note(request.client)
            raise HTTPError(401, "token", "this token is not known here")
        response = json_response(TokenRights(token.name, token.rights))
        cookie: dict[str, Any] = {"path": "/", "httponly": True, "samesite": "strict"}
        cookie["secure"] = request.url.scheme == "https"
        value = session_cookie.make(access, token)
        response.set_cookie(access.cookie, value, max_age=session_cookie.SECONDS, **cookie)
        return response

    async def logout(request: Request) -> Response:
        session_cookie.end(access, request.cookies.get(access.cookie, ""))
        response = json_response({})
        response.delete_cookie(access.cookie, path="/", httponly=True, samesite="strict")
        return response

    async def whoami(request: Request) -> Response:
        token = authorise(access, request, "read")
        if token is None:
            return json_response(TokenRights(None, ("admin",)))
        return json_response(TokenRights(token.name, token.rights))

    return [
        route(access, "POST", "/login", login, right=None),
        route(access, "POST", "/logout", logout, right=None),
        route(access, "GET", "/v1/whoami", whoami, right="read"),
    ]
