"""The routes that read."""

from starlette.routing import BaseRoute

from khive_persist.server.context import Serving
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


def operations(serving: Serving) -> list[Operation]:
    """All that the server answers to who reads; a purpose of any name comes last."""
    return [
        *overview.operations(serving),
        *sessions.operations(serving),
        *live_events.operations(serving),
        *analysis.operations(serving),
        *compare_and_report.operations(serving),
        *doctor.operations(serving),
        *records.operations(serving),
    ]


def routes(serving: Serving) -> list[BaseRoute]:
    """The routes of this group."""
    return routes_of(serving, operations(serving))
