"""`/login` and `/logout`: a browser changes a token for a cookie, and gives it back.

It comes with a token, or by a link that is good once, for which our own command asks with a token.
"""

from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from khive_persist.server.http.errors import HTTPError, json_response
from khive_persist.server.http.tokens import Right, Role, Token
from khive_persist.server.request import login_links, session_cookie
from khive_persist.server.request.access import Access
from khive_persist.server.request.auth import authorise, route
from khive_persist.server.request.body import BodyReader


class LoginLink(NamedTuple):
    """The path of a page of this server that logs a browser in, once.

    Attributes:
        path: The path, with a code in it that is no token.
        seconds: The time for which it is good; 0 where this server asks for no token.
    """

    path: str
    seconds: int


class TokenRights(NamedTuple):
    """A token's name, and its rights. Where none is asked for, it has no name.

    Attributes:
        role: The role of its owner at a team's server; None at that of a project.
        person: The person for whose records alone it is; None for those of all.
    """

    name: str | None
    rights: tuple[Right, ...]
    role: Role | None = None
    person: str | None = None


def routes(access: Access, bodies: BodyReader) -> list[BaseRoute]:
    """Return the routes of this group."""

    async def login(request: Request) -> Response:
        document = await bodies.read_json(request, is_strangers=True)
        secret = document.get("token") if isinstance(document, dict) else None
        token = access.tokens.find(secret.strip()) if isinstance(secret, str) else None
        if token is None:
            access.refused_tokens.note(request.client)
            raise HTTPError(401, "token", "this token is not known here")
        response = json_response(rights_of(token))
        set_cookie(request, response, token)
        return response

    async def link(request: Request) -> Response:
        token = authorise(access, request, "read")
        if token is None:
            return json_response(LoginLink("/", 0))
        code = access.login_links.create(token)
        return json_response(LoginLink(f"/login/{code}", login_links.SECONDS))

    async def follow(request: Request) -> Response:
        # Of a look at it ahead, as programs take that check links, it is not used up.
        is_visit = request.method == "GET"
        token = access.login_links.take(request.path_params["code"]) if is_visit else None
        if token is None and is_visit:
            raise HTTPError(
                401,
                "link",
                "this link was used, or is too old",
                hint="khive-persist open makes another",
            )
        # What follows the # of the link stays with the browser, which is at that page then.
        response = Response(status_code=303, headers={"location": "/"})
        if token is not None:
            set_cookie(request, response, token)
        return response

    def set_cookie(request: Request, response: Response, token: Token) -> None:
        cookie: dict[str, Any] = {"path": "/", "httponly": True, "samesite": "strict"}
        cookie["secure"] = request.url.scheme == "https"
        value = session_cookie.make(access, token)
        response.set_cookie(access.cookie, value, max_age=session_cookie.SECONDS, **cookie)

    async def logout(request: Request) -> Response:
        session_cookie.end(access, request.cookies.get(access.cookie, ""))
        response = json_response({})
        response.delete_cookie(access.cookie, path="/", httponly=True, samesite="strict")
        return response

    async def whoami(request: Request) -> Response:
        token = authorise(access, request, "read")
        if token is None:
            return json_response(TokenRights(None, ("admin",)))
        return json_response(rights_of(token))

    def rights_of(token: Token) -> TokenRights:
        role = token.role if access.is_of_team else None
        return TokenRights(token.name, token.rights, role, token.person)

    return [
        route(access, "POST", "/login", login, right=None),
        route(access, "POST", "/login/link", link, right="read"),
        route(access, "GET", "/login/{code}", follow, right=None),
        route(access, "POST", "/logout", logout, right=None),
        route(access, "GET", "/v1/whoami", whoami, right="read"),
    ]
