"""`GET /v1/doctor` and `/v1/backups`: in what condition the project is."""

import time
from importlib.metadata import version
from typing import Any, Final

import anyio

from khive_persist.maintenance.backup.catalogue import BackupList, read_catalogue
from khive_persist.maintenance.backup.destination import open_destination
from khive_persist.maintenance.doctor.report import DoctorReport, examine, with_surroundings
from khive_persist.project import Project
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.routes.read.operations import Operation, ReadRequest
from khive_persist.server.routes.read.parameters import Parameter
from khive_persist.sessions.reported_costs import session_cost
from khive_persist.transcripts.reconciliation import Account, account

SESSION: Final = Parameter(
    "session", "text", "Instead: this session's events against its transcript, by its whole id."
)
_FRESH_SECONDS: Final = 5.0


def operations(project: Project, live: LiveSettings, readers: ReaderPool) -> list[Operation]:
    """Return what this group answers."""
    # What is installed may be newer by the time that somebody asks.
    server_version = version("khive-persist")
    turn = anyio.Lock()
    latest: tuple[float, Any] = (0.0, None)

    async def examined() -> Any:
        report = await examine(project, thoroughly=False)
        # It answers, or this would not be asked; what token a tool has is not known here.
        return with_surroundings(report, project, asks_server=False, server_version=server_version)

    async def doctor(query: ReadRequest) -> Any:
        nonlocal latest
        if query["session"] is not None:
            session_id = query["session"]

            async def accounted() -> Any:
                cost = await session_cost(project, session_id)
                return (await account(project, session_id))._replace(cost=cost)

            return await readers.run_heavy(accounted)
        # Every byte of every database is read: whoever asks at the same time is told the same.
        async with turn:
            if latest[1] is None or time.monotonic() > latest[0] + _FRESH_SECONDS:
                report = await readers.run_heavy(examined)
                latest = time.monotonic(), report
            return latest[1]

    async def backups(_query: ReadRequest) -> Any:
        destination = live.settings.backup_destination

        async def listed() -> Any:
            return read_catalogue(open_destination(project, destination, "")).as_document()

        return await readers.run_heavy(listed)

    return [
        Operation(
            "/v1/doctor",
            doctor,
            "What is wrong with the project, if anything. All of it is read, which takes long where"
            " there is much.",
            (SESSION,),
            DoctorReport | Account,
        ),
        Operation("/v1/backups", backups, "The backups, the oldest first.", (), BackupList),
    ]
