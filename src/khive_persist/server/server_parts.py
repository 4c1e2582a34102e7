"""`ServerParts`: the answers and tasks of one process of a server, of a project or of a team."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, NamedTuple

import anyio
from starlette.types import ASGIApp

from khive_persist.project import Project
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.server import background_tasks
from khive_persist.server.app import build_app
from khive_persist.server.background_tasks import Intervals
from khive_persist.server.context import close_context, open_context, renew_settings
from khive_persist.server.http.limits import Limits


class ServerParts(NamedTuple):
    """The answers and the tasks of one process of a server.

    Attributes:
        app: The app.
        live: The settings in force.
        stopping: Set when the server begins to stop.
        settings_changed: The function that is called when other settings are in force.
        tasks: The functions that run beside, until they are cancelled.
        close: The function that waits for what was begun, and closes every file.
    """

    app: ASGIApp
    live: LiveSettings
    stopping: anyio.Event
    settings_changed: Callable[[], None]
    tasks: Sequence[Callable[[], Coroutine[Any, Any, None]]]
    close: Callable[[], Awaitable[None]]


async def project_parts(
    project: Project, address: str, limits: Limits, intervals: Intervals
) -> ServerParts:
    """Return the parts of a project's server; its recorder runs on return.

    Raises:
        ProjectError: The project, its tokens or its redaction key cannot be made or used.
    """
    context = await open_context(project, address, limits)
    periods = (
        (background_tasks.keep_spool_empty, intervals.spool),
        (background_tasks.keep_backups, intervals.backup),
        (background_tasks.keep_synced, intervals.sync),
        (background_tasks.keep_packed, intervals.packing),
        (background_tasks.keep_budgets, intervals.budgets),
        (background_tasks.keep_pushed, intervals.team),
        (background_tasks.keep_searchable, intervals.search),
        (background_tasks.keep_vectors, intervals.vectors),
    )
    return ServerParts(
        app=build_app(context),
        live=context.live,
        stopping=context.stopping,
        settings_changed=partial(renew_settings, context),
        tasks=[
            *(partial(keep, context, seconds) for keep, seconds in periods),
            partial(context.readers.keep, context.stopping),
        ],
        close=partial(close_context, context),
    )
