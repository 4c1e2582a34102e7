"""A route and what it asks of who calls it: a right, and JSON."""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from khive_persist.server.context import Serving
from khive_persist.server.http.errors import CLOSE, Refused
from khive_persist.server.http.paths import with_slashes
from khive_persist.server.http.protocol import ADMIT
from khive_persist.server.http.tokens import Right, Token
from khive_persist.server.request import session_cookie
from khive_persist.server.routes.metrics import ROUTE

Endpoint = Callable[[Request], Awaitable[Response]]

JSON: Final = frozenset({"application/json"})
JSON_LINES: Final = frozenset({"application/x-ndjson", "application/jsonl"})
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_BEARER: Final = "bearer "


class Guarded:
    """The app of one route. Its checks come before any byte of the body is read.

    Attributes:
        right: What a token must give, or None where everybody is answered.
        types: The media types of a body, where the method has one.
        operation: What is told of the route, where it says so itself.
    """

    def __init__(
        self,
        serving: Serving,
        path: str,
        endpoint: Endpoint,
        right: Right | None,
        types: frozenset[str],
        operation: object = None,
    ) -> None:
        self.right = right
        self.types = types
        self.operation = operation
        self._path = path
        self._serving = serving
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[ROUTE] = self._path
        parameters = scope["path_params"]
        scope["path_params"] = {name: with_slashes(parameters[name]) for name in parameters}
        request = Request(scope, receive)
        if self.right is not None:
            authorise(self._serving, request, self.right)
        # A browser sends no other type than these to another site without asking it first.
        if scope["method"] in _WITH_BODY and media_type(request) not in self.types:
            raise Refused(
                415,
                "content_type",
                "the body is not of a type that is taken here",
                hint="send " + " or ".join(sorted(self.types)),
                headers=CLOSE,
            )
        response = await self._endpoint(request)
        await response(scope, receive, send)


def route(
    serving: Serving,
    method: str,
    path: str,
    endpoint: Endpoint,
    *,
    right: Right | None,
    types: frozenset[str] = JSON,
    operation: object = None,
) -> Route:
    """A route of the app.

    Args:
        serving: What its group was given.
        method: GET also answers HEAD.
        path: With its parameters in braces.
        endpoint: Asked once the caller may.
        right: What a token must give; None answers everybody who passes `hosts.py`.
        types: The media types of a body, where the method has one.
        operation: What `openapi/` is to tell of it; see `routes/read/operations.py`.
    """
    guarded = Guarded(serving, path, endpoint, right, types, operation)
    return Route(path, guarded, methods=[method])


def authorise(serving: Serving, request: Request, right: Right) -> Token | None:
    """Who calls; None where this server asks for no token.

    Raises:
        Refused: 401 without a token that is known, 403 with one that does not give the right.
    """
    if not serving.live.settings.server_require_token:
        _admit(request)
        return None
    token = _presented(serving, request)
    if token is None:
        if "authorization" in request.headers:
            serving.refusals.note(request.client)
        raise Refused(
            401,
            "token",
            "a token is needed",
            hint="send Authorization: Bearer …, from .khive/server.token or serve token create",
            headers={"www-authenticate": "Bearer", **CLOSE},
        )
    if not token.may(right):
        raise Refused(403, "right", f"this token has no right to {right}", headers=CLOSE)
    _admit(request)
    return token


def media_type(request: Request) -> str:
    """The media type of the body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _admit(request: Request) -> None:
    if (admit := request.scope.get("state", {}).get(ADMIT)) is not None:
        admit()


def _presented(serving: Serving, request: Request) -> Token | None:
    given = request.headers.get("authorization")
    if given is not None:
        if given[: len(_BEARER)].lower() != _BEARER:
            return None
        return serving.tokens.find(given[len(_BEARER) :].strip())
    cookie = request.cookies.get(serving.cookie)
    return session_cookie.find(serving, cookie) if cookie else None
