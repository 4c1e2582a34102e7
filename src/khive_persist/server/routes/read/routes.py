"""The routes that read."""

from starlette.routing import BaseRoute

from khive_persist.server.context import ServerContext
from khive_persist.server.routes.read import (
    analysis,
    compare_and_report,
    doctor,
    live_events,
    overview,
    records,
    sessions,
)
from khive_persist.server.routes.read.operations import Operation, routes_of


def operations(context: ServerContext) -> list[Operation]:
    """Return all that the server answers to who reads; a purpose of any name comes last."""
    return [
        *overview.operations(context),
        *sessions.operations(context),
        *live_events.operations(context),
        *analysis.operations(context),
        *compare_and_report.operations(context),
        *doctor.operations(context),
        *records.operations(context),
    ]


def routes(context: ServerContext) -> list[BaseRoute]:
    """Return the routes of this group."""
    return routes_of(context.access, operations(context))
