"""The context of one server, which its route groups share."""

from dataclasses import dataclass, field
from pathlib import Path

import anyio

from khive_persist.project import Project
from khive_persist.recorder.client import LARGE, Recorder
from khive_persist.recorder.event_fallback import EventFallback
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.recorder.messages import Commit
from khive_persist.server.http.limits import Limits
from khive_persist.server.preparer import INLINE_BYTES, Preparer
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.request.access import Access
from khive_persist.server.request.body import BodyReader
from khive_persist.server.routes.metrics import Metrics
from khive_persist.server.store_pool import Stores


@dataclass
class ServerContext:
    """The context of one server of one project.

    Attributes:
        project: The project.
        address: The address that it listens on; a name or an IP address.
        limits: The limits of a connection.
        live: The settings in force, and the redactor.
        access: The tokens and the logins, and whether any is needed.
        recorder: The client of the process that stores records.
        large_recorder: The client of the one that stores what comes in large bodies.
        stopped_transcripts: Transcripts of sessions that stopped, until they are synced.
        stores: The open stores, by class of record.
        metrics: The counters.
        stopping: Set when the server begins to stop: an answer without an end ends then.
    """

    project: Project
    address: str
    limits: Limits
    live: LiveSettings
    access: Access
    recorder: Recorder
    large_recorder: Recorder
    stores: Stores
    metrics: Metrics
    stopped_transcripts: dict[Path, None] = field(default_factory=dict)
    stopping: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        self.bodies = BodyReader(self.limits, self.live)
        self.event_fallback = EventFallback(self.project)
        self.preparer = Preparer(self.project)
        self.readers = ReaderPool(
            self.project,
            self.live,
            lambda: self.recorder.request_count + self.large_recorder.request_count,
        )

    async def recorder_of(self, size: int) -> Recorder:
        """Return the recorder of what comes in a body of some size."""
        if size <= INLINE_BYTES:
            return self.recorder
        try:
            await self.large_recorder.start_once()
        except OSError:
            # Too many processes run: the others wait for it rather than that it is lost.
            return self.recorder
        return self.large_recorder


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
    context = ServerContext(
        project=project,
        address=address,
        limits=limits,
        live=live,
        access=access,
        recorder=Recorder(project, on_commit),
        large_recorder=Recorder(project, on_commit, LARGE),
        stores=Stores(project),
        metrics=metrics,
        stopped_transcripts=stopped_transcripts,
    )
    await context.recorder.start()
    return context


async def close_context(context: ServerContext) -> None:
    """Wait for what was begun, end the recorder, and close every file."""
    await context.preparer.close()
    await context.recorder.close()
    await context.large_recorder.close()
    await context.readers.close()
    await context.stores.close()
