"""`GET /v1/doctor` and `/v1/backups`: in what condition the project is."""

import time
from typing import Any, Final

import anyio

from khive_persist.maintenance.backup.catalogue import read_catalogue
from khive_persist.maintenance.backup.destination import open_destination
from khive_persist.maintenance.doctor import as_document, examine, examine_hooks
from khive_persist.server.context import Serving
from khive_persist.server.routes.read.operations import Asked, Operation
from khive_persist.server.routes.read.parameters import Parameter
from khive_persist.server.routes.read.schemas import BACKUPS, DOCTOR
from khive_persist.sessions.reported_costs import session_cost
from khive_persist.transcripts.reconciliation import account

SESSION: Final = Parameter(
    "session", "text", "Instead: this session's events against its transcript, by its whole id."
)
_FRESH_SECONDS: Final = 5.0


def operations(serving: Serving) -> list[Operation]:
    """Return what this group answers."""
    reading, project = serving.reading, serving.project
    turn = anyio.Lock()
    latest: tuple[float, Any] = (0.0, None)

    async def examined() -> Any:
        report = await examine(project, thoroughly=False)
        # It answers, or this would not be asked; what token a tool has is not known here.
        hooks, problems = examine_hooks(project, asks_server=False)
        return as_document(report, hooks, report.problems + problems)

    async def doctor(asked: Asked) -> Any:
        nonlocal latest
        if asked["session"] is not None:
            session_id = asked["session"]

            async def accounted() -> Any:
                cost = await session_cost(project, session_id)
                return (await account(project, session_id)).as_document() | {"cost": cost}

            return await reading.apart(accounted)
        # Every byte of every database is read: whoever asks at the same time is told the same.
        async with turn:
            if latest[1] is None or time.monotonic() > latest[0] + _FRESH_SECONDS:
                found = await reading.apart(examined)
                latest = time.monotonic(), found
            return latest[1]

    async def backups(_asked: Asked) -> Any:
        destination = serving.live.settings.backup_destination

        async def listed() -> Any:
            return read_catalogue(open_destination(project, destination, "")).as_document()

        return await reading.apart(listed)

    return [
        Operation(
            "/v1/doctor",
            doctor,
            "What is wrong with the project, if anything. All of it is read, which takes long where"
            " there is much.",
            (SESSION,),
            DOCTOR,
        ),
        Operation("/v1/backups", backups, "The backups, the oldest first.", (), BACKUPS),
    ]
