"""`/login` and `/logout`: a browser changes a token for a cookie, and gives it back."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from khive_persist.server.context import Serving
from khive_persist.server.http.errors import Refused, json_response
from khive_persist.server.request import session_cookie
from khive_persist.server.request.auth import authorise, route
from khive_persist.server.request.body import read_json


def routes(serving: Serving) -> list[BaseRoute]:
    """The routes of this group."""

    async def login(request: Request) -> Response:
        document = await read_json(serving, request, is_strangers=True)
        given = document.get("token") if isinstance(document, dict) else None
        token = serving.tokens.find(given.strip()) if isinstance(given, str) else None
        if token is None:
            serving.refusals.note(request.client)
            raise Refused(401, "token", "this token is not known here")
        response = json_response({"name": token.name, "rights": token.rights})
        cookie: dict[str, Any] = {"path": "/", "httponly": True, "samesite": "strict"}
        cookie["secure"] = request.url.scheme == "https"
        value = session_cookie.make(serving, token)
        response.set_cookie(serving.cookie, value, max_age=session_cookie.SECONDS, **cookie)
        return response

    async def logout(request: Request) -> Response:
        session_cookie.end(serving, request.cookies.get(serving.cookie, ""))
        response = json_response({})
        response.delete_cookie(serving.cookie, path="/", httponly=True, samesite="strict")
        return response

    async def whoami(request: Request) -> Response:
        token = authorise(serving, request, "read")
        if token is None:
            return json_response({"name": None, "rights": ["admin"]})
        return json_response({"name": token.name, "rights": token.rights})

    return [
        route(serving, "POST", "/login", login, right=None),
        route(serving, "POST", "/logout", logout, right=None),
        route(serving, "GET", "/v1/whoami", whoami, right="read"),
    ]
