"""The routes that read."""

from collections.abc import Sequence

import anyio
from starlette.routing import BaseRoute

from khive_persist.project import Project
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.request.access import Access
from khive_persist.server.routes.read import (
    analysis,
    compare_and_report,
    doctor,
    entries,
    history,
    live_events,
    overview,
    plans,
    records,
    search,
    sessions,
    today,
)
from khive_persist.server.routes.read.operations import Operation, routes_of


def routes(
    access: Access, project: Project, live: LiveSettings, readers: ReaderPool, stopping: anyio.Event
) -> list[BaseRoute]:
    """Return the routes of all that is answered to who reads."""
    of_machine = doctor.operations(project, live, readers)
    operations = operations_with(of_machine, access, project, live, readers, stopping)
    return routes_of(access, operations)


def operations_with(
    others: Sequence[Operation],
    access: Access,
    project: Project,
    live: LiveSettings,
    readers: ReaderPool,
    stopping: anyio.Event,
) -> list[Operation]:
    """Return what is answered of a project's records wherever these lie, and others.

    A purpose of any name comes last.
    """
    return [
        *overview.operations(project, readers),
        *today.operations(project, live, readers),
        *sessions.operations(project, readers),
        *entries.operations(project, readers),
        *history.operations(project, readers),
        *live_events.operations(access, project, readers, stopping),
        *analysis.operations(project, readers),
        *plans.operations(project, readers),
        *compare_and_report.operations(project, readers, stopping),
        *search.operations(readers),
        *others,
        *records.operations(project, readers),
    ]
