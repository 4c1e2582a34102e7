"""`/healthz`, `/readyz` and `/metrics`: for who watches the server."""

from typing import NamedTuple

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from khive_persist.project import Project
from khive_persist.server.http.errors import json_response
from khive_persist.server.intake import Intake
from khive_persist.server.request.access import Access
from khive_persist.server.request.auth import route


class ServerStatus(NamedTuple):
    """Whether a server answers: ok, ready, stopping or not ready."""

    status: str


def routes(
    access: Access, project: Project, intake: Intake, stopping: anyio.Event
) -> list[BaseRoute]:
    """Return the routes of this group."""

    async def healthz(_request: Request) -> Response:
        return json_response(ServerStatus("ok"))

    async def readyz(_request: Request) -> Response:
        if stopping.is_set():
            return json_response(ServerStatus("stopping"), 503, {"retry-after": "5"})
        if not project.exists() or not intake.recorder.is_ready:
            return json_response(ServerStatus("not ready"), 503, {"retry-after": "5"})
        return json_response(ServerStatus("ready"))

    async def metrics(_request: Request) -> Response:
        content, kind = intake.metrics.text(
            intake.recorder.pending_count + intake.large_recorder.pending_count
        )
        return Response(content, headers={"content-type": kind})

    return [
        route(access, "GET", "/healthz", healthz, right=None),
        route(access, "GET", "/readyz", readyz, right=None),
        route(access, "GET", "/metrics", metrics, right="read"),
    ]
