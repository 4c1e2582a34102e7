"""The context of one server, which its route groups share."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from khive_persist.project import Project
from khive_persist.recorder.client import LARGE, Recorder
from khive_persist.recorder.event_fallback import EventFallback
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.recorder.messages import Commit
from khive_persist.server.http.limits import Limits
from khive_persist.server.http.tokens import Tokens
from khive_persist.server.preparer import INLINE_BYTES, Preparer
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.request.body import Budget
from khive_persist.server.request.refused_tokens import RefusedTokenLog
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
        tokens: The tokens and their rights.
        recorder: The client of the process that stores records.
        large_recorder: The client of the one that stores what comes in large bodies.
        stopped_transcripts: Transcripts of sessions that stopped, until they are synced.
        stores: The open stores, by class of record.
        metrics: The counters.
        stopping: Set when the server begins to stop: an answer without an end ends then.
        secret: The key that signs the cookies of this process.
        ended_logins: The logins that were ended early, and the time until which each was valid.
        refused_tokens: The log of tokens that are not known.
    """

    project: Project
    address: str
    limits: Limits
    live: LiveSettings
    tokens: Tokens
    recorder: Recorder
    large_recorder: Recorder
    stores: Stores
    metrics: Metrics
    stopped_transcripts: dict[Path, None] = field(default_factory=dict)
    stopping: anyio.Event = field(default_factory=anyio.Event)
    secret: bytes = field(default_factory=lambda: os.urandom(32))
    ended_logins: dict[str, int] = field(default_factory=dict)
    refused_tokens: RefusedTokenLog = field(default_factory=RefusedTokenLog)

    def __post_init__(self) -> None:
        self.budget = Budget(self.limits.buffered_bytes, self.limits.small_bytes)
        self.event_fallback = EventFallback(self.project)
        self.preparer = Preparer(self.project)
        self.readers = ReaderPool(
            self.project,
            self.live,
            lambda: self.recorder.request_count + self.large_recorder.request_count,
        )
        # Cookies know no ports: two servers of one machine must not take each other's.
        self.cookie = "khive_" + hashlib.sha256(os.fsencode(self.project.root)).hexdigest()[:12]

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

    tokens = Tokens(project)
    tokens.local()
    context = ServerContext(
        project=project,
        address=address,
        limits=limits,
        live=LiveSettings(project),
        tokens=tokens,
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
