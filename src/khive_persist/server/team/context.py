"""The context of one team's server: its parts, of which each route group is given those it uses."""

from dataclasses import dataclass

import anyio

from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.server.http.limits import Limits
from khive_persist.server.request.access import Access
from khive_persist.server.request.body import BodyReader
from khive_persist.server.routes.metrics import Metrics
from khive_persist.server.team.project_copies import ProjectCopies
from khive_persist.store.postgres.team_audit import TeamAudit
from khive_persist.store.postgres.team_reading import TeamReading
from khive_persist.team.team_store import TeamStore


@dataclass
class TeamContext:
    """The context of one server of one team.

    Attributes:
        store: The tables that take records.
        reading: The reader of sums, with connections of its own.
        audit: The list of who was shown texts.
        copies: Copies of projects, and what answers over them.
        stopping: Set when the server begins to stop.
    """

    live: LiveSettings
    access: Access
    bodies: BodyReader
    limits: Limits
    metrics: Metrics
    store: TeamStore
    reading: TeamReading
    audit: TeamAudit
    copies: ProjectCopies
    stopping: anyio.Event
