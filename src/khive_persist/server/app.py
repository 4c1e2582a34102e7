"""The app of one server: its route groups, and what stands before them."""

from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.server.context import ServerContext
from khive_persist.server.http.errors import ErrorMiddleware
from khive_persist.server.http.headers import with_headers
from khive_persist.server.http.hosts import HostMiddleware, allowed_hosts
from khive_persist.server.http.limits import Limits
from khive_persist.server.http.paths import with_words
from khive_persist.server.http.request_head import with_sound_heads
from khive_persist.server.openapi import document as openapi
from khive_persist.server.routes import (
    dashboard,
    events,
    experiments,
    health,
    hooks,
    login,
    records,
    verdicts,
)
from khive_persist.server.routes.application_sessions import application_sessions
from khive_persist.server.routes.metrics import Metrics, with_metrics
from khive_persist.server.routes.read import routes as read_routes


def routes(context: ServerContext) -> list[BaseRoute]:
    """Return every route. Of two that fit a path, the first answers: `records` comes last.

    They are tried one after the other, so those that are asked most often come first.
    """
    project, live, stopping = context.project, context.live, context.stopping
    access, bodies, intake = context.access, context.bodies, context.intake
    readers, stores = context.readers, context.stores
    group_routes: list[BaseRoute] = []

    async def is_ready() -> bool:
        return project.exists() and intake.recorder.is_ready

    group_routes += [
        *hooks.routes(access, bodies, intake),
        *events.routes(access, bodies, intake),
        *health.routes(access, context.metrics, stopping, is_ready, intake.waiting_count),
        *login.routes(access, bodies),
        *application_sessions.routes(
            access, bodies, intake, project, live, readers, stores, stopping
        ),
        *experiments.routes(access, bodies, readers, stores, context.metrics),
        *verdicts.routes(access, bodies, project, readers, stores, context.metrics),
        *dashboard.routes(access),
        *openapi.routes(access, group_routes),
        *read_routes.routes(access, project, live, readers, stopping),
        *records.routes(access, bodies, intake, project, live, stores),
    ]
    return group_routes


def build_app(context: ServerContext) -> ASGIApp:
    """Return the app of a project's server."""
    app = routed(routes(context))
    return guarded(app, context.address, context.live, context.limits, context.metrics)


def routed(routes: Sequence[BaseRoute]) -> ASGIApp:
    """Return the app of some routes, of which each has one method."""
    return with_words(_MethodRouter(routes))


def guarded(
    app: ASGIApp, address: str, live: LiveSettings, limits: Limits, metrics: Metrics
) -> ASGIApp:
    """Return an app of which nothing is answered but through all that stands before it."""

    def hosts() -> frozenset[str]:
        return allowed_hosts(address, live.settings.server_allowed_hosts)

    def origins() -> frozenset[str]:
        return frozenset(map(str.lower, live.settings.server_allowed_origins))

    app = ErrorMiddleware(with_sound_heads(app, limits), limits)
    app = with_headers(HostMiddleware(app, hosts, origins))
    return with_metrics(app, metrics)


class _MethodRouter:
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
