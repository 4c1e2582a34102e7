"""`Serving`: what the route groups of one server are given."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from khive_persist.project import Project
from khive_persist.recorder.client import Recorder
from khive_persist.recorder.event_fallback import Refuge
from khive_persist.recorder.live_settings import Live
from khive_persist.recorder.messages import Commit
from khive_persist.server.http.limits import Limits
from khive_persist.server.http.tokens import Tokens
from khive_persist.server.preparer import Preparer
from khive_persist.server.reader_pool import Reading
from khive_persist.server.request.body import Budget
from khive_persist.server.request.refused_tokens import Refusals
from khive_persist.server.routes.metrics import Metrics
from khive_persist.server.store_pool import Stores


@dataclass
class Serving:
    """One server of one project.

    Attributes:
        project: The project.
        address: Where it listens; a name or an IP address.
        limits: What a connection may cost.
        live: The settings in force, and the redactor.
        tokens: Who may do what.
        recorder: Stores what comes in.
        ended: Transcripts of sessions that stopped, until they are synced.
        stores: The open stores, by class of record.
        metrics: What is counted.
        stopping: Set when the server begins to stop: an answer without an end ends then.
        secret: Seals the cookies of this process.
        ended_logins: Those that were ended before their time, and until when each would have been.
        refusals: Who sends tokens that are not known.
    """

    project: Project
    address: str
    limits: Limits
    live: Live
    tokens: Tokens
    recorder: Recorder
    stores: Stores
    metrics: Metrics
    ended: dict[Path, None] = field(default_factory=dict)
    stopping: anyio.Event = field(default_factory=anyio.Event)
    secret: bytes = field(default_factory=lambda: os.urandom(32))
    ended_logins: dict[str, int] = field(default_factory=dict)
    refusals: Refusals = field(default_factory=Refusals)

    def __post_init__(self) -> None:
        self.budget = Budget(self.limits.buffered_bytes, self.limits.small_bytes)
        self.refuge = Refuge(self.project)
        self.preparer = Preparer(self.project)
        self.reading = Reading(self.project, self.live, lambda: self.recorder.asked)
        # Cookies know no ports: two servers of one machine must not take each other's.
        self.cookie = "khive_" + hashlib.sha256(os.fsencode(self.project.root)).hexdigest()[:12]


async def begin_serving(project: Project, address: str, limits: Limits) -> Serving:
    """Return what a server of a project needs; its recorder runs on return.

    Raises:
        ProjectError: The project, its tokens or its redaction key cannot be made or used.
    """
    project.make()
    metrics = Metrics()
    ended: dict[Path, None] = {}

    def committed(commit: Commit) -> None:
        metrics.committed(commit)
        ended.update(dict.fromkeys(commit.ended))

    tokens = Tokens(project)
    tokens.local()
    serving = Serving(
        project=project,
        address=address,
        limits=limits,
        live=Live(project),
        tokens=tokens,
        recorder=Recorder(project, committed),
        stores=Stores(project),
        metrics=metrics,
        ended=ended,
    )
    await serving.recorder.start()
    return serving


async def end_serving(serving: Serving) -> None:
    """Wait for what was begun, end the recorder, and close every file."""
    await serving.preparer.close()
    await serving.recorder.close()
    await serving.reading.close()
    await serving.stores.close()
