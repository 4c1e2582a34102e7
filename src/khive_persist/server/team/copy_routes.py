"""The routes of a copy of a project: all that its own server answers to who reads.

But for what is of the machine there: its hooks, its backups, its second copy.
"""

import anyio
from starlette.routing import BaseRoute

from khive_persist.project import Project
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.request.access import Access
from khive_persist.server.routes import experiments
from khive_persist.server.routes.read import (
    analysis,
    compare_and_report,
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
from khive_persist.server.routes.read.operations import routes_of


def routes(
    access: Access,
    project: Project,
    live: LiveSettings,
    readers: ReaderPool,
    stopping: anyio.Event,
) -> list[BaseRoute]:
    """Return the routes; a purpose of any name comes last."""
    operations = [
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
        *experiments.operations(readers),
        *records.operations(project, readers),
    ]
    return routes_of(access, operations)
