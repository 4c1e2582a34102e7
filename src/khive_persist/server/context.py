"""The context of one server: its parts, of which each route group is given those that it uses."""

from dataclasses import dataclass
from pathlib import Path

import anyio

from khive_persist.project import Project
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.recorder.messages import Commit
from khive_persist.server.http.limits import Limits
from khive_persist.server.intake import Intake
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.request.access import Access
from khive_persist.server.request.body import BodyReader
from khive_persist.server.routes.metrics import Metrics
from khive_persist.server.store_pool import Stores


@dataclass
class ServerContext:
    """The context of one server of one project. No part of it holds it.

    Attributes:
        address: The address that it listens on; a name or an IP address.
        stopped_transcripts: Transcripts of sessions that stopped, until they are synced.
        stopping: Set when the server begins to stop: an answer without an end ends then.
    """

    project: Project
    address: str
    limits: Limits
    live: LiveSettings
    access: Access
    bodies: BodyReader
    intake: Intake
    readers: ReaderPool
    stores: Stores
    metrics: Metrics
    stopped_transcripts: dict[Path, None]
    stopping: anyio.Event


async def open_context(project: Project, address: str, limits: Limits) -> ServerContext:
    """Return the context of a server of a project; its recorder runs on return.

    Raises:
        ProjectError: The project, its tokens or its redaction key cannot be made or used.
    """
    project.make()
    metrics = Metrics()
    stopped_transcripts: dict[Path, None] = {}

    def on_commit(commit: Commit) -> None:
        metrics.committed(commit)
        stopped_transcripts.update(dict.fromkeys(commit.ended_transcripts))

    live = LiveSettings(project)
    access = Access(project, live)
    access.tokens.local()
    intake = Intake(project, metrics, on_commit)
    context = ServerContext(
        project=project,
        address=address,
        limits=limits,
        live=live,
        access=access,
        bodies=BodyReader(limits, live),
        intake=intake,
        readers=ReaderPool(project, live, intake.request_count),
        stores=Stores(project),
        metrics=metrics,
        stopped_transcripts=stopped_transcripts,
        stopping=anyio.Event(),
    )
    await intake.recorder.start()
    return context


def renew_settings(context: ServerContext) -> None:
    """Let the recorders and the stores take the settings that are in force now."""
    context.intake.recorder.reload()
    context.intake.large_recorder.reload()
    context.stores.renew()


async def close_context(context: ServerContext) -> None:
    """Wait for what was begun, end the recorder, and close every file."""
    await context.intake.close()
    await context.readers.close()
    await context.stores.close()
