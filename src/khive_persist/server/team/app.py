"""The app of a team's server: its route groups, and what stands before them."""

from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from khive_persist.errors import KhiveError
from khive_persist.server.app import guarded, routed
from khive_persist.server.openapi import document as openapi
from khive_persist.server.routes import dashboard, health, login
from khive_persist.server.routes.read.operations import routes_of
from khive_persist.server.team import audit, pushes, sums
from khive_persist.server.team.context import TeamContext
from khive_persist.server.team.projects import with_projects


def routes_of_team(context: TeamContext) -> list[BaseRoute]:
    """Return the routes that no project's server has."""
    return [
        *pushes.routes(context),
        *routes_of(context.access, sums.operations(context.reading)),
        *audit.routes(context.access, context.audit),
    ]


def _routes(context: TeamContext) -> list[BaseRoute]:
    """Return every route but those of projects."""

    async def is_ready() -> bool:
        try:
            await context.reading.check()
        except KhiveError:
            return False
        return True

    access = context.access
    group_routes: list[BaseRoute] = []
    group_routes += [
        *routes_of_team(context),
        *health.routes(access, context.metrics, context.stopping, is_ready, lambda: 0),
        *login.routes(access, context.bodies),
        *dashboard.routes(access),
        *openapi.routes(access, group_routes),
    ]
    return group_routes


def build_team_app(context: TeamContext, address: str) -> ASGIApp:
    """Return the app of a team's server."""
    app = with_projects(routed(_routes(context)), context)
    return guarded(app, address, context.live, context.limits, context.metrics)
