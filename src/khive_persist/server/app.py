"""The app of one server: its route groups, and what stands before them."""

from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from khive_persist.server.context import Serving
from khive_persist.server.http.errors import Errors
from khive_persist.server.http.headers import Headers
from khive_persist.server.http.hosts import Hosts, allowed_hosts
from khive_persist.server.http.paths import Paths
from khive_persist.server.http.request_head import Heads
from khive_persist.server.openapi import routes as openapi
from khive_persist.server.routes import (
    dashboard,
    events,
    experiments,
    health,
    hooks,
    login,
    records,
)
from khive_persist.server.routes.application_sessions import application_sessions
from khive_persist.server.routes.metrics import Observed
from khive_persist.server.routes.read import routes as reading


def routes(serving: Serving) -> list[BaseRoute]:
    """Every route. Of two that fit a path, the first answers: `records` comes last.

    They are tried one after the other, so those that are asked most often come first.
    """
    found: list[BaseRoute] = []
    found += [
        *hooks.routes(serving),
        *events.routes(serving),
        *health.routes(serving),
        *login.routes(serving),
        *application_sessions.routes(serving),
        *experiments.routes(serving),
        *dashboard.routes(serving),
        *openapi.routes(serving, found),
        *reading.routes(serving),
        *records.routes(serving),
    ]
    return found


def build_app(serving: Serving) -> ASGIApp:
    """The app. Nothing of it is answered but through all that stands before the router."""

    def hosts() -> frozenset[str]:
        return allowed_hosts(serving.address, serving.live.settings.server_allowed_hosts)

    def origins() -> frozenset[str]:
        return frozenset(map(str.lower, serving.live.settings.server_allowed_origins))

    app = Errors(Heads(Paths(_Allowing(routes(serving))), serving.limits), serving.limits)
    return Observed(Headers(Hosts(app, hosts, origins)), serving.metrics)


class _Allowing:
    """Routes of which each has one method: who comes with another is told all that a path has."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._router = Router(routes, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._router(scope, receive, send)
        except HTTPException as error:
            if error.status_code != 405:
                raise
            allowed = {
                method
                for route in self._router.routes
                if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE
                for method in route.methods or ()
            }
            headers = {"allow": ", ".join(sorted(allowed))}
            raise HTTPException(405, error.detail, headers) from error
