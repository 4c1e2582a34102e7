"""The routes that read."""

from starlette.routing import BaseRoute

from khive_persist.server.reading import (
    analysis,
    condition,
    live_events,
    place,
    records,
    reports,
    sessions,
)
from khive_persist.server.reading.operations import Operation, routes_of
from khive_persist.server.serving import Serving


def operations(serving: Serving) -> list[Operation]:
    """All that the server answers to who reads; a purpose of any name comes last."""
    return [
        *place.operations(serving),
        *sessions.operations(serving),
        *live_events.operations(serving),
        *analysis.operations(serving),
        *reports.operations(serving),
        *condition.operations(serving),
        *records.operations(serving),
    ]


def routes(serving: Serving) -> list[BaseRoute]:
    """The routes of this group."""
    return routes_of(serving, operations(serving))
