"""A route and its checks of a request: the right of the token, and the content type."""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from khive_persist.server.http.errors import CLOSE, HTTPError
from khive_persist.server.http.paths import with_slashes
from khive_persist.server.http.protocol import ADMIT
from khive_persist.server.http.tokens import Right, Token
from khive_persist.server.request import session_cookie
from khive_persist.server.request.access import Access
from khive_persist.server.routes.metrics import ROUTE

Endpoint = Callable[[Request], Awaitable[Response]]

JSON: Final = frozenset({"application/json"})
JSON_LINES: Final = frozenset({"application/x-ndjson", "application/jsonl"})
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_BEARER: Final = "bearer "
# The token of a request that has passed its checks, in its scope.
CREDENTIAL: Final = "khive.credential"


class GuardedEndpoint:
    """The app of one route: see `route`. Its checks come before any byte of the body is read."""

    def __init__(
        self,
        access: Access,
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
        self._access = access
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[ROUTE] = self._path
        parameters = scope["path_params"]
        scope["path_params"] = {name: with_slashes(parameters[name]) for name in parameters}
        request = Request(scope, receive)
        if self.right is not None:
            scope[CREDENTIAL] = authorise(self._access, request, self.right)
        # A browser sends no other type than these to another site without asking it first.
        if scope["method"] in _WITH_BODY and media_type(request) not in self.types:
            raise HTTPError(
                415,
                "content_type",
                "the body is not of a type that is taken here",
                hint="send " + " or ".join(sorted(self.types)),
                headers=CLOSE,
            )
        response = await self._endpoint(request)
        await response(scope, receive, send)


def route(
    access: Access,
    method: str,
    path: str,
    endpoint: Endpoint,
    *,
    right: Right | None,
    types: frozenset[str] = JSON,
    operation: object = None,
) -> Route:
    """Return a route of the app.

    Args:
        access: The access that the server gives.
        method: The method; GET also answers HEAD.
        path: The path, with its parameters in braces.
        endpoint: The endpoint, called once the checks are passed.
        right: The right that a token must give; None answers every request that passes `hosts.py`.
        types: The media types of a body, where the method has one.
        operation: The description for `openapi/`; see `routes/read/operations.py`.
    """
    guarded = GuardedEndpoint(access, path, endpoint, right, types, operation)
    return Route(path, guarded, methods=[method])


def authorise(access: Access, request: Request, right: Right) -> Token | None:
    """Return the token of a request; None where this server asks for no token.

    Raises:
        HTTPError: 401 without a token that is known, 403 with one that does not give the right.
    """
    if not access.needs_token:
        _admit(request)
        return None
    token = _presented(access, request)
    if token is None:
        if "authorization" in request.headers:
            access.refused_tokens.note(request.client)
        raise HTTPError(
            401,
            "token",
            "a token is needed",
            hint="send Authorization: Bearer …, from .khive/server.token or serve token create",
            headers={"www-authenticate": "Bearer", **CLOSE},
        )
    if not token.may(right):
        raise HTTPError(403, "right", f"this token has no right to {right}", headers=CLOSE)
    _admit(request)
    return token


def may_read(access: Access, request: Request) -> bool:
    """Return whether the token of a request that is being answered was not revoked meanwhile."""
    try:
        authorise(access, request, "read")
    except HTTPError:
        return False
    return True


def media_type(request: Request) -> str:
    """Return the media type of the body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _admit(request: Request) -> None:
    if (admit := request.scope.get("state", {}).get(ADMIT)) is not None:
        admit()


def _presented(access: Access, request: Request) -> Token | None:
    authorization = request.headers.get("authorization")
    if authorization is not None:
        if authorization[: len(_BEARER)].lower() != _BEARER:
            return None
        return access.tokens.find(authorization[len(_BEARER) :].strip())
    cookie = request.cookies.get(access.cookie)
    return session_cookie.find(access, cookie) if cookie else None
