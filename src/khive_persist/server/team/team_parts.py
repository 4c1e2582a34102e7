"""The parts of a team's server: its app, over the records of a database of PostgreSQL."""

from contextlib import AsyncExitStack
from typing import Final

import anyio
import anyio.to_thread

from khive_persist.project import Project
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.server.http.limits import Limits
from khive_persist.server.request.access import Access
from khive_persist.server.request.body import BodyReader
from khive_persist.server.routes.metrics import Metrics
from khive_persist.server.server_parts import ServerParts
from khive_persist.server.team.app import build_team_app
from khive_persist.server.team.context import TeamContext
from khive_persist.server.team.project_copies import ProjectCopies
from khive_persist.store.postgres.team_audit import TeamAudit
from khive_persist.store.postgres.team_following import TeamFollowing
from khive_persist.store.postgres.team_reading import TeamReading
from khive_persist.team.team_store import TeamStore

_READING_SECONDS: Final = 30.0


def make_context(
    project: Project, live: LiveSettings, limits: Limits, store_url: str
) -> TeamContext:
    """Return the context of a team's server, of which nothing is open yet."""
    access = Access(project, live, is_of_team=True)
    store = TeamStore(store_url)
    reading = TeamReading(store_url, _READING_SECONDS)
    stopping = anyio.Event()
    following = TeamFollowing(reading.database)
    copies = ProjectCopies(project.team_copies, following, access, stopping)
    return TeamContext(
        live=live,
        access=access,
        bodies=BodyReader(limits, live),
        limits=limits,
        metrics=Metrics(),
        store=store,
        reading=reading,
        audit=TeamAudit(store.database),
        copies=copies,
        stopping=stopping,
    )


async def team_parts(project: Project, address: str, limits: Limits, store_url: str) -> ServerParts:
    """Return the parts of a team's server.

    Args:
        project: The project whose `.khive` has the settings, the tokens and the lock of the server.
        address: The address that it listens on.
        limits: The limits of a connection.
        store_url: `postgresql://…`, the team's database, whose tables are made.

    Raises:
        ProjectError: The project or its tokens cannot be made or used.
        StoreError: The database cannot be used.
    """
    live = LiveSettings(project)
    context = make_context(project, live, limits, store_url)
    context.access.tokens.local()
    async with AsyncExitStack() as opened:
        await context.store.open()
        opened.push_async_callback(context.store.close)
        await context.reading.database.open()
        opened.push_async_callback(context.reading.database.close)
        await anyio.to_thread.run_sync(context.copies.open)
        opened.push_async_callback(context.copies.close)
        closing = opened.pop_all()
    return ServerParts(
        app=build_team_app(context, address),
        live=live,
        stopping=context.stopping,
        settings_changed=lambda: None,
        tasks=[context.copies.keep],
        close=closing.aclose,
    )
